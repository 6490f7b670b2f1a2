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
use stubs::upstreams::{Secrets, Upstreams};
use tokio::process::Command;
use tokio::runtime::Runtime;

/// The program that does what no login can do without.
const FLOOR: &str = "floor";

/// Logins before the first one that counts.
const WARM_UP: usize = 50;

#[derive(Parser)]
struct Options {
    /// How many logins are measured, five times.
    #[arg(long, default_value_t = 1000)]
    logins: usize,
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
    let instance = others.block_on(process(&subject(Login::NAME), options.logins));
    let nothing = others.block_on(process(&subject(DO_NOTHING), options.logins));
    let inside = std::thread::Builder::new().name("measured".to_owned());
    let inside = std::thread::scope(|scope| {
        inside.spawn_scoped(scope, || in_process(&upstreams, options.logins)).unwrap().join().unwrap()
    });
    let floor = others.block_on(floor(&binaries[FLOOR], &upstreams, options.logins));
    print(&options, &instance, &nothing, &floor, inside);
}

fn print(options: &Options, instance: &Costs, nothing: &Costs, floor: &Floor, inside: Inside) {
    let least = floor.tls + floor.signing;
    let row = |what: &str, micros: f64| vec![what.to_owned(), format!("{micros:.0}"), format!("{:.2}", micros / least)];
    println!("One warm instance, one login after the other, medians of 5 times {}.\n", options.logins);
    println!("logins per second, behind the Runtime API: {:.0}", 1e6 / instance.wall);
    println!("allocations per login, without the Runtime API: {:.0}, {:.0} bytes\n", inside.allocations, inside.bytes);
    let rows = [
        row("a login, behind the Runtime API", instance.cpu),
        row("a function that does nothing, behind the Runtime API", nothing.cpu),
        row("a login's TLS alone: the same bytes over open connections", floor.tls),
        row("a login's signatures alone", floor.signing),
        row("its TLS and signatures alone", least),
    ];
    table::print(&["CPU time", "µs", "ratio"], &rows);
    println!();
    let rows = inside.profile.into_iter().map(|(name, share)| vec![name, format!("{share:.1}")]);
    table::print(&["a login, by the library of the innermost function", "%"], &rows.collect::<Vec<_>>());
}

/// Microseconds.
struct Floor {
    tls: f64,
    signing: f64,
}

/// What the requests of the last login cost by themselves.
async fn floor(binary: &Path, upstreams: &Upstreams, logins: usize) -> Floor {
    let requests = TemporaryFile::new(&upstreams.recorded().to_string());
    let mut command = Command::new(binary);
    command.arg(requests.path()).arg(logins.to_string());
    let output = command.env_clear().envs(upstreams.variables(Secrets::Variables)).output().await.unwrap();
    let costs: Value = serde_json::from_slice(&output.stdout).expect("the floor is JSON");
    Floor { tls: costs["tls"].as_f64().unwrap(), signing: costs["signing"].as_f64().unwrap() }
}

/// Microseconds.
struct Costs {
    cpu: f64,
    wall: f64,
}

async fn process(subject: &Subject, logins: usize) -> Costs {
    let process = subject.start().await;
    for _ in 0..WARM_UP {
        subject.invoke(&process).await;
    }
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (cpu_before, started) = (profile::process_cpu_micros(process.id), Instant::now());
        for _ in 0..logins {
            subject.invoke(&process).await;
        }
        wall.push(started.elapsed().as_secs_f64() * 1e6 / logins as f64);
        cpu.push((profile::process_cpu_micros(process.id) - cpu_before) / logins as f64);
    }
    process.stop().await;
    Costs { cpu: table::median(cpu), wall: table::median(wall) }
}

struct Inside {
    allocations: f64,
    bytes: f64,
    profile: Vec<(String, f64)>,
}

/// What is not seen from outside of the process, so that the function is in this one.
fn in_process(upstreams: &Upstreams, logins: usize) -> Inside {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let env = Env::from_iter(upstreams.variables(Secrets::Variables));
    let lines = shared::log::json_subscriber(&env, &[Login::NAME], std::io::sink).unwrap();
    tracing::subscriber::set_global_default(lines).unwrap();
    let setup = Setup::new(env, Clock::system()).unwrap();
    let app = runtime.block_on(App::<Login>::start(&setup)).unwrap();
    let event = subjects::event(Login::NAME).to_string();
    let login = || {
        let request: Request = lambda_http::request::from_str(&event).expect("the event is of a gateway");
        let response = runtime.block_on(app.respond(request)).unwrap();
        assert_eq!(response.status(), 200);
    };
    (0..WARM_UP).for_each(|_| login());
    let counted = allocation_counter::measure(|| (0..logins).for_each(|_| login()));
    let profile = profile::by_library(|| (0..5 * logins).for_each(|_| login()));
    let each = |count: u64| count as f64 / logins as f64;
    Inside { allocations: each(counted.count_total), bytes: each(counted.bytes_total), profile }
}
