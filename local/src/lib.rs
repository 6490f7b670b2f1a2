#![doc = include_str!("../README.md")]

pub mod catalog;
pub mod demo;
pub mod demo_order;
pub mod demo_user;
mod dynamodb;
mod env_file;
mod environment;
mod event;
pub mod functions;
mod gateway;
mod halves;
pub mod iam;
mod instance;
mod invoke;
mod kept_orders;
mod keys;
pub mod machine;
mod options;
pub mod pay_keys;
mod private_file;
mod rsa_key;
pub mod sample;
mod sandbox;
mod schedule;
pub mod sdk;
mod server;
mod start;
