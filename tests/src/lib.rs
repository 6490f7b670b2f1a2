//! What the tests stand on: a local machine of their own, a clock that they move, all that is logged, and a DynamoDB
//! and upstreams that misbehave on request.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod dynamodb_proxy;
pub mod http;
pub mod logs;
pub mod runtime_api;
pub mod upstream;
pub mod world;

use std::path::{Path, PathBuf};

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the project").to_owned()
}

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
