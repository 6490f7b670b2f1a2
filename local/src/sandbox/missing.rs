//! Calls that the sandbox does not have.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::answer::Answer;
use super::calls::Call;
use super::pay::Reply;
use super::state::Shared;

/// Says what is missing, in the way of the half that it would belong to.
pub(super) async fn answer(State(shared): State<Shared>, method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let path = uri.path();
    let what = format!("the sandbox has no {method} {path}");
    if path.starts_with("/sandbox/") {
        return (StatusCode::NOT_FOUND, Json(json!({ "message": what }))).into_response();
    }
    tracing::warn!("{what}");
    let answer = match path.starts_with("/v3/") {
        true => Answer::Pay(Reply::refusal(404, "NOT_FOUND", &what)),
        false => Answer::refusal(40066, &format!("invalid url: {what}")).with_status(StatusCode::NOT_FOUND),
    };
    let calls = &mut shared.lock().calls;
    let call = calls.begin(Call::new(method.to_string(), path.to_owned(), String::new(), false));
    calls.end(call, &answer);
    answer.into_response()
}

/// Of a route of WeChat Pay with another method, which is written down already.
pub(super) async fn method(method: Method, OriginalUri(uri): OriginalUri) -> Answer {
    let what = format!("the sandbox has no {method} {}", uri.path());
    tracing::warn!("{what}");
    Answer::Pay(Reply::refusal(405, "METHOD_NOT_ALLOWED", &what))
}
