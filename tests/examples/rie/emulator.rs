//! The Runtime Interface Emulator around a binary: it starts the binary, is its Runtime API, and takes its invocations
//! over HTTP.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use local::iam::logical_id;
use serde_json::{Map, Value, json};
use tests::events::{Door, Invoke, Outcome};
use tests::http::Client;
use tests::patience::until;
use tests::variables::variables;
use tests::world::World;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where it is invoked, whatever the function is called.
///
/// Source: README of aws-lambda-runtime-interface-emulator.
const INVOCATIONS: &str = "/2015-03-31/functions/function/invocations";

/// How the last line of a function begins whose emulator is gone: `lambda_runtime` asks it for the next event in vain.
const LAST_WORDS: &str = "Error: hyper_util::client::legacy::Error(";

/// How often it is started: somebody else may take a port that was free.
const STARTS: usize = 3;

/// The emulator, and the binaries that it is to run.
pub(crate) struct Emulator {
    rie: PathBuf,
    binaries: PathBuf,
    logs: PathBuf,
}

/// An emulator with one function, which has one instance. Both end with it.
pub(crate) struct Running {
    url: String,
    client: Client,
    _process: Mutex<Child>,
}

impl Emulator {
    /// Everything is where it is said to be, for these functions.
    pub(crate) fn new(rie: &Path, binaries: &Path, logs: PathBuf, functions: &[&str]) -> Result<Self, String> {
        let found = |path: &Path| path.canonicalize().map_err(|err| format!("{}: {err}", path.display()));
        std::fs::create_dir_all(&logs).map_err(|err| format!("{}: {err}", logs.display()))?;
        let emulator = Self { rie: found(rie)?, binaries: found(binaries)?, logs };
        for function in functions {
            found(&emulator.binary(function))?;
            // Of the time before. There may be none.
            let _ = std::fs::remove_file(emulator.log(function));
        }
        Ok(emulator)
    }

    fn binary(&self, function: &str) -> PathBuf {
        self.binaries.join(function).join("bootstrap")
    }

    /// What the emulator of a function, and the function, have written.
    pub(crate) fn log(&self, function: &str) -> PathBuf {
        self.logs.join(format!("{function}.log"))
    }

    /// What is wrong with the lines that a function has written. They are not shown: what is no JSON may be anything.
    pub(crate) fn stray_lines(&self, function: &str) -> Vec<String> {
        let path = self.log(function);
        let log = std::fs::read_to_string(&path).expect("the log can be read");
        let lines = log.lines().enumerate().filter(|(_, line)| !is_of_emulator(line) && !line.starts_with(LAST_WORDS));
        let (json, stray): (Vec<_>, Vec<_>) =
            lines.partition(|(_, line)| serde_json::from_str::<Map<String, Value>>(line).is_ok());
        let place = |at: usize| format!("wrote a line that is no JSON object: {}:{at}", path.display());
        let mut problems: Vec<_> = stray.into_iter().map(|(at, _)| place(at + 1)).collect();
        if json.is_empty() {
            problems.push(format!("wrote no line of its own: {}", path.display()));
        }
        problems
    }

    fn spawn(&self, world: &World, function: &str, [api, invocations]: [SocketAddr; 2]) -> Child {
        let log = File::options().create(true).append(true).open(self.log(function)).expect("there is a file for it");
        Command::new(&self.rie)
            .args(["--runtime-api-address", &api.to_string()])
            .args(["--runtime-interface-emulator-address", &invocations.to_string()])
            .arg(self.binary(function))
            .env_clear()
            .envs(variables(world, &logical_id(function, "Function")))
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "30")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator starts")
    }
}

impl Door for Emulator {
    type Instance = Running;

    const HAS_OWN_CLOCK: bool = true;

    async fn open(&self, world: &World, function: &str) -> Running {
        for _ in 0..STARTS {
            let addresses = free_addresses();
            let process = Mutex::new(self.spawn(world, function, addresses));
            let has_ended = || !matches!(process.lock().unwrap().try_wait(), Ok(None));
            let [_, invocations] = addresses;
            until("the emulator to listen", async || has_ended() || TcpStream::connect(invocations).await.is_ok())
                .await;
            if !has_ended() {
                let url = format!("http://{invocations}{INVOCATIONS}");
                return Running { url, client: Client::default(), _process: process };
            }
        }
        panic!("the emulator ended {STARTS} times: see {}", self.log(function).display());
    }
}

impl Invoke for Running {
    async fn invoke(&self, event: &Value, _: &World) -> Outcome {
        let reply = self.client.post(&self.url, &[], event).await;
        match reply.status {
            // No header tells a function error from a reply, as Lambda's does.
            200 if reply.json.get("errorType").is_some() => Err(reply.json),
            200 => Ok(reply.json),
            status => Err(json!({ "emulator": status, "body": String::from_utf8_lossy(&reply.body) })),
        }
    }
}

/// Whether the emulator wrote a line, and not the function in it: `21 Nov 2026 19:02:33,963 [INFO] (rapid) ..`, or what
/// Lambda writes around an invocation.
fn is_of_emulator(line: &str) -> bool {
    let is_around = ["START", "END", "REPORT"].iter().any(|word| line.starts_with(&format!("{word} RequestId: ")));
    let logged = line.split_once(" [").filter(|(time, _)| time.starts_with(|first: char| first.is_ascii_digit()));
    is_around || logged.is_some_and(|(_, rest)| rest.contains("] (rapid) "))
}

/// Two addresses that are free now.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has an address"))
}
