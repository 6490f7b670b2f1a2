//! The gateway: HTTP in, an event to the function, its reply out; and the Lambda Invoke API beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use axum::routing::{any, post};
use serde_json::json;
use shared::clock::Clock;

use crate::event;
use crate::functions::{Functions, Trigger, request_id};
use crate::iam::Guard;
use crate::invoke;

/// The longest body that API Gateway takes.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// What the routes work with.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) functions: Functions,
    pub(crate) clock: Clock,
    /// Who decides whether one function may invoke another.
    pub(crate) guard: Option<Arc<Guard>>,
}

impl Gateway {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke::invoke))
            .route("/{name}", any(call))
            .fallback(async || not_found())
            .with_state(self)
    }
}

async fn call(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let function = gateway.functions.find(&name).filter(|function| function.trigger == Trigger::Http);
    // `template.yaml` has a route for `POST` and no other.
    let function = function.filter(|_| request.method() == Method::POST);
    let Some(function) = function else { return not_found() };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return own_answer(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::from_http(function.name, &parts, &body, peer.ip(), gateway.clock.now());
    let reply = function.invoke(request_id(), event.to_string().into_bytes()).await;
    let response = reply.map(|reply| event::to_http(&reply));
    match response {
        Ok(Some(response)) => response,
        Ok(None) => own_answer(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Err(err) => {
            tracing::error!(function = function.name, errorType = err.error_type, "{}", err.error_message);
            own_answer(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// There is no such route.
fn not_found() -> Response<Body> {
    own_answer(StatusCode::NOT_FOUND, "Not Found")
}

/// An answer of API Gateway's own: it has no `code`.
fn own_answer(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
