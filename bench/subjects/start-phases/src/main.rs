//! The start of `login` in pieces, each with the time that it takes: one JSON line, in milliseconds.
#![expect(clippy::print_stdout, reason = "the line is what this is run for")]

use std::time::{Duration, Instant, UNIX_EPOCH};

use lambda_http::{Error, run, service_fn};
use login::Login;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use shared::http::{App, HttpFunction as _};
use shared::log::json_subscriber;
use shared::setup::Setup;

/// The variable with the time at which this process was started, in nanoseconds since 1970.
const STARTED_AT: &str = "STARTED_AT_NANOS";

struct Phases {
    last: Instant,
    names_and_millis: Vec<Value>,
}

impl Phases {
    fn end(&mut self, name: &str) {
        let now = Instant::now();
        self.names_and_millis.push(json!([name, millis(now - self.last)]));
        self.last = Instant::now();
    }
}

fn main() -> Result<(), Error> {
    let (started, clock) = (Instant::now(), Clock::system());
    let since_epoch = clock.now().duration_since(UNIX_EPOCH)?;
    let mut phases = Phases { last: started, names_and_millis: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    phases.end("runtime");
    runtime.block_on(async {
        let env = Env::process();
        phases.end("environment");
        tracing::subscriber::set_global_default(json_subscriber(&env, &[Login::NAME], std::io::stdout)?)?;
        phases.end("log");
        let _ = rustls::crypto::ring::default_provider();
        phases.end("crypto provider");
        let late = Setup::new(env.clone(), clock.clone())?.without_early_connections();
        phases.end("roots and TLS configuration");
        let _clients = (late.wechat()?, late.table()?);
        phases.end("clients");
        let _secrets = tokio::try_join!(late.apps(), late.sealer())?;
        phases.end("apps and keys");

        let setup = Setup::new(env.clone(), clock)?;
        phases.last = Instant::now();
        let _connecting = (setup.wechat()?, setup.table_with_connections(2)?);
        phases.end("connections, begun");
        let app = App::<Login>::start(&setup.without_early_connections()).await?;

        let started_at = env.get(STARTED_AT).and_then(|nanos| nanos.parse().ok()).map(Duration::from_nanos);
        let loaded = started_at.map(|at| millis(since_epoch.saturating_sub(at)));
        println!("{}", json!({ "untilMain": loaded, "phases": phases.names_and_millis }));
        run(service_fn(|request| app.respond(request))).await
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
