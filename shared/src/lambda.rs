//! AWS Lambda: one function calls another.

use std::time::Duration;

use bytes::Bytes;
use lambda_http::http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use crate::aws::{self, Caller};
use crate::deadline::Deadline;
use crate::error::ErrorCode;
use crate::net::{HttpClient, HttpError};

/// A synchronous call lasts as long as the function does.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Lambda's answers have up to 6 MB; the functions called here answer with a few lines.
const LONGEST_ANSWER: usize = 256 * 1024;

const FUNCTION_ERROR: &str = "x-amz-function-error";

/// What a function error says, as far as it is of use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_type: String,
}

/// Invokes functions.
#[derive(Debug)]
pub struct Lambda {
    http: HttpClient,
    caller: Caller,
    endpoint: Option<String>,
}

/// Why an invocation had no success.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function ran, and says that it takes no such event.
    #[error("the function that was invoked refuses the event")]
    Event,
    /// The function ran, and failed.
    #[error("the function that was invoked failed")]
    Function,
    /// Lambda refuses the caller, or knows no such function.
    #[error("Lambda refused with status {0}")]
    Refused(StatusCode),
    /// The request could not be signed: the name or the endpoint makes no URL.
    #[error("the request could not be made")]
    Request,
    /// So many invocations are under way that this one has no place.
    #[error("Lambda throttled the invocation")]
    Throttled,
    /// There was no answer. The function may have run.
    #[error("no answer from Lambda")]
    Transport(#[source] HttpError),
    /// Lambda itself failed.
    #[error("Lambda failed with status {0}")]
    Unavailable(StatusCode),
}

impl Lambda {
    /// A client of the Lambda at `endpoint`, or of AWS's own.
    pub fn new(http: HttpClient, caller: Caller, endpoint: Option<String>) -> Self {
        Self { http, caller, endpoint }
    }

    /// Invokes a function, by its name or ARN, and waits until it is done. One try.
    ///
    /// Source: the API reference of Lambda, Invoke.
    ///
    /// # Errors
    ///
    /// If it does not end with a success before the deadline.
    pub async fn invoke(&self, function: &str, event: &Value, deadline: Deadline) -> Result<(), InvokeError> {
        let request = self.signed_request(function, event).ok_or(InvokeError::Request)?;
        let response = self.http.send(request, LONGEST_ANSWER, deadline.at_most(LONGEST_WAIT)).await;
        let response = response.map_err(InvokeError::Transport)?;
        match response.status {
            StatusCode::OK if response.headers.contains_key(FUNCTION_ERROR) => Err(function_error(&response.body)),
            StatusCode::OK => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(InvokeError::Throttled),
            status if status.is_server_error() => Err(InvokeError::Unavailable(status)),
            status => Err(InvokeError::Refused(status)),
        }
    }

    fn signed_request(&self, function: &str, event: &Value) -> Option<Request<Bytes>> {
        let region = aws::region_of(function).unwrap_or(&self.caller.region);
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => aws::endpoint("lambda", region),
        };
        let name: String = form_urlencoded::byte_serialize(function.as_bytes()).collect();
        let url = format!("{}/2015-03-31/functions/{name}/invocations", endpoint.trim_end_matches('/'));
        let request = Request::post(url).header("content-type", "application/json");
        let mut request = request.body(Bytes::from(event.to_string())).ok()?;
        self.caller.sign("lambda", region, &mut request).ok()?;
        Some(request)
    }
}

fn function_error(body: &[u8]) -> InvokeError {
    match serde_json::from_slice(body) {
        Ok(FunctionError { error_type }) if error_type == ErrorCode::InvalidRequest.as_str() => InvokeError::Event,
        _ => InvokeError::Function,
    }
}
