#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

pub mod open_orders;
pub mod packages;
pub mod peers;
pub mod phases;
pub mod profile;
pub mod sizes;
pub mod subjects;
pub mod table;
