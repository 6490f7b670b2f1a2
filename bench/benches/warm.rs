//! What one warm login costs, and what of that is work that no login can do without. `bench/README.md` says more.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::path::Path;
use std::time::{Duration, Instant};

use bench::floor::Floor;
use bench::subjects::{self, DO_NOTHING, Subject};
use bench::{profile, table};
use clap::Parser;
use lambda_http::Request;
use login::Login;
use shared::clock::Clock;
use shared::env::Env;
use shared::http::{App, HttpFunction as _};
use shared::setup::Setup;
use stubs::upstreams::{Secrets, Upstreams};
use tokio::runtime::Runtime;

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
    let binaries = others.block_on(subjects::release_binaries(&[Login::NAME.to_owned(), DO_NOTHING.to_owned()]));
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

    let floor = inside.signing + inside.tls;
    let row = |what: &str, micros: f64| vec![what.to_owned(), format!("{micros:.0}"), format!("{:.2}", micros / floor)];
    println!("One warm instance, one login after the other, medians of 5 times {}.\n", options.logins);
    println!("logins per second, behind the Runtime API: {:.0}", 1e6 / instance.wall);
    println!("allocations per login, without the Runtime API: {:.0}, {:.0} bytes\n", inside.allocations, inside.bytes);
    let rows = [
        row("a login, behind the Runtime API", instance.cpu),
        row("a function that does nothing, behind the Runtime API", nothing.cpu),
        row("a login, without the Runtime API", inside.login),
        row("its TLS alone: the same bytes over open connections", inside.tls),
        row("its signatures alone", inside.signing),
        row("its TLS and signatures alone", floor),
    ];
    table::print(&["CPU time", "µs", "ratio"], &rows);
    println!();
    let rows = inside.profile.into_iter().map(|(name, share)| vec![name, format!("{share:.1}")]);
    table::print(&["a login, by the library of the innermost function", "%"], &rows.collect::<Vec<_>>());
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
    login: f64,
    signing: f64,
    tls: f64,
    allocations: f64,
    bytes: f64,
    profile: Vec<(String, f64)>,
}

fn in_process(upstreams: &Upstreams, logins: usize) -> Inside {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let variables = upstreams.variables(Secrets::Variables);
    let env = Env::from_iter(variables.clone());
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
    let micros = cpu_micros(logins, login);
    let profile = profile::by_library(|| (0..5 * logins).for_each(|_| login()));

    let mut floor = runtime.block_on(Floor::connect(upstreams.recorded(), &variables));
    let signing = cpu_micros(logins, || floor.sign());
    let tls = cpu_micros(logins, || runtime.block_on(floor.exchange()));
    let each = |count: u64| count as f64 / logins as f64;
    let (allocations, bytes) = (each(counted.count_total), each(counted.bytes_total));
    Inside { login: micros, signing, tls, allocations, bytes, profile }
}

/// The CPU time of each round of `work` on this thread: the median of five measurements.
fn cpu_micros(rounds: usize, mut work: impl FnMut()) -> f64 {
    let measurements = (0..5).map(|_| {
        let before = profile::thread_cpu_micros();
        (0..rounds).for_each(|_| work());
        (profile::thread_cpu_micros() - before) / rounds as f64
    });
    table::median(measurements.collect::<Vec<_>>())
}
