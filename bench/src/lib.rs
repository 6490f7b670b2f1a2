//! What the benchmarks have in common.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

pub mod sizes;
pub mod subjects;
pub mod table;
