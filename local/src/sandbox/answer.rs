//! Answers in WeChat's ways.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::random;

use super::pay::Reply;
use crate::server::DropConnection;

/// What the sandbox sends back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// JSON as `text/plain`, which is how WeChat sends it, errors included; with status 200, but for a call that the
    /// sandbox lacks.
    Json { status: StatusCode, body: Value, rid: Option<String> },
    /// Status 200 and nothing.
    Empty,
    /// The connection ends without an answer.
    Drop,
    /// An answer of WeChat Pay, whose ways are others.
    Pay(Reply),
    /// Trouble of the infrastructure in front of WeChat.
    Status(StatusCode),
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self::Json { status: StatusCode::OK, body, rid: None }
    }

    /// A refusal. WeChat adds a trace id to every text; in that of a whitelist without a comma before it.
    pub(crate) fn refusal(errcode: i64, text: &str) -> Self {
        let (rid, comma) = (rid(), if errcode == 40164 { "" } else { "," });
        let body = json!({ "errcode": errcode, "errmsg": format!("{text}{comma} rid: {rid}") });
        Self::Json { status: StatusCode::OK, body, rid: Some(rid) }
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        match self {
            Self::Json { body, rid, .. } => Self::Json { status, body, rid },
            other => other,
        }
    }

    /// The answer that a handler left in the extensions of its response, if it is one of WeChat's API.
    pub(crate) fn take(mut response: Response) -> Self {
        let status = response.status();
        response.extensions_mut().remove().unwrap_or(Self::Status(status))
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Json { status, .. } => status.as_u16(),
            Self::Empty => 200,
            Self::Drop => 0,
            Self::Pay(reply) => reply.status.as_u16(),
            Self::Status(status) => status.as_u16(),
        }
    }

    pub(crate) fn errcode(&self) -> Option<i64> {
        match self {
            Self::Json { body, .. } => body.get("errcode")?.as_i64(),
            Self::Empty | Self::Drop | Self::Pay(_) | Self::Status(_) => None,
        }
    }

    /// Of a refusal of WeChat Pay.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Pay(reply) => reply.code.as_deref(),
            Self::Json { .. } | Self::Empty | Self::Drop | Self::Status(_) => None,
        }
    }

    /// The same without a body.
    pub(crate) fn emptied(self) -> Self {
        match self {
            Self::Pay(reply) => Self::Pay(reply.emptied()),
            _ => Self::Empty,
        }
    }

    pub(crate) fn rid(&self) -> Option<&str> {
        match self {
            Self::Json { rid, .. } => rid.as_deref(),
            Self::Pay(reply) => reply.request_id.as_deref(),
            Self::Empty | Self::Drop | Self::Status(_) => None,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let text = |status: StatusCode, body: String| {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        };
        let mut response = match &self {
            Self::Json { status, body, .. } => text(*status, body.to_string()),
            Self::Empty => text(StatusCode::OK, String::new()),
            Self::Pay(reply) => reply.to_response(),
            Self::Status(status) => status.into_response(),
            Self::Drop => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(DropConnection);
                response
            }
        };
        response.extensions_mut().insert(self);
        response
    }
}

/// A parameter that has to be there, and not empty.
pub(crate) fn given<'a>(value: Option<&'a str>, errcode: i64, text: &str) -> Result<&'a str, Answer> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Answer::refusal(errcode, text))
}

/// A trace id in WeChat's form: `652d44d0-1d0af18b-5b069232`.
fn rid() -> String {
    let part = || format!("{:08x}", u32::from_be_bytes(random::bytes()));
    [part(), part(), part()].join("-")
}
