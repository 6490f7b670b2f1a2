#![doc = include_str!("../README.md")]

// Pure: no I/O but one clock read and one read of the environment.
pub mod cause;
pub mod clock;
pub mod deadline;
pub mod env;
pub mod fen;
pub mod hex;
pub mod json;
pub mod pause;
pub mod random;
pub mod seal;
pub mod secret;

// Adapters: everything that speaks to the outside.
pub mod aws;
pub mod lambda;
pub mod net;
pub mod secrets_manager;
pub mod store;
pub mod wechat;
pub mod wechatpay;

// What a function is made of.
pub mod conflict;
pub mod direct;
pub mod egress;
pub mod error;
pub mod healing;
pub mod http;
pub mod key_refresh;
pub mod log;
pub mod quota;
pub mod request;
pub mod session;
pub mod settlement;
pub mod setup;
pub mod tokens;
