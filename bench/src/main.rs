//! Builds the functions as they are released, and checks that none is larger than its budget: binary, zip, and the
//! crates that it is made of. Numbers that a machine's load has no part in.
#![expect(clippy::expect_used, reason = "a check that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "it says what it found")]

use std::process::{Command, ExitCode};

use bench::sizes::{Sizes, megabytes};
use bench::{subjects, table};
use stubs::binaries::root;

/// Bytes of a stripped binary. The target is 6 MB.
const BINARY: u64 = 5_300_000;
/// Bytes of its zip. The target is 3 MB.
const ZIP: u64 = 2_650_000;
/// Crates that it takes to build it, those of its macros and build scripts included.
const CRATES: usize = 175;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let functions = subjects::functions();
    let binaries = subjects::release_binaries(&functions).await;
    let (mut rows, mut over) = (Vec::new(), false);
    for function in &functions {
        let (Sizes { binary, zip }, crates) = (Sizes::of(&binaries[function]), crates(function));
        over |= binary > BINARY || zip > ZIP || crates > CRATES;
        rows.push(vec![function.clone(), megabytes(binary), megabytes(zip), crates.to_string()]);
    }
    rows.push(vec!["budget".to_owned(), megabytes(BINARY), megabytes(ZIP), CRATES.to_string()]);
    table::print(&["", "binary MB", "zip MB", "crates"], &rows);
    if over {
        println!("\nA function is over its budget. `docs/performance.md` says what has been tried.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn crates(function: &str) -> usize {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"]);
    let output = tree.args(["--package", function]).current_dir(root()).output().expect("cargo is there");
    assert!(output.status.success(), "cargo tree failed");
    let tree = String::from_utf8(output.stdout).expect("names are text");
    let mut crates: Vec<_> = tree.lines().collect();
    crates.sort_unstable();
    crates.dedup();
    crates.len()
}
