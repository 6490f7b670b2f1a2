//! A Lambda that counts, and refuses on request, in front of the local machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};

use crate::http::Client;

/// The proxy.
#[derive(Clone, Debug)]
pub struct LambdaProxy {
    /// Where it listens.
    pub url: String,
    target: String,
    client: Arc<Client>,
    invocations: Arc<AtomicUsize>,
    throttled: Arc<AtomicUsize>,
}

impl LambdaProxy {
    /// In front of the Lambda at `target`.
    pub async fn start(target: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (client, invocations, throttled) = Default::default();
        let proxy = Self { url, target: target.to_owned(), client, invocations, throttled };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// Throttles the next invocations.
    pub fn throttle(&self, times: usize) {
        self.throttled.store(times, Ordering::SeqCst);
    }

    /// The invocations so far, those that were throttled included; and starts to count anew.
    pub fn take_invocations(&self) -> usize {
        self.invocations.swap(0, Ordering::SeqCst)
    }
}

async fn pass(State(proxy): State<LambdaProxy>, request: Request) -> Response<Body> {
    proxy.invocations.fetch_add(1, Ordering::SeqCst);
    let less = |left: usize| left.checked_sub(1);
    if proxy.throttled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        let mut response =
            Response::new(Body::from(r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}"#));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return response;
    }
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    parts.uri = format!("{}{}", proxy.target, parts.uri.path()).parse().unwrap();
    let (status, headers, body) = proxy.client.forward(Request::from_parts(parts, body.to_vec())).await;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
