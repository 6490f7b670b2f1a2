//! A function behind HTTP: from the gateway's request to its response.

use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use lambda_http::http::{HeaderMap, Method, StatusCode};
use lambda_http::lambda_runtime::Diagnostic;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, LambdaEvent, Request, RequestExt as _, Response, Service as _, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::ConfigError;
use crate::error::{ApiError, ErrorCode};
use crate::log;
use crate::request;
use crate::setup::Setup;

/// The longest body that a function takes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// For an operator who has put a function behind another service.
/// Source: API Gateway developer guide, "AWS Lambda proxy integrations for HTTP APIs"; Lambda developer guide, "Function
/// URLs", "Using Lambda with an Application Load Balancer".
const UNEXPECTED_EVENT: &str = "expected an event of API Gateway's HTTP API with payload format 2.0, or of a function \
                                URL; REST APIs, payload format 1.0 and load balancers send others";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Answers hold tokens and personal data.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A function that answers POST with JSON.
pub trait HttpFunction: Sized + Send + Sync + 'static {
    /// The function's one name.
    const NAME: &'static str;

    /// What it answers, as a JSON object.
    type Reply: Serialize + Send;

    /// The longest time to its answer.
    const WITHIN: Duration = Deadline::REPLY_WITHIN;

    /// Reads the configuration and makes the clients, once per instance.
    fn start(setup: &Setup) -> impl Future<Output = Result<Self, ConfigError>> + Send;

    /// Answers one call.
    fn call(&self, call: &Call) -> impl Future<Output = Result<Self::Reply, ApiError>> + Send;

    /// The response to a call: for every caller but those who have a protocol of their own.
    fn response(outcome: Result<Self::Reply, &ApiError>, request_id: &str) -> Response<Body> {
        match outcome.map(|reply| serde_json::to_vec(&reply)) {
            Ok(Ok(json)) => response(StatusCode::OK, json),
            // A reply is a struct of texts and numbers, which always becomes JSON.
            Ok(Err(_)) => refusal(&ApiError::new(ErrorCode::Internal), request_id),
            Err(err) => refusal(err, request_id),
        }
    }
}

/// One request to a function. Headers and body hold secrets, so they cannot be printed.
pub struct Call {
    function: &'static str,
    request_id: String,
    headers: HeaderMap,
    body: Vec<u8>,
    deadline: Deadline,
}

impl Call {
    /// The function's name.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The id of the invocation, which the log and every error reply have.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// When the answer has to be ready.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    ///
    /// `unsupported_media_type` or `invalid_request`.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType));
        }
        request::parse(&self.body).map_err(ApiError::invalid_request)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.function, self.request_id)
    }
}

/// A started instance of a function.
#[derive(Debug)]
pub struct App<F> {
    function: F,
    clock: Clock,
}

impl<F: HttpFunction> App<F> {
    /// Starts an instance: one that is misconfigured never serves.
    ///
    /// # Errors
    ///
    /// If the function's configuration is not complete and correct.
    pub async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        Ok(Self { function: F::start(setup).await?, clock: setup.clock().clone() })
    }

    /// Answers one event of the services that a function may be behind: API Gateway's HTTP API with payload format 2.0, and
    /// function URLs.
    ///
    /// # Errors
    ///
    /// `invalid_request`, if it is anything else: its sender understands none of our responses.
    pub async fn invoke(&self, event: LambdaEvent<Box<RawValue>>) -> Result<impl Serialize + use<F>, Diagnostic> {
        let (started, LambdaEvent { payload, context }) = (Instant::now(), event);
        // The adapter's own text names services that send other events.
        let Ok(request) = serde_json::from_str::<LambdaRequest>(payload.get()) else {
            let err = ApiError::invalid_request(UNEXPECTED_EVENT).with_source(UnexpectedEvent);
            log::request(F::NAME, &context.request_id, err.code.status(), Some(&err), started);
            let (error_type, error_message) = (err.code.as_str().to_owned(), err.message.into_owned());
            return Err(Diagnostic { error_type, error_message });
        };
        let respond = service_fn(|request| self.respond(request));
        let Ok(response) = Adapter::from(respond).call(LambdaEvent::new(request, context)).await;
        Ok(response)
    }

    /// Answers one request. Every outcome, refusal included, is a response.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn respond(&self, request: Request) -> Result<Response<Body>, Infallible> {
        let started = Instant::now();
        let context = request.lambda_context_ref();
        let request_id = context.map(|context| context.request_id.clone()).unwrap_or_default();
        let deadline = match context {
            Some(context) => Deadline::of_invocation(context.deadline(), self.clock.now(), F::WITHIN),
            None => Deadline::after(F::WITHIN),
        };

        let outcome = self.answer(request, &request_id, deadline).await;
        let (response, err) = match outcome {
            Ok(reply) => (F::response(Ok(reply), &request_id), None),
            Err(err) => (F::response(Err(&err), &request_id), Some(err)),
        };
        log::request(F::NAME, &request_id, response.status(), err.as_ref(), started);
        Ok(response)
    }

    async fn answer(&self, request: Request, request_id: &str, deadline: Deadline) -> Result<F::Reply, ApiError> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(ApiError::new(ErrorCode::MethodNotAllowed));
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(ApiError::new(ErrorCode::BodyTooLarge));
        }
        let (function, request_id) = (F::NAME, request_id.to_owned());
        let call = Call { function, request_id, headers: parts.headers, body: body.to_vec(), deadline };
        let reply = deadline.bound(self.function.call(&call)).await;
        reply.unwrap_or_else(|| Err(ApiError::new(ErrorCode::Busy)))
    }
}

/// An event that is not of the services above.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{UNEXPECTED_EVENT}")]
struct UnexpectedEvent;

fn refusal(err: &ApiError, request_id: &str) -> Response<Body> {
    let body = json!({ "code": err.code.as_str(), "message": err.message, "requestId": request_id });
    refused(err, err.code.status(), &body)
}

/// A response that refuses, with the headers that go with the reason.
pub fn refused(err: &ApiError, status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = response(status, body.to_string().into_bytes());
    let mut set = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
    if let Some(secs) = err.retry_after_secs {
        set(RETRY_AFTER, secs.into());
    }
    match err.code {
        ErrorCode::MethodNotAllowed => set(ALLOW, HeaderValue::from_static("POST")),
        ErrorCode::SessionInvalid => set(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        _ => None,
    };
    response
}

fn response(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    // serde_json writes UTF-8.
    let body = String::from_utf8(json).map_or_else(|err| Body::Binary(err.into_bytes()), Body::Text);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend([(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)]);
    response
}
