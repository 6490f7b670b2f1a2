//! An instance of a function: what Lambda starts, and invokes one event after the other.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::Context;
use serde::Serialize;
use shared::random;
use tokio_util::task::AbortOnDropHandle;

/// The timeout of every function.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type Handler = dyn Fn(Vec<u8>, Context) -> BoxFuture<InvocationResult> + Send + Sync;

/// What an invocation returns.
pub type InvocationResult = Result<Vec<u8>, FunctionError>;

/// A function error, as the Lambda Invoke API gives it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// The kind of error.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
    /// Whether the instance is at its end.
    #[serde(skip)]
    pub(crate) ends_instance: bool,
}

impl FunctionError {
    /// The function's own: the instance lives on.
    pub(crate) fn refusal(error_type: String, error_message: String) -> Self {
        Self { error_type, error_message, ends_instance: false }
    }

    fn end(error_type: &str, error_message: String) -> Self {
        Self { error_type: error_type.to_owned(), error_message, ends_instance: true }
    }

    pub(crate) fn new<E: fmt::Display>(err: E) -> Self {
        Self::refusal(std::any::type_name::<E>().to_owned(), err.to_string())
    }
}

/// One warm instance of a function.
#[derive(Clone)]
pub struct Instance(pub(crate) Arc<Handler>);

impl Instance {
    /// Invokes the instance with an event, under a new request id.
    ///
    /// # Errors
    ///
    /// If the function panics, or does not take the event for one of its own, or runs into its timeout.
    pub async fn invoke(&self, event: Vec<u8>, now: SystemTime) -> InvocationResult {
        self.invoke_within(event, now, TIMEOUT).await
    }

    /// Invokes the instance with an event and the time that Lambda gives it.
    ///
    /// # Errors
    ///
    /// As [`Self::invoke`].
    pub async fn invoke_within(&self, event: Vec<u8>, now: SystemTime, timeout: Duration) -> InvocationResult {
        self.invoke_as(request_id(), event, now, timeout).await
    }

    /// Invokes the instance with an event under a request id of the caller's, by which the log can be searched.
    ///
    /// # Errors
    ///
    /// As [`Self::invoke`].
    pub async fn invoke_as(
        &self,
        request_id: String,
        event: Vec<u8>,
        now: SystemTime,
        timeout: Duration,
    ) -> InvocationResult {
        let context = context(&request_id, now, timeout);
        // A task of its own, so that a panic is a function error and not the end of the machine.
        let task = AbortOnDropHandle::new(tokio::spawn((self.0)(event, context)));
        match tokio::time::timeout(timeout, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                let message = format!("RequestId: {request_id} Error: the function panicked");
                Err(FunctionError::end("Runtime.Panic", message))
            }
            Err(_) => {
                let secs = timeout.as_secs_f64();
                let message = format!("RequestId: {request_id} Error: Task timed out after {secs:.2} seconds");
                Err(FunctionError::end("Sandbox.Timedout", message))
            }
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

fn context(request_id: &str, now: SystemTime, timeout: Duration) -> Context {
    let ends_at = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO) + timeout;
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    context.deadline = u64::try_from(ends_at.as_millis()).unwrap_or(u64::MAX);
    context
}

/// A random id in the form of a UUID, which is the form of AWS's.
pub(crate) fn request_id() -> String {
    let id = format!("{:032x}", u128::from_be_bytes(random::bytes()));
    let (time, rest) = id.split_at(8);
    format!("{time}-{}-4{}-a{}-{}", &rest[..4], &rest[5..8], &rest[9..12], &rest[12..])
}
