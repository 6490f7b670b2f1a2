//! The Lambda Runtime API, for one process that is a function.
//!
//! Source: Lambda developer guide, "Lambda runtime API".

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use shared::clock::Clock;
use tokio::process::Command;
use tokio::sync::{Notify, OnceCell, mpsc, oneshot};

use crate::root;

/// More than a function takes for anything here.
const WITHIN: Duration = Duration::from_secs(30);

type Answer = Result<Value, Value>;
type Event = (String, oneshot::Sender<Answer>);

/// A binary of this workspace, run as Lambda runs it.
#[derive(Debug)]
pub struct Process {
    events: mpsc::UnboundedSender<Event>,
    stop: Arc<Notify>,
    output: tokio::task::JoinHandle<Output>,
}

#[derive(Clone)]
struct Api {
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    waiting: Arc<Mutex<Option<oneshot::Sender<Answer>>>>,
}

impl Process {
    /// Starts a function's binary with these variables and no others.
    pub async fn start(function: &str, variables: &BTreeMap<String, String>) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let api = Api { events: Arc::new(tokio::sync::Mutex::new(received)), waiting: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let mut child = Command::new(binary(function).await);
        child
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = child.spawn().expect("the binary starts");
        let stop = Arc::<Notify>::default();
        let stopped = Arc::clone(&stop);
        let output = tokio::spawn(async move {
            tokio::select! {
                _ = stopped.notified() => child.start_kill().unwrap(),
                _ = child.wait() => {}
            }
            child.wait_with_output().await.unwrap()
        });
        Self { events, stop, output }
    }

    /// Invokes the function.
    ///
    /// # Errors
    ///
    /// The function error.
    pub async fn invoke(&self, event: &Value) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.events.send((event.to_string(), answer)).unwrap();
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

async fn next(State(api): State<Api>) -> Response<Body> {
    let Some((event, answer)) = api.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    *api.waiting.lock().unwrap() = Some(answer);
    let deadline = Clock::system().now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(15);
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:x")
        .body(Body::from(event))
        .unwrap()
}

async fn response(State(api): State<Api>, Path(_): Path<String>, body: String) -> StatusCode {
    answer(&api, Ok(serde_json::from_str(&body).unwrap()))
}

async fn error(State(api): State<Api>, Path(_): Path<String>, body: String) -> StatusCode {
    answer(&api, Err(serde_json::from_str(&body).unwrap()))
}

fn answer(api: &Api, answer: Answer) -> StatusCode {
    let waiting = api.waiting.lock().unwrap().take();
    waiting.expect("one answer to each event").send(answer).expect("somebody waits for the answer");
    StatusCode::ACCEPTED
}

/// A binary of this workspace. `cargo test` does not build binaries of other packages, so it is asked to once.
pub async fn binary(name: &str) -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        // Of the whole workspace, so that features and with them the dependencies are those of the tests.
        let mut cargo = Command::new(env!("CARGO"));
        // Build scripts that look at these would run again, and rebuild half of the dependencies.
        #[expect(clippy::disallowed_methods, reason = "it is about the environment of a child process")]
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        cargo.args(["build", "--workspace", "--bins", "--locked", "--offline", "--message-format=json"]);
        let output = cargo.current_dir(root()).stderr(Stdio::inherit()).output().await.unwrap();
        assert!(output.status.success(), "the binaries cannot be built");
        let messages = String::from_utf8(output.stdout).unwrap();
        let executable = messages.lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            Some(PathBuf::from(message["executable"].as_str()?))
        });
        executable.expect("there are binaries").parent().unwrap().to_owned()
    };
    BUILT.get_or_init(build).await.join(name)
}
