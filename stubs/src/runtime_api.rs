//! The Lambda Runtime API, for one process that is a function.
//!
//! Source: Lambda developer guide, "Lambda runtime API".

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use shared::clock::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

/// More than a function takes for anything here.
const WITHIN: Duration = Duration::from_secs(30);

/// A function's process, run as Lambda runs it.
#[derive(Debug)]
pub struct Process {
    /// The process's id.
    pub id: u32,
    /// When it was started.
    pub started_at: Instant,
    events: mpsc::UnboundedSender<Event>,
    stop: Arc<Notify>,
    output: tokio::task::JoinHandle<Output>,
}

/// An invocation that has ended.
#[derive(Debug)]
pub struct Invocation {
    /// When the process took the event: for the first one that is the end of its start.
    pub taken_at: Instant,
    /// When the answer was complete.
    pub answered_at: Instant,
    /// The answer, or the function error.
    pub outcome: Result<Value, Value>,
}

struct Event {
    json: String,
    queued_at: Instant,
    answer: oneshot::Sender<Invocation>,
}

struct Taken {
    at: Instant,
    answer: oneshot::Sender<Invocation>,
}

#[derive(Clone)]
struct Api {
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    taken: Arc<Mutex<Option<Taken>>>,
}

impl Process {
    /// Starts a binary with these variables and no others.
    pub async fn start(binary: &Path, variables: &BTreeMap<String, String>) -> Self {
        let mut command = Command::new(binary);
        command.env_clear().envs(variables);
        Self::start_command(command).await
    }

    /// Starts a command that speaks to the Runtime API.
    pub async fn start_command(mut command: Command) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let (address, server) = serve(received).await;
        // For a process that measures its own start.
        let now = Clock::system().now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        command
            .env("STARTED_AT_NANOS", now.as_nanos().to_string())
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started_at = Instant::now();
        let child = command.spawn().expect("the binary starts");
        let id = child.id().expect("it has just started");
        let stop = Arc::<Notify>::default();
        let output = tokio::spawn(watch(child, Arc::clone(&stop), server));
        Self { id, started_at, events, stop, output }
    }

    /// Invokes the function. An event waits until the process has started.
    pub async fn invoke(&self, event: &Value) -> Invocation {
        let (answer, answered) = oneshot::channel();
        self.events.send(Event { json: event.to_string(), queued_at: Instant::now(), answer }).unwrap();
        tokio::time::timeout(WITHIN, answered).await.expect("an answer in time").expect("an answer")
    }

    /// Stops the process: what it wrote.
    pub async fn stop(self) -> Output {
        self.stop.notify_one();
        self.output.await.unwrap()
    }

    /// Waits for a process that ends by itself: what it wrote.
    pub async fn output(self) -> Output {
        tokio::time::timeout(WITHIN, self.output).await.expect("it ends in time").unwrap()
    }
}

/// The Runtime API for one process: where it listens, and the task that serves it.
async fn serve(events: mpsc::UnboundedReceiver<Event>) -> (String, AbortHandle) {
    let api = Api { events: Arc::new(tokio::sync::Mutex::new(events)), taken: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(api);
    (address, tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle())
}

/// Waits for the end of a process, or brings it about: what it wrote.
async fn watch(mut child: Child, stop: Arc<Notify>, server: AbortHandle) -> Output {
    // Read all the time: a process whose output nobody reads stops.
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (tokio::spawn(read(stdout)), tokio::spawn(read(stderr)));
    tokio::select! {
        _ = stop.notified() => child.start_kill().unwrap(),
        _ = child.wait() => {}
    }
    let status = child.wait().await.unwrap();
    server.abort();
    Output { status, stdout: stdout.await.unwrap(), stderr: stderr.await.unwrap() }
}

async fn read(mut output: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn next(State(api): State<Api>) -> Response<Body> {
    let asked_at = Instant::now();
    let Some(event) = api.events.lock().await.recv().await else { return std::future::pending().await };
    let at = asked_at.max(event.queued_at);
    *api.taken.lock().unwrap() = Some(Taken { at, answer: event.answer });
    let deadline = Clock::system().now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(15);
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:x")
        .body(Body::from(event.json))
        .unwrap()
}

async fn response(State(api): State<Api>, body: Bytes) -> StatusCode {
    answer(&api, Instant::now(), Ok(serde_json::from_slice(&body).unwrap()))
}

async fn error(State(api): State<Api>, body: Bytes) -> StatusCode {
    answer(&api, Instant::now(), Err(serde_json::from_slice(&body).unwrap()))
}

fn answer(api: &Api, answered_at: Instant, outcome: Result<Value, Value>) -> StatusCode {
    let taken = api.taken.lock().unwrap().take().expect("one answer to each event");
    let invocation = Invocation { taken_at: taken.at, answered_at, outcome };
    taken.answer.send(invocation).expect("somebody waits for the answer");
    StatusCode::ACCEPTED
}
