//! `cargo dev`, `cargo demo`, and what else a developer needs on a laptop.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "there is a person in front of it")]

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use local::catalog::{self, Catalog, Stock};
use local::dev_files::{DevFiles, Secrets};
use local::elsewhere::{AskedTimers, Timers};
use local::functions::Functions;
use local::iam::{Policies, TemplateError};
use local::machine::{Machine, Options};
use local::pay_keys::{KeyMode, PayKeys};
use local::sdk::SdkTable;
use local::signals::Signals;
use local::{demo, dev_files, sample};
use shared::clock::Clock;
use shared::env::{ConfigError, Env};
use shared::log;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

/// The local machine: every function, an embedded DynamoDB and a WeChat sandbox.
#[derive(Parser)]
#[command(name = "local")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Products and cards.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Walk the whole journey of a user on free ports, and print each exchange.
    Demo,
    /// Run everything until Ctrl-C.
    Dev(Dev),
    /// Print a sample event, with what ages made fresh.
    Event {
        /// The function, such as `login`.
        function: String,
        /// The case: the name of a file in `events/<function>/`, without `.json`.
        case: String,
    },
}

#[derive(Subcommand)]
enum CatalogCommand {
    /// Load products and cards into a table that is there. Region and credentials come from the environment.
    Put {
        /// The table.
        #[arg(long, value_name = "NAME")]
        table: String,
        /// Set the stock of products that are there too. Otherwise it is left alone, because orders count it.
        #[arg(long)]
        set_stock: bool,
        /// What `aws dynamodb batch-write-item --request-items` takes, whatever table it names.
        file: PathBuf,
    },
}

#[derive(Args)]
struct Dev {
    /// The port of the functions.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// The port of the WeChat sandbox.
    #[arg(long, default_value_t = 9001)]
    sandbox_port: u16,
    /// The port of the embedded DynamoDB.
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// The address to listen on. Anything but loopback lets others in: nothing here checks who they are.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Keep the table, and the keys that go with it, in this directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which of WeChat Pay's keys the sandbox's merchant has.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pay_keys: KeyMode,
    /// Run no timers.
    #[arg(long)]
    no_schedule: bool,
    /// Run the timers also with a table of another machine, which has timers of its own.
    #[arg(long, conflicts_with = "no_schedule")]
    schedule: bool,
    /// Start also where some endpoints are on other machines, and the sandbox is the rest.
    #[arg(long)]
    mixed: bool,
}

impl Dev {
    fn asked_timers(&self) -> AskedTimers {
        match (self.schedule, self.no_schedule) {
            (true, _) => AskedTimers::Run,
            (_, true) => AskedTimers::None,
            _ => AskedTimers::Default,
        }
    }
}

/// Where `cargo dev` writes what its functions are given, and the keys that `event` signs with.
const FILES: &str = "target/dev";

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse_from(arguments()).command {
        Command::Catalog(CatalogCommand::Put { table, set_stock, file }) => {
            let stock = if set_stock { Stock::Set } else { Stock::LeftAlone };
            put_catalog(&table, &file, stock).await
        }
        Command::Demo => run_demo().await,
        Command::Dev(dev) => run_dev(dev).await,
        Command::Event { function, case } => print_event(&function, &case),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let chain = std::iter::successors(Some(err.as_ref() as &dyn Error), |&err| err.source());
            eprintln!("error: {}", chain.map(ToString::to_string).collect::<Vec<_>>().join(": "));
            ExitCode::FAILURE
        }
    }
}

/// `cargo dev -- --port 1` arrives here as `dev -- --port 1`: the alias ends with `-- dev`.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args().enumerate().filter(|(at, argument)| *at != 2 || argument != "--").map(|(_, argument)| argument)
}

async fn run_dev(dev: Dev) -> Result<(), Box<dyn Error>> {
    let env = Env::process();
    log_for_people(&env)?;
    if !dev.bind.is_loopback() {
        eprintln!("warning: {} can be reached from outside, and nothing here checks who calls", dev.bind);
    }
    let (timers, secrets) = (Timers::of(dev.asked_timers(), &env), Secrets::of(&env));
    let (port, sandbox_port, dynamodb_port) = (dev.port, dev.sandbox_port, dev.dynamodb_port);
    let (bind, data, clock) = (dev.bind, dev.data, Clock::system());
    let mut signals = Signals::listen()?;
    let (pay_keys, mixed) = (dev.pay_keys, dev.mixed);
    let schedule = timers == Timers::Run;
    // What may be done at a DynamoDB that is given from outside is decided there.
    let policies = env.get("AWS_ENDPOINT_URL_DYNAMODB").is_none().then(policies).transpose()?;
    let given = Options { bind, data, env, clock, pay_keys, schedule, policies, ..Options::default() };
    let options = Options { port, sandbox_port, dynamodb_port, mixed, ..given };
    let mut files = DevFiles::open(root().join(FILES), secrets)?;
    let machine = tokio::select! {
        machine = Machine::start(options) => machine?,
        () = signals.next() => return Ok(()),
    };
    files.write(&machine)?;
    if timers == Timers::LeftToTable {
        eprintln!("no timers: the table is not on this machine; --schedule runs them all the same");
    }
    println!("{}", ready(&machine));
    signals.next().await;
    drop(files);
    tokio::select! {
        () = machine.stop() => {}
        () = signals.next() => {} // A second signal: the developer is in a hurry.
    }
    Ok(())
}

/// One line. The sandbox has a word of its own where it is not the `wechat` of the functions.
fn ready(machine: &Machine) -> String {
    let (functions, wechat, dynamodb) = (machine.gateway_url(), machine.wechat_url(), machine.dynamodb_url());
    let line = format!("ready: functions {functions}  wechat {wechat}  dynamodb {dynamodb}");
    match machine.sandbox_url().filter(|url| *url != wechat) {
        Some(sandbox) => format!("{line}  sandbox {sandbox}"),
        None => line,
    }
}

async fn run_demo() -> Result<(), Box<dyn Error>> {
    let mut env = Env::default();
    env.set("RUST_LOG", Env::process().get("RUST_LOG").unwrap_or("error"));
    log_for_people(&env)?;
    let policies = Some(policies()?);
    let machine = Machine::start(Options { env, policies, ..Options::default() }).await?;
    let outcome = demo::run(&machine, |text| println!("{text}")).await;
    machine.stop().await;
    Ok(outcome?)
}

/// Nothing is written before all of the file is read.
async fn put_catalog(table: &str, file: &Path, stock: Stock) -> Result<(), Box<dyn Error>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|err| format!("{name} cannot be read: {err}"))?;
    let catalog = Catalog::parse(&text).map_err(|err| format!("{name}: {err}"))?;
    let mut env = Env::process();
    env.set("TABLE_NAME", table);
    let table = SdkTable::from_env(&env).map_err(|err| {
        format!("{err}: set AWS_REGION, and run `eval $(aws configure export-credentials --format env)`")
    })?;
    Ok(catalog::put(&table, &catalog, stock, catalog::PATIENCE, |line| println!("{line}")).await?)
}

fn print_event(function: &str, case: &str) -> Result<(), Box<dyn Error>> {
    let now = Clock::system().now();
    let mut event = sample::fresh(&root(), function, case, now)?;
    if sample::is_of_wechat_pay(&event) {
        let path = dev_files::pay_keys(&root().join(FILES));
        let keys = PayKeys::read(&path);
        let keys = keys.map_err(|err| format!("{} cannot be read ({err}): run `cargo dev` first", path.display()))?;
        event = sample::sign(event, &keys, now)?;
    }
    match writeln!(io::stdout(), "{event:#}") {
        // A reader such as `head` may have enough of it early.
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// What the functions may do on AWS, they may do here.
fn policies() -> Result<Arc<Policies>, TemplateError> {
    Policies::read(&root().join("template.yaml")).map(Arc::new)
}

/// The root of the project: `cargo run` tells where the package is.
fn root() -> PathBuf {
    let package = Env::process().get("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Lines for a person. What may be seen is what may be seen on Lambda, without the embedded DynamoDB's warnings: it has
/// one for every condition that does not hold.
fn log_for_people(env: &Env) -> Result<(), ConfigError> {
    let own: Vec<&str> = Functions::names().chain(["local"]).collect();
    let filter = log::log_filter(env, &own)?;
    let lines = tracing_subscriber::fmt::layer().compact().with_target(false).with_writer(io::stderr);
    let lines = lines.with_ansi(io::stderr().is_terminal());
    let lines = lines.with_filter(filter_fn(move |event| filter(event) && !event.target().starts_with("dynoxide")));
    // It fails only if there is a subscriber, and then lines are written by that one.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    Ok(())
}
