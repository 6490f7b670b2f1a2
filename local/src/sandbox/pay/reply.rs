//! Answers in WeChat Pay's way.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use shared::random;

use super::signature::Signed;

/// What WeChat Pay sends back: JSON, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Of a refusal.
    pub(crate) code: Option<String>,
    pub(crate) body: String,
    /// None for the refusal of a signature: it is not there then.
    pub(crate) request_id: Option<String>,
    /// Only of answers that succeed.
    signature: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn ok(body: &Value) -> Self {
        Self { body: body.to_string(), ..Self::empty(StatusCode::OK) }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, code: None, body: String::new(), request_id: Some(request_id(0)), signature: Vec::new() }
    }

    /// A refusal. One with a status that there is not would be a mistake of ours, and looks like one.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let request_id = (status != StatusCode::UNAUTHORIZED).then(|| request_id(number(code)));
        let body = json!({ "code": code, "message": message }).to_string();
        Self { code: Some(code.to_owned()), body, request_id, ..Self::empty(status) }
    }

    /// A field of a request's body that is not as it should be; `field` is a JSON pointer. WeChat Pay says the value too.
    pub(super) fn bad_field(body: &Value, field: &str, issue: &str) -> Self {
        let mut detail = json!({ "field": field, "issue": issue, "location": "body" });
        if let Some(value) = body.pointer(field) {
            detail["value"] = value.clone();
        }
        Self::refusal(400, "PARAM_ERROR", "参数错误").with_detail(&detail)
    }

    pub(super) fn with_detail(mut self, detail: &Value) -> Self {
        if let Ok(Value::Object(mut body)) = serde_json::from_str(&self.body) {
            body.insert("detail".to_owned(), detail.clone());
            self.body = Value::Object(body).to_string();
        }
        self
    }

    pub(crate) fn emptied(self) -> Self {
        Self { body: String::new(), ..self }
    }

    pub(super) fn signed(self, signed: Signed) -> Self {
        Self { body: signed.body, signature: signed.headers, ..self }
    }

    pub(crate) fn to_response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // Also where there is no body.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let request_id = self.request_id.iter().map(|id| ("Request-ID", id));
        for (name, value) in self.signature.iter().map(|(name, value)| (*name, value)).chain(request_id) {
            if let (Ok(name), Ok(value)) = (axum::http::HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// `08F7B1A5C10610B80218C8D4E3582020C8D4C2D1-0`: what is behind the last hyphen is a number for WeChat Pay's support.
fn request_id(number: u32) -> String {
    let id: String = random::bytes::<20>().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{id}-{number}")
}

/// Source: the support's table of numbers, as far as it is known.
fn number(code: &str) -> u32 {
    match code {
        "APPID_MCHID_NOT_MATCH" => 268_445_527,
        "FREQUENCY_LIMITED" => 268_447_840,
        "INVALID_REQUEST" => 268_498_688,
        "ORDER_CLOSED" => 268_447_914,
        "ORDER_NOT_EXIST" => 268_512_771,
        "ORDERPAID" => 268_449_538,
        _ => 268_435_461,
    }
}
