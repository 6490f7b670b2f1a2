//! The start of `login` in pieces, each with the time that it takes: one JSON line, in milliseconds.
#![expect(clippy::print_stdout, reason = "the line is what this is run for")]

use std::time::{Duration, Instant, UNIX_EPOCH};

use lambda_http::{Body, Error, Response, run, service_fn};
use login::Login;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use shared::http::HttpFunction as _;
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
        self.names_and_millis.push(json!([name, self.last.elapsed().as_secs_f64() * 1e3]));
        self.last = Instant::now();
    }
}

fn main() -> Result<(), Error> {
    let clock = Clock::system();
    let mut phases = Phases { last: Instant::now(), names_and_millis: vec![json!(["process, until main", 0])] };
    let since_epoch = clock.now().duration_since(UNIX_EPOCH)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    phases.end("tokio");
    runtime.block_on(async {
        let env = Env::process();
        phases.end("environment");
        tracing::subscriber::set_global_default(json_subscriber(&env, &[Login::NAME], std::io::stdout)?)?;
        phases.end("log");
        std::hint::black_box(rustls::crypto::ring::default_provider());
        phases.end("crypto provider");
        let setup = Setup::new(env.clone(), clock)?;
        phases.end("roots and TLS configuration");
        let _clients = (setup.wechat()?, setup.table_with_connections(2)?);
        phases.end("clients, connections begun");
        let _secrets = tokio::try_join!(setup.apps(), setup.sealer())?;
        phases.end("apps and keys");

        let started_at = env.get(STARTED_AT).and_then(|nanos| nanos.parse().ok()).map(Duration::from_nanos);
        let until_main = since_epoch.saturating_sub(started_at.unwrap_or(since_epoch));
        phases.names_and_millis[0][1] = json!(until_main.as_secs_f64() * 1e3);
        println!("{}", Value::Array(phases.names_and_millis));
        run(service_fn(async |_| Ok::<_, Error>(Response::new(Body::from("{}"))))).await
    })
}
