//! What is measured: the functions, and what they are measured against.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stubs::binaries::{build, root};
use stubs::runtime_api::{Invocation, Process};
use stubs::upstreams::{Secrets, Traffic, Upstreams};
use stubs::wechatpay::notification;
use tokio::process::Command;

use crate::packages;
use crate::sizes::Sizes;

/// Invocations after the first one, of which the median is the warm latency.
const WARM_INVOCATIONS: usize = 20;

/// The name of the function that does nothing.
pub const DO_NOTHING: &str = "do-nothing";

/// Something that is started and invoked.
#[derive(Debug)]
pub struct Subject {
    /// What it is called in the tables.
    pub name: String,
    /// How large it is; not known for what is interpreted.
    pub sizes: Option<Sizes>,
    program: Vec<PathBuf>,
    variables: BTreeMap<String, String>,
    event: Event,
}

/// What it is invoked with.
#[derive(Debug)]
pub enum Event {
    /// A sample event of the function.
    Sample(Value),
    /// What WeChat Pay sends, which is good for five minutes only.
    Notification,
}

impl Event {
    /// The event, if it comes now.
    pub fn now(&self) -> Value {
        match self {
            Self::Sample(event) => event.clone(),
            Self::Notification => notification(),
        }
    }
}

/// One start, with its first answer and some more. Milliseconds.
#[derive(Debug)]
pub struct Run {
    /// From the start of the process to its first poll of the Runtime API.
    pub start: f64,
    /// From the start of the process to its first answer.
    pub first: f64,
    /// From an event to its answer, later.
    pub warm: f64,
    /// The most memory it ever had, in KiB.
    pub peak_rss_kib: f64,
    /// What it asked for until its first answer.
    pub traffic: Traffic,
}

impl Subject {
    /// A binary, answering a function's sample event.
    pub fn binary(name: impl Into<String>, path: &Path, function: &str, variables: BTreeMap<String, String>) -> Self {
        let (sizes, program) = (Some(Sizes::of(path)), vec![path.to_owned()]);
        Self { name: name.into(), sizes, program, variables, event: event(function) }
    }

    /// A program with its arguments, answering the sample event of `login`.
    pub fn program(name: &str, program: Vec<PathBuf>, variables: BTreeMap<String, String>) -> Self {
        Self { name: name.to_owned(), sizes: None, program, variables, event: event("login") }
    }

    /// Starts it.
    pub async fn start(&self) -> Process {
        let (program, arguments) = self.program.split_first().expect("a program has a name");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.variables);
        Process::start_command(command).await
    }

    /// Invokes it.
    pub async fn invoke(&self, process: &Process) -> Invocation {
        self.invoke_with(process, &self.event.now()).await
    }

    async fn invoke_with(&self, process: &Process, event: &Value) -> Invocation {
        let invocation = process.invoke(event).await;
        let answer = invocation.outcome.as_ref().expect("a good answer");
        // The reply of a function behind HTTP, or of one that is invoked directly, which has refused nothing.
        let is_http_success = [200, 204].map(Value::from).contains(&answer["statusCode"]);
        let has_failures = answer["failures"].as_array().is_some_and(|failures| !failures.is_empty());
        let is_direct_success =
            answer.get("statusCode").is_none() && !has_failures && answer["failures"].as_u64().unwrap_or(0) == 0;
        let is_good = is_http_success || is_direct_success;
        assert!(is_good, "{}: {answer}", self.name);
        invocation
    }

    /// Starts it, and has it answer.
    pub async fn run(&self, upstreams: &Upstreams) -> Run {
        upstreams.take_traffic();
        // Before the process starts: to sign an event takes time, and the Runtime API is in this process.
        let event = self.event.now();
        let process = self.start().await;
        let first = self.invoke_with(&process, &event).await;
        let traffic = upstreams.take_traffic();
        let mut warm = Vec::new();
        for _ in 0..WARM_INVOCATIONS {
            let invocation = self.invoke(&process).await;
            warm.push(millis(invocation.answered_at - invocation.taken_at));
        }
        let peak_rss_kib = peak_rss_kib(process.id);
        let started_at = process.started_at;
        process.stop().await;
        Run {
            start: millis(first.taken_at - started_at),
            first: millis(first.answered_at - started_at),
            warm: crate::table::median(warm),
            peak_rss_kib,
            traffic,
        }
    }
}

/// The functions of this project, by the folder that each has.
pub fn functions() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("functions")).expect("there are functions");
    let mut names: Vec<_> =
        folders.map(|folder| folder.unwrap().file_name().into_string().expect("names are text")).collect();
    names.sort();
    names
}

/// Packages as they are released, built by cargo, but for those that cargo-lambda has built already.
pub async fn release_binaries(packages: &[String]) -> BTreeMap<String, PathBuf> {
    let mut binaries = packages::of(packages::ARCHITECTURES[0], packages);
    let missing: Vec<_> = packages.iter().filter(|name| !binaries.contains_key(*name)).collect();
    if !missing.is_empty() {
        let missing = missing.iter().flat_map(|name| ["--package", name]);
        binaries.extend(build(&["--release"].into_iter().chain(missing).collect::<Vec<_>>()).await);
    }
    binaries
}

/// A binary that answers as `function` does, once for each way of configuration.
pub fn configured(name: &str, function: &str, path: &Path, upstreams: &Upstreams) -> [Subject; 2] {
    [(Secrets::Variables, "variables"), (Secrets::SecretsManager, "secrets")]
        .map(|(secrets, how)| Subject::binary(format!("{name}, {how}"), path, function, upstreams.variables(secrets)))
}

/// The sample event of a function: a valid one, or what its schedule sends.
pub fn event(function: &str) -> Event {
    if function == "pay-notify" {
        return Event::Notification;
    }
    let read = |case| std::fs::read(root().join("events").join(function).join(case));
    let event = read("valid.json").or_else(|_| read("scheduled.json")).expect("a function has such an event");
    Event::Sample(serde_json::from_slice(&event).expect("an event is JSON"))
}

/// A time in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn peak_rss_kib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}
