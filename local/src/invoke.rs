//! The Lambda Invoke API, for `aws lambda invoke --endpoint-url` and the SDKs.
//!
//! Source: Lambda API reference, "Invoke".

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::functions::{Function, InvocationResult, request_id};
use crate::gateway::Gateway;
use crate::iam::{Asked, Guard, caller};

/// The longest event of a synchronous invocation.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

const INVOCATION_TYPE: &str = "x-amz-invocation-type";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) async fn invoke(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let Some(function) = gateway.functions.find(function_name(&name)) else {
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &format!("Function not found: {name}"));
    };
    let (parts, body) = request.into_parts();
    let check = |guard: &Arc<Guard>| guard.check(caller(&parts.headers), &Asked::of_lambda(function.name));
    if let Some(Err(denied)) = gateway.guard.as_ref().map(check) {
        return refusal(StatusCode::FORBIDDEN, "AccessDeniedException", &denied.message());
    }
    let Ok(event) = to_bytes(body, MAX_EVENT_BYTES).await else {
        let message = format!("Request must be smaller than {MAX_EVENT_BYTES} bytes for the InvokeFunction operation");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message);
    };
    // No payload at all is an empty object.
    let event = if event.is_empty() { b"{}".to_vec() } else { event.to_vec() };
    if serde_json::from_slice::<Value>(&event).is_err() {
        let message = "Could not parse request body into json";
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message);
    }
    match invocation_type(&parts.headers) {
        "RequestResponse" => {
            let id = request_id();
            let result = function.invoke(id.clone(), event).await;
            answer(id, result)
        }
        "Event" => in_background(Arc::clone(function), event),
        "DryRun" => empty(StatusCode::NO_CONTENT),
        _ => refusal(StatusCode::BAD_REQUEST, "InvalidParameterValueException", "unknown invocation type"),
    }
}

/// A name may come as an ARN, and with a qualifier.
fn function_name(name: &str) -> &str {
    let name = name.rsplit_once(":function:").map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}

fn invocation_type(headers: &HeaderMap) -> &str {
    headers.get(INVOCATION_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("RequestResponse")
}

fn in_background(function: Arc<Function>, event: Vec<u8>) -> Response<Body> {
    tokio::spawn(async move {
        if let Err(err) = function.invoke(request_id(), event).await {
            tracing::error!(function = function.name, errorType = err.error_type, "{}", err.error_message);
        }
    });
    empty(StatusCode::ACCEPTED)
}

fn answer(request_id: String, result: InvocationResult) -> Response<Body> {
    let (body, is_error) = match result {
        Ok(reply) => (Body::from(reply), false),
        Err(err) => (Body::from(json!(err).to_string()), true),
    };
    let mut response = with_id(StatusCode::OK, request_id);
    *response.body_mut() = body;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if is_error {
        set(&mut response, "x-amz-function-error", "Unhandled");
    }
    response
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response<Body> {
    let mut response = empty(status);
    *response.body_mut() = Body::from(json!({ "Type": "User", "Message": message }).to_string());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    set(&mut response, "x-amzn-errortype", kind);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    with_id(status, request_id())
}

fn with_id(status: StatusCode, request_id: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    set(&mut response, "x-amz-executed-version", "$LATEST");
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

fn set(response: &mut Response<Body>, name: &'static str, value: &'static str) {
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_an_arn_and_a_qualifier_name_the_same_function() {
        for name in [
            "login",
            "login:$LATEST",
            "arn:aws:lambda:us-east-1:123456789012:function:login",
            "arn:aws:lambda:us-east-1:123456789012:function:login:live",
            "123456789012:function:login",
        ] {
            assert_eq!(function_name(name), "login", "{name}");
        }
    }
}
