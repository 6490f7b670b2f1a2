//! AWS Secrets Manager: the one call that functions make at start.
//!
//! Signed by `aws-sigv4` and sent by the HTTP client at hand: an SDK crate for one call would cost more at every cold
//! start than it saves here.

use std::time::Duration;

use lambda_http::http::{Request, StatusCode};
use serde::Deserialize;

use crate::aws::{self, Caller};
use crate::deadline::Deadline;
use crate::net::{HttpClient, HttpError};
use crate::random;
use crate::secret::Secret;

/// Lambda gives a function 10 s to start.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A secret is at most 64 KiB; JSON may need up to six bytes for one of them.
const LONGEST_ANSWER: usize = 512 * 1024;

/// Reads secrets.
#[derive(Debug)]
pub struct SecretsManager {
    http: HttpClient,
    caller: Caller,
    endpoint: Option<String>,
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretsManagerError {
    /// The secret has no text: it is empty, or binary.
    #[error("the secret holds no text")]
    NoText,
    /// Secrets Manager refused.
    #[error("Secrets Manager answered {status} {kind}")]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// The kind of error, such as `AccessDeniedException`.
        kind: String,
    },
    /// The request could not be signed: the ARN or the endpoint makes no URL.
    #[error("the request could not be made")]
    Request,
    /// There was no answer.
    #[error("no answer from Secrets Manager")]
    Transport(#[source] HttpError),
}

impl SecretsManager {
    /// A client of the Secrets Manager at `endpoint`, or of AWS's own.
    pub fn new(http: HttpClient, caller: Caller, endpoint: Option<String>) -> Self {
        Self { http, caller, endpoint }
    }

    /// The text of a secret, by its name or ARN.
    ///
    /// # Errors
    ///
    /// If there is no such text, or no permission, or no good answer after three tries.
    pub async fn secret_text(&self, id: &str) -> Result<Secret, SecretsManagerError> {
        let deadline = Deadline::after(TOTAL_TIMEOUT);
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.attempt(id, deadline).await {
                Err(err) if err.is_retryable() => tokio::time::sleep(random::jitter(pause)).await,
                outcome => return outcome,
            }
            pause *= 2;
        }
        self.attempt(id, deadline).await
    }

    async fn attempt(&self, id: &str, deadline: Deadline) -> Result<Secret, SecretsManagerError> {
        let request = self.signed_request(id).ok_or(SecretsManagerError::Request)?;
        let response = self
            .http
            .send(request, LONGEST_ANSWER, deadline.at_most(ATTEMPT_TIMEOUT))
            .await
            .map_err(SecretsManagerError::Transport)?;
        if response.status != StatusCode::OK {
            return Err(SecretsManagerError::Refused { status: response.status, kind: error_kind(&response.body) });
        }
        let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| SecretsManagerError::NoText)?;
        answer.secret_string.ok_or(SecretsManagerError::NoText)
    }

    /// Source: the API reference of Secrets Manager, GetSecretValue.
    fn signed_request(&self, id: &str) -> Option<Request<String>> {
        let region = aws::region_of(id).unwrap_or(&self.caller.region);
        let url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => aws::endpoint("secretsmanager", region),
        };
        let body = serde_json::json!({ "SecretId": id }).to_string();
        let mut request = Request::post(url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .body(body)
            .ok()?;
        self.caller.sign("secretsmanager", region, &mut request).ok()?;
        Some(request)
    }
}

impl SecretsManagerError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { status, kind } => status.is_server_error() || kind == "ThrottlingException",
            Self::Transport(_) => true,
            Self::NoText | Self::Request => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    secret_string: Option<Secret>,
}

/// The name of the error in an answer of the AWS JSON protocol: the part of `__type` behind the `#`.
fn error_kind(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type")]
        kind: String,
    }
    let kind = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.kind).unwrap_or_default();
    let name = kind.rsplit('#').next().unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_kind_is_a_name_and_nothing_else() {
        assert_eq!(error_kind(br#"{"__type":"com.amazonaws#AccessDeniedException"}"#), "AccessDeniedException");
        assert_eq!(error_kind(b"<html>"), "");
    }
}
