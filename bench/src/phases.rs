//! Where the time of a start goes.

use std::path::Path;

use serde_json::Value;
use stubs::upstreams::{Secrets, Upstreams};

use crate::subjects::{Subject, millis};
use crate::table::median;

/// The function that measures its own start.
pub const START_PHASES: &str = "start-phases";

/// The phases of a start in their order, with their medians in milliseconds: with the configuration in variables, and
/// with it in Secrets Manager.
pub async fn medians(binary: &Path, upstreams: &Upstreams, runs: usize) -> Vec<(String, [f64; 2])> {
    let subjects = [Secrets::Variables, Secrets::SecretsManager]
        .map(|secrets| Subject::binary(START_PHASES, binary, "login", upstreams.variables(secrets)));
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            measured.push(one(subject).await);
        }
    }
    let names = measured[0][0].iter().map(|(name, _)| name.clone());
    let of = |which: usize, phase: usize| median(measured[which].iter().map(|phases| phases[phase].1));
    names.enumerate().map(|(phase, name)| (name, [of(0, phase), of(1, phase)])).collect()
}

async fn one(subject: &Subject) -> Vec<(String, f64)> {
    let process = subject.start().await;
    let invocation = subject.invoke(&process).await;
    let total = millis(invocation.taken_at - process.started_at);
    let output = process.stop().await;
    let line = output.stdout.split(|&byte| byte == b'\n').next().expect("it prints a line");
    let line: Value = serde_json::from_slice(line).expect("the line is JSON");
    let phases = line.as_array().expect("a list").iter();
    let mut phases: Vec<_> =
        phases.map(|phase| (phase[0].as_str().unwrap().to_owned(), phase[1].as_f64().unwrap())).collect();
    let known: f64 = phases.iter().map(|(_, millis)| millis).sum();
    phases.push(("from there to the first poll".to_owned(), total - known));
    phases.push(("all".to_owned(), total));
    phases
}
