//! From the start of a process to its first poll, and to its first answer: every function, beside one that does
//! nothing. `bench/README.md` says how to read the table.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]

use std::path::PathBuf;
use std::time::Duration;

use bench::phases::{self, START_PHASES};
use bench::sizes::megabytes;
use bench::subjects::{self, DO_NOTHING, Run, Subject};
use bench::{peers, table};
use clap::Parser;
use stubs::upstreams::{Secrets, Upstreams};

/// `login` without connections that are opened during the start.
const LOGIN_LATE: &str = "login-late";

#[derive(Parser)]
struct Options {
    /// How often each subject is started.
    #[arg(long, default_value_t = 30)]
    runs: usize,
    /// How far away the upstreams are, in milliseconds there and back.
    #[arg(long, default_value_t = 0)]
    rtt: u64,
    /// Only subjects whose name has this in it, beside the one that does nothing.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the time of a start goes, and nothing else.
    #[arg(long)]
    trace: bool,
    /// Without the login in other languages.
    #[arg(long)]
    no_peers: bool,
    /// Another build of `login` to measure beside this one: a name and its binary.
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
    beside: Vec<(String, PathBuf)>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn named_path(text: &str) -> Result<(String, PathBuf), &'static str> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PATH")?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let upstreams = Upstreams::start(Duration::from_millis(options.rtt)).await;
    if options.trace {
        return trace(&upstreams, options.runs).await;
    }
    let mut subjects = subjects(&options, &upstreams).await;
    subjects.retain(|subject| subject.name == DO_NOTHING || subject.name.contains(&options.only));

    let mut runs: Vec<Vec<Run>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.runs {
        eprint_progress(round, options.runs);
        // Another one first each time, so that none always comes after the same.
        for index in (0..subjects.len()).map(|index| (index + round) % subjects.len()) {
            runs[index].push(subjects[index].run(&upstreams).await);
        }
    }
    println!("Medians of {} interleaved runs, upstreams {} ms away.\n", options.runs, options.rtt);
    print(&subjects, &runs);
}

async fn subjects(options: &Options, upstreams: &Upstreams) -> Vec<Subject> {
    let functions = subjects::functions();
    let others = [DO_NOTHING, LOGIN_LATE].map(str::to_owned);
    let packages: Vec<_> = functions.iter().cloned().chain(others).collect();
    let binaries = subjects::release_binaries(&packages).await;
    let mut subjects = vec![Subject::binary(DO_NOTHING, &binaries[DO_NOTHING], "login", Default::default())];
    for function in &functions {
        subjects.extend(subjects::configured(function, function, &binaries[function], upstreams));
    }
    subjects.extend(subjects::configured(LOGIN_LATE, "login", &binaries[LOGIN_LATE], upstreams));
    for (name, path) in &options.beside {
        subjects.push(Subject::binary(name, path, "login", upstreams.variables(Secrets::Variables)));
    }
    if !options.no_peers {
        subjects.extend(peers::subjects(upstreams).await);
    }
    subjects
}

async fn trace(upstreams: &Upstreams, runs: usize) {
    let binaries = subjects::release_binaries(&[START_PHASES.to_owned()]).await;
    let phases = phases::medians(&binaries[START_PHASES], upstreams, runs).await.into_iter();
    let rows = phases.map(|(name, millis)| [vec![name], millis.map(|millis| format!("{millis:.3}")).to_vec()].concat());
    println!("The start of login, medians of {runs} runs.\n");
    table::print(&["", "variables ms", "secrets ms"], &rows.collect::<Vec<_>>());
}

fn print(subjects: &[Subject], runs: &[Vec<Run>]) {
    let median = |runs: &[Run], field: fn(&Run) -> f64| table::median(runs.iter().map(field));
    let nothing = (median(&runs[0], |run| run.start), median(&runs[0], |run| run.first));
    let rows = subjects.iter().zip(runs).map(|(subject, runs)| {
        let (start, first) = (median(runs, |run| run.start), median(runs, |run| run.first));
        let size = |bytes: Option<u64>| bytes.map_or("".to_owned(), megabytes);
        let traffic = &runs[0].traffic;
        vec![
            subject.name.clone(),
            format!("{start:.2}"),
            format!("{:.2}", start / nothing.0),
            format!("{first:.2}"),
            format!("{:.2}", first / nothing.1),
            format!("{:.3}", median(runs, |run| run.warm)),
            format!("{:.1}", median(runs, |run| run.peak_rss_kib) * 1024.0 / 1e6),
            size(subject.sizes.map(|sizes| sizes.binary)),
            size(subject.sizes.map(|sizes| sizes.zip)),
            traffic.connections.values().sum::<usize>().to_string(),
            traffic.calls.values().sum::<usize>().to_string(),
        ]
    });
    let header =
        ["", "start ms", "ratio", "first ms", "ratio", "warm ms", "RSS MB", "binary MB", "zip MB", "conn.", "calls"];
    table::print(&header, &rows.collect::<Vec<_>>());
}

#[expect(clippy::print_stderr, reason = "a measurement of a minute shows that it goes on")]
fn eprint_progress(round: usize, rounds: usize) {
    eprint!("\rround {round} of {rounds}{}", if round == rounds { "\n\n" } else { "" });
}
