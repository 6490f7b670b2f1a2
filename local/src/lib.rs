#![doc = include_str!("../README.md")]

pub mod catalog;
pub mod demo;
pub mod demo_order;
pub mod demo_user;
mod dynamodb;
mod environment;
mod event;
pub mod functions;
mod gateway;
mod halves;
mod instance;
mod invoke;
mod kept_orders;
pub mod machine;
pub mod pay_keys;
pub mod sample;
mod sandbox;
mod schedule;
pub mod sdk;
mod server;
