//! A function that is invoked directly, or on a schedule: from an event to a reply or a function error.

use std::fmt;
use std::time::{Duration, Instant};

use lambda_http::LambdaEvent;
use lambda_http::http::StatusCode;
use lambda_http::lambda_runtime::Diagnostic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::ConfigError;
use crate::error::{ApiError, ErrorCode};
use crate::log;
use crate::request;
use crate::setup::Setup;

/// A function that takes and returns plain JSON. IAM decides who may invoke it.
pub trait DirectFunction: Sized + Send + Sync + 'static {
    /// The function's one name.
    const NAME: &'static str;

    /// The longest that an invocation takes.
    const WITHIN: Duration;

    /// What it takes, from a JSON object.
    type Input: DeserializeOwned + Send;

    /// What it returns, as a JSON object.
    type Reply: Serialize + Send;

    /// Reads the configuration and makes the clients, once per instance.
    fn start(setup: &Setup) -> impl Future<Output = Result<Self, ConfigError>> + Send;

    /// Does what it is for.
    fn call(
        &self,
        invocation: &Invocation,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Reply, ApiError>> + Send;
}

/// One invocation.
pub struct Invocation {
    function: &'static str,
    request_id: String,
    deadline: Deadline,
}

impl Invocation {
    /// The function's name.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The id of the invocation, which the log has.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// When the reply has to be ready.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invocation({} {})", self.function, self.request_id)
    }
}

/// A started instance of a function.
#[derive(Debug)]
pub struct App<F> {
    function: F,
    clock: Clock,
}

impl<F: DirectFunction> App<F> {
    /// Starts an instance: one that is misconfigured never serves.
    ///
    /// # Errors
    ///
    /// If the function's configuration is not complete and correct.
    pub async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        Ok(Self { function: F::start(setup).await?, clock: setup.clock().clone() })
    }

    /// Answers one invocation.
    ///
    /// # Errors
    ///
    /// A refusal: its type is the error's `code`, its message the error's own.
    pub async fn invoke(&self, event: LambdaEvent<Box<RawValue>>) -> Result<F::Reply, Diagnostic> {
        let started = Instant::now();
        let LambdaEvent { payload, context } = event;
        let deadline = Deadline::of_invocation(context.deadline(), self.clock.now(), F::WITHIN);
        let invocation = Invocation { function: F::NAME, request_id: context.request_id.clone(), deadline };
        let outcome = self.answer(&payload, &invocation).await;
        let err = outcome.as_ref().err();
        let status = err.map_or(StatusCode::OK, |err| err.code.status());
        log::request(F::NAME, invocation.request_id(), status, err, started);
        outcome.map_err(|err| Diagnostic {
            error_type: err.code.as_str().to_owned(),
            error_message: err.message.into_owned(),
        })
    }

    async fn answer(&self, payload: &RawValue, invocation: &Invocation) -> Result<F::Reply, ApiError> {
        let payload = if is_of_eventbridge(payload) { "{}" } else { payload.get() };
        let input = request::parse(payload.as_bytes());
        let input = input.map_err(|problem| match is_of_http(payload) {
            true => ApiError::invalid_request(HTTP_EVENT),
            false => ApiError::invalid_request(problem),
        })?;
        let reply = invocation.deadline.bound(self.function.call(invocation, input)).await;
        reply.unwrap_or_else(|| Err(ApiError::new(ErrorCode::Busy)))
    }
}

/// For an operator who has put such a function behind a route.
const HTTP_EVENT: &str = "expected the function's input as plain JSON, by the Lambda Invoke API; this is an HTTP event";

/// Whether this is what API Gateway, a function URL or a load balancer sends.
fn is_of_http(payload: &str) -> bool {
    let event: Option<Value> = serde_json::from_str(payload).ok();
    event.is_some_and(|event| event.get("requestContext").is_some_and(Value::is_object))
}

/// Whether this is what EventBridge sends by itself, for a rule or a schedule without an input of its own. Nobody else
/// names a source of AWS.
/// Source: EventBridge user guide, "Events": `source` of AWS services begins with `aws.`; here `aws.events` and
/// `aws.scheduler`.
fn is_of_eventbridge(payload: &RawValue) -> bool {
    let event: Option<Value> = serde_json::from_str(payload.get()).ok();
    let source = event.as_ref().and_then(|event| event.get("source")?.as_str());
    source.is_some_and(|source| source.starts_with("aws."))
}
