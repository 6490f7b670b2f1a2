//! What one warm login costs, and what of that is work that no login can do without. `bench/README.md` says more.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::path::Path;
use std::time::{Duration, Instant};

use bench::subjects::{self, DO_NOTHING, Subject};
use bench::{profile, table};
use clap::Parser;
use lambda_http::Request;
use login::Login;
use serde_json::Value;
use shared::clock::Clock;
use shared::env::Env;
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;
use stubs::file::TemporaryFile;
use stubs::runtime_api::Process;
use stubs::upstreams::{Secrets, Upstreams};
use tokio::process::Command;
use tokio::runtime::Runtime;

/// The program that does what no login can do without.
const FLOOR: &str = "floor";

/// How often everything is measured.
const ROUNDS: usize = 9;

/// Logins before the first one that counts.
const WARM_UP: usize = 50;

#[derive(Parser)]
struct Options {
    /// How many logins are measured in each round.
    #[arg(long, default_value_t = 500)]
    logins: usize,
    /// Without the profile, which is sampled by signals.
    #[arg(long)]
    no_profile: bool,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    // The upstreams and the Runtime API have their threads, what is measured has its own.
    let others = Runtime::new().unwrap();
    let upstreams = others.block_on(Upstreams::start(Duration::ZERO));
    let binaries = others.block_on(subjects::release_binaries(&[Login::NAME, DO_NOTHING, FLOOR].map(str::to_owned)));
    let subject = |name: &str| {
        let variables = upstreams.variables(Secrets::Variables);
        Subject::binary(name, Path::new(&binaries[name]), Login::NAME, variables)
    };
    let (login, nothing) = (subject(Login::NAME), subject(DO_NOTHING));
    let costs = others.block_on(costs(&login, &nothing, &binaries[FLOOR], &upstreams, &options));
    let inside = std::thread::Builder::new().name("measured".to_owned());
    let inside = std::thread::scope(|scope| {
        inside.spawn_scoped(scope, || in_process(&upstreams, &options)).unwrap().join().unwrap()
    });
    print(&options, &costs, inside);
}

fn print(options: &Options, costs: &[Costs], inside: Inside) {
    let of = |micros: fn(&Costs) -> f64| table::median(costs.iter().map(micros));
    let row = |what: &str, micros: fn(&Costs) -> f64| {
        let ratio = table::median(costs.iter().map(|costs| micros(costs) / costs.floor()));
        vec![what.to_owned(), format!("{:.0}", of(micros)), format!("{ratio:.2}")]
    };
    println!("One warm instance, one login after the other: medians of {ROUNDS} times {}.\n", options.logins);
    println!("logins per second, behind the Runtime API: {:.0}", 1e6 / of(|costs| costs.wall));
    println!("allocations per login, without the Runtime API: {:.0}, {:.0} bytes\n", inside.allocations, inside.bytes);
    let rows = [
        row("a login, behind the Runtime API", |costs| costs.login),
        row("a function that does nothing, behind the Runtime API", |costs| costs.nothing),
        row("a login's TLS alone: the same bytes over open connections", |costs| costs.tls),
        row("a login's signatures alone", |costs| costs.signing),
        row("its TLS and signatures alone", Costs::floor),
    ];
    table::print(&["CPU time", "µs", "ratio"], &rows);
    let Some(profile) = inside.profile else { return };
    println!();
    let rows = profile.into_iter().map(|(name, share)| vec![name, format!("{share:.1}")]);
    table::print(&["a login, by the library of the innermost function", "%"], &rows.collect::<Vec<_>>());
}

/// Microseconds for one login, measured one right after the other.
struct Costs {
    login: f64,
    wall: f64,
    nothing: f64,
    tls: f64,
    signing: f64,
}

impl Costs {
    fn floor(&self) -> f64 {
        self.tls + self.signing
    }
}

async fn costs(
    login: &Subject,
    nothing: &Subject,
    floor: &Path,
    upstreams: &Upstreams,
    options: &Options,
) -> Vec<Costs> {
    let processes = (login.start().await, nothing.start().await);
    cpu_micros(nothing, &processes.1, WARM_UP).await;
    cpu_micros(login, &processes.0, WARM_UP).await;
    let requests = TemporaryFile::new(&upstreams.recorded().to_string());
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let login = cpu_micros(login, &processes.0, options.logins).await;
        let wall = started.elapsed().as_secs_f64() * 1e6 / options.logins as f64;
        let nothing = cpu_micros(nothing, &processes.1, options.logins).await;
        let mut floor = Command::new(floor);
        floor.arg(requests.path()).arg(options.logins.to_string());
        let output = floor.env_clear().envs(upstreams.variables(Secrets::Variables)).output().await.unwrap();
        let floor: Value = serde_json::from_slice(&output.stdout).expect("the floor is JSON");
        let [tls, signing] = ["tls", "signing"].map(|part| floor[part].as_f64().unwrap());
        costs.push(Costs { login, wall, nothing, tls, signing });
    }
    processes.0.stop().await;
    processes.1.stop().await;
    costs
}

/// The CPU time of an invocation.
async fn cpu_micros(subject: &Subject, process: &Process, invocations: usize) -> f64 {
    let before = profile::process_cpu_micros(process.id);
    for _ in 0..invocations {
        subject.invoke(process).await;
    }
    (profile::process_cpu_micros(process.id) - before) / invocations as f64
}

struct Inside {
    allocations: f64,
    bytes: f64,
    profile: Option<Vec<(String, f64)>>,
}

/// What is not seen from outside of the process, so that the function is in this one.
fn in_process(upstreams: &Upstreams, options: &Options) -> Inside {
    let logins = options.logins;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let env = Env::from_iter(upstreams.variables(Secrets::Variables));
    let lines = shared::log::json_subscriber(&env, &[Login::NAME], std::io::sink).unwrap();
    tracing::subscriber::set_global_default(lines).unwrap();
    let setup = Setup::new(env, Clock::system()).unwrap();
    let app = runtime.block_on(App::<Login>::start(&setup)).unwrap();
    let event = subjects::event(Login::NAME).now().to_string();
    let login = || {
        let request: Request = lambda_http::request::from_str(&event).expect("the event is of a gateway");
        let response = runtime.block_on(app.respond(request)).unwrap();
        assert_eq!(response.status(), 200);
    };
    (0..WARM_UP).for_each(|_| login());
    let counted = allocation_counter::measure(|| (0..logins).for_each(|_| login()));
    let profile = (!options.no_profile).then(|| profile::by_library(|| (0..5 * logins).for_each(|_| login())));
    let each = |count: u64| count as f64 / logins as f64;
    Inside { allocations: each(counted.count_total), bytes: each(counted.bytes_total), profile }
}
