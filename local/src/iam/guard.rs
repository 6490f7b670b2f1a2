//! What stands in front of the embedded DynamoDB: it holds each call of a function against the function's role, and lets
//! no browser read an answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::net::{HttpClient, Tls};

use super::{Asked, Denied, Policies, is_role};

/// DynamoDB takes up to 16 MB, and answers with as much.
const LONGEST: usize = 20 * 1024 * 1024;

const WITHIN: Duration = Duration::from_secs(30);

/// Decides who may do what, and remembers what was refused.
#[derive(Debug)]
pub(crate) struct Guard {
    policies: Arc<Policies>,
    denied: Mutex<Vec<Denied>>,
}

impl Guard {
    pub(crate) fn new(policies: Arc<Policies>) -> Self {
        Self { policies, denied: Mutex::default() }
    }

    /// What was refused since somebody last asked.
    pub(crate) fn take_denied(&self) -> Vec<Denied> {
        std::mem::take(&mut self.denied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the caller may do what is asked. Who is no function may do anything: a person, or the machine itself.
    pub(crate) fn check(&self, caller: Option<&str>, asked: impl FnOnce() -> Asked) -> Result<(), Denied> {
        let Some(role) = caller.filter(|caller| is_role(caller)) else { return Ok(()) };
        self.policies.check(role, &asked()).inspect_err(|denied| {
            let Denied { role, action, resources, partitions } = denied;
            let resource = resources.join(", ");
            let keys = partitions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::error!(
                role,
                action,
                resource,
                keys,
                "AWS would refuse this: the role in template.yaml has no statement that allows it on all of these keys"
            );
            self.denied.lock().unwrap_or_else(PoisonError::into_inner).push(denied.clone());
        })
    }
}

/// The routes in front of the DynamoDB at that address. Without a guard everybody may do anything.
pub(crate) fn in_front_of(dynamodb: SocketAddr, guard: Option<Arc<Guard>>, tls: &Tls) -> Router {
    // The functions' clock may be moved, and then connections look old.
    let http = Arc::new(HttpClient::new(tls, &Clock::system()));
    Router::new().fallback(pass).with_state(Front { guard, http, dynamodb })
}

impl Denied {
    /// In the words of AWS.
    pub(crate) fn message(&self) -> String {
        let Self { role, action, resources, .. } = self;
        let resource = resources.first().map(String::as_str).unwrap_or_default();
        format!(
            "User: {role} is not authorized to perform: {action} on resource: {resource} because no identity-based \
             policy allows the {action} action"
        )
    }
}

/// The access key id that a request is signed with: a function's is its role's name.
/// Source: AWS Signature Version 4 for API requests, the `Authorization` header.
pub(crate) fn caller(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

#[derive(Clone)]
struct Front {
    guard: Option<Arc<Guard>>,
    http: Arc<HttpClient>,
    dynamodb: SocketAddr,
}

async fn pass(State(front): State<Front>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return refusal(StatusCode::PAYLOAD_TOO_LARGE, &json!({})) };
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    if let Some((_, operation)) = target.and_then(|target| target.split_once('.')) {
        let asked = || Asked::of_dynamodb(operation, &serde_json::from_slice(&body).unwrap_or_default());
        let checked = front.guard.map(|guard| guard.check(caller(&parts.headers), asked));
        if let Some(Err(denied)) = checked {
            return access_denied(&denied);
        }
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = Uri::try_from(format!("http://{}{path}", front.dynamodb)) else {
        return refusal(StatusCode::BAD_REQUEST, &json!({}));
    };
    parts.uri = uri;
    // dynoxide opens CORS to everybody who names an origin.
    parts.headers.remove(ORIGIN);
    match front.http.send(Request::from_parts(parts, body), LONGEST, Deadline::after(WITHIN)).await {
        Ok(answer) => {
            let mut response = Response::new(Body::from(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            response
        }
        Err(err) => {
            tracing::error!(error = %err, "the embedded DynamoDB gave no answer");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "__type": "InternalServerError" }))
        }
    }
}

/// Source: DynamoDB developer guide, "Error handling with DynamoDB", AccessDeniedException.
fn access_denied(denied: &Denied) -> Response<Body> {
    let kind = "com.amazon.coral.service#AccessDeniedException";
    refusal(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "Message": denied.message() }))
}

fn refusal(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
