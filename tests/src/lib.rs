//! What the tests stand on: a local machine of their own, a clock that they move, all that is logged, and a DynamoDB
//! and upstreams that misbehave on request.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod apps;
pub mod callers;
pub mod cards;
pub mod dice;
pub mod dynamodb_proxy;
pub mod events;
pub mod http;
pub mod iam;
pub mod lambda_proxy;
pub mod ledger;
pub mod logs;
pub mod merchant;
pub mod notifications;
pub mod open_data;
pub mod orders;
pub mod patience;
pub mod pay_keys;
pub mod pay_proxy;
pub mod pay_vectors;
pub mod readers;
pub mod refund_rows;
pub mod refunds;
pub mod sandbox_shop;
pub mod shop;
pub mod upstream;
pub mod variables;
pub mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use stubs::binaries::root;
use tokio::sync::OnceCell;

/// A binary of this workspace. `cargo test` does not build binaries of other packages, so it is asked to once.
pub async fn binary(name: &str) -> PathBuf {
    static BUILT: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();
    // Of all packages that are tested, so that features and with them the dependencies are those of the tests.
    let build = || stubs::binaries::build(&["--bins", "--offline"]);
    BUILT.get_or_init(build).await.get(name).expect("there is such a binary").clone()
}

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
