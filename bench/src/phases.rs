//! Where the time of a start goes.

use std::path::Path;

use serde_json::Value;
use stubs::upstreams::{Secrets, Upstreams};

use crate::subjects::Subject;
use crate::table::median;

/// The function that measures its own start.
pub const START_PHASES: &str = "start-phases";

/// The phases of a start with their medians, in milliseconds, in their order.
pub async fn medians(binary: &Path, secrets: Secrets, upstreams: &Upstreams, runs: usize) -> Vec<(String, f64)> {
    let subject = Subject::binary(START_PHASES, binary, "login", upstreams.variables(secrets));
    let mut measured: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..runs {
        for (index, (name, millis)) in one(&subject).await.into_iter().enumerate() {
            match measured.get_mut(index) {
                Some((_, values)) => values.push(millis),
                None => measured.push((name, vec![millis])),
            }
        }
    }
    measured.into_iter().map(|(name, values)| (name, median(values))).collect()
}

async fn one(subject: &Subject) -> Vec<(String, f64)> {
    let process = subject.start().await;
    subject.invoke(&process).await;
    let output = process.stop().await;
    let line = output.stdout.split(|&byte| byte == b'\n').next().expect("it prints a line");
    let line: Value = serde_json::from_slice(line).expect("the line is JSON");
    let until_main = ("process, until main".to_owned(), line["untilMain"].as_f64().expect("a number"));
    let phases = line["phases"].as_array().expect("a list").iter();
    let phases = phases.map(|phase| (phase[0].as_str().unwrap().to_owned(), phase[1].as_f64().unwrap()));
    std::iter::once(until_main).chain(phases).collect()
}
