//! Builds the functions as they are released, or takes the packages that are built already, and checks that none is
//! larger than its budget: binary, zip, and the crates that it is made of. Numbers that a machine's load has no part in.
#![expect(clippy::expect_used, reason = "a check that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "it says what it found")]

use std::process::{Command, ExitCode};

use bench::packages::ARCHITECTURES;
use bench::sizes::{Sizes, megabytes};
use bench::{packages, subjects, table};
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
    let [here, other] = ARCHITECTURES;
    let mut builds = vec![(here, subjects::release_binaries(&functions).await)];
    builds.push((other, packages::of(other, &functions)));
    builds.retain(|(_, binaries)| !binaries.is_empty());
    let (mut rows, mut over) = (Vec::new(), false);
    for function in &functions {
        let crates = crates(function);
        over |= crates > CRATES;
        let mut row = vec![function.clone(), crates.to_string()];
        for (architecture, binaries) in &builds {
            let binary = binaries.get(function).unwrap_or_else(|| panic!("{function} is not built for {architecture}"));
            let Sizes { binary, zip } = Sizes::of(binary);
            over |= binary > BINARY || zip > ZIP;
            row.extend([megabytes(binary), megabytes(zip)]);
        }
        rows.push(row);
    }
    let sizes = builds.iter().flat_map(|_| [megabytes(BINARY), megabytes(ZIP)]);
    rows.push(["budget".to_owned(), CRATES.to_string()].into_iter().chain(sizes).collect());
    let columns = builds.iter().flat_map(|(name, _)| [format!("{name}: binary MB"), "zip MB".to_owned()]);
    let header: Vec<_> = ["".to_owned(), "crates".to_owned()].into_iter().chain(columns).collect();
    let header: Vec<_> = header.iter().map(String::as_str).collect();
    table::print(&header, &rows);
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
