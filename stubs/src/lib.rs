//! What stands in for AWS and for WeChat where a function runs as a process: for the tests and for the benchmarks.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test or a measurement that cannot go on has failed")]

pub mod binaries;
pub mod file;
pub mod runtime_api;
pub mod tls;
pub mod upstreams;
pub mod wechatpay;
