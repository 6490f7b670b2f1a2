//! Drives the binaries of a release with AWS's own Runtime Interface Emulator: every sample event of every function,
//! against a local machine. What they write has to be lines of JSON: a panic, or a text that nobody meant for the log, is
//! none. CONTRIBUTING.md says where the emulator comes from, and `.ci/packages` builds the binaries.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a check that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "it says what it found")]

mod emulator;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use local::functions::Functions;
use tests::events;

use crate::emulator::Emulator;

#[derive(Parser)]
struct Options {
    /// The emulator, `aws-lambda-rie`.
    #[arg(long, value_name = "PATH")]
    rie: PathBuf,
    /// Where the binaries are: `<function>/bootstrap`, as cargo-lambda leaves them.
    #[arg(long, value_name = "DIR")]
    binaries: PathBuf,
    /// Where the emulators' output goes.
    #[arg(long, value_name = "DIR", default_value = "target/rie")]
    logs: PathBuf,
    /// Only functions whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { rie, binaries, logs, only } = Options::parse();
    let mut functions: Vec<_> = Functions::names().filter(|name| name.contains(&only)).collect();
    functions.sort_unstable();
    let door = match Emulator::new(&rie, &binaries, logs, &functions) {
        Ok(door) => door,
        Err(problem) => {
            println!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let (started_at, mut cases, mut problems) = (Instant::now(), 0, 0);
    for function in &functions {
        cases += events::expected(function).len();
        problems += drive(function, &door).await;
    }
    let (functions, secs) = (functions.len(), started_at.elapsed().as_secs_f64());
    println!("{functions} functions, {cases} cases, {problems} wrong, {secs:.1} s");
    if cases == 0 || problems > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Sends a function its events: how much is wrong.
async fn drive(function: &str, door: &Emulator) -> usize {
    let (started_at, cases) = (Instant::now(), events::expected(function).len());
    if cases == 0 {
        println!("{function} has no sample event");
        return 1;
    }
    let differences = events::play(function, door).await;
    println!("{function:16} {cases:3} cases {:6} ms", started_at.elapsed().as_millis());
    for difference in &differences {
        println!("{function} {difference}\n  the emulator's output: {}", door.log(function).display());
    }
    let strays = door.stray_lines(function);
    for stray in &strays {
        println!("{function} {stray}");
    }
    differences.len() + strays.len()
}
