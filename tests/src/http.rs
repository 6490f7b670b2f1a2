//! A client for tests.

use axum::http::header::HOST;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::env::Env;
use shared::net::{HttpClient, Tls};

const LONGEST_REPLY: usize = 64 * 1024 * 1024;

/// A reply to a client.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, `null` if it is not JSON.
    pub json: Value,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Reply {
    /// The `code` of an error.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// Status and body, without the id that is the request's own.
    pub fn without_id(&self) -> (u16, Value) {
        let mut json = self.json.clone();
        assert!(json.as_object_mut().is_some_and(|json| json.remove("requestId").is_some()), "{json}");
        (self.status, json)
    }

    /// A header's text, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client without a pool between tests.
#[derive(Debug)]
pub struct Client(HttpClient);

impl Default for Client {
    fn default() -> Self {
        let tls = Tls::from_env(&Env::default()).expect("the built-in roots are fine");
        Self(HttpClient::new(&tls, &Clock::system()))
    }
}

impl Client {
    /// Posts JSON.
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("POST", url, &headers, body.to_string().into_bytes()).await
    }

    /// Sends anything.
    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        let deadline = Deadline::after(std::time::Duration::from_secs(30));
        let response = self.0.send(request, LONGEST_REPLY, deadline).await.expect("an answer");
        let json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let (status, body) = (response.status.as_u16(), response.body.to_vec());
        Reply { status, headers: response.headers, json, body }
    }

    /// Sends anything, to the host of its URI, and hands the answer on as it is.
    pub async fn forward(&self, mut request: Request<Vec<u8>>) -> (StatusCode, HeaderMap, Vec<u8>) {
        request.headers_mut().remove(HOST);
        let deadline = Deadline::after(std::time::Duration::from_secs(30));
        let response = self.0.send(request, LONGEST_REPLY, deadline).await.expect("an answer");
        (response.status, response.headers, response.body.to_vec())
    }
}
