//! AWS Lambda: one function calls another.

use bytes::Bytes;
use lambda_http::http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use crate::aws::{self, Caller};
use crate::deadline::Deadline;
use crate::net::{HttpClient, HttpError};

/// Lambda's answers have up to 6 MB; the functions called here answer with a few lines.
const LONGEST_ANSWER: usize = 256 * 1024;

const FUNCTION_ERROR: &str = "x-amz-function-error";

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
    /// The function ran, and failed: the kind of its error.
    #[error("the function that was invoked failed: {0}")]
    Function(String),
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
        let response = self.http.send(request, LONGEST_ANSWER, deadline).await;
        let response = response.map_err(InvokeError::Transport)?;
        match response.status {
            StatusCode::OK if response.headers.contains_key(FUNCTION_ERROR) => {
                Err(InvokeError::Function(error_kind(&response.body)))
            }
            StatusCode::OK => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(InvokeError::Throttled),
            // A function that is being updated, or woken up, is there a moment later.
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT) => Err(InvokeError::Unavailable(status)),
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

impl InvokeError {
    /// Whether the same invocation can have no other end.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Function(kind) => kind == "invalid_request",
            Self::Refused(_) | Self::Request => true,
            Self::Throttled | Self::Transport(_) | Self::Unavailable(_) => false,
        }
    }
}

/// The kind of a function error, as far as it is a name.
fn error_kind(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct FunctionError {
        error_type: String,
    }
    let kind = serde_json::from_slice::<FunctionError>(body).map(|error| error.error_type).unwrap_or_default();
    kind.chars().filter(|c| c.is_ascii_alphanumeric() || "._:".contains(*c)).take(64).collect()
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;

    use super::*;
    use crate::clock::Clock;
    use crate::env::Env;
    use crate::net::Tls;

    fn request(function: &str) -> (String, String) {
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let caller = Caller::new(credentials, "us-east-1".to_owned(), Clock::system());
        let http = HttpClient::new(&Tls::from_env(&Env::default()).unwrap(), &Clock::system());
        let request = Lambda::new(http, caller, None).signed_request(function, &Value::Null).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        (request.uri().to_string(), authorization.split('/').nth(2).unwrap().to_owned())
    }

    #[test]
    fn a_function_is_invoked_in_its_region() {
        let (url, region) = request("token-refresher");
        assert_eq!(url, "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/token-refresher/invocations");
        assert_eq!(region, "us-east-1");
        let (url, region) = request("arn:aws-cn:lambda:cn-north-1:123456789012:function:token-refresher:live");
        assert!(url.starts_with("https://lambda.cn-north-1.amazonaws.com.cn/"), "{url}");
        let arn = "arn%3Aaws-cn%3Alambda%3Acn-north-1%3A123456789012%3Afunction%3Atoken-refresher%3Alive";
        assert!(url.ends_with(&format!("/functions/{arn}/invocations")), "{url}");
        assert_eq!(region, "cn-north-1");
    }

    #[test]
    fn only_what_can_have_no_other_end_is_final() {
        let function = |body: &[u8]| InvokeError::Function(error_kind(body));
        assert!(function(br#"{"errorType":"invalid_request","errorMessage":"x"}"#).is_final());
        assert!(InvokeError::Refused(StatusCode::FORBIDDEN).is_final());
        for err in [function(br#"{"errorType":"busy"}"#), function(b"<html>"), InvokeError::Throttled] {
            assert!(!err.is_final(), "{err}");
        }
    }
}
