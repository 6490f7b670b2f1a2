//! The exchanges of the demo.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Builder;
use axum::http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use shared::deadline::Deadline;
use shared::error::ErrorCode;
use shared::net::HttpClient;

use super::DemoError;
use crate::machine::Machine;

/// A reply of the demo is small.
const LONGEST_REPLY: usize = 1024 * 1024;

/// A notification comes after a moment.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A journey on its way.
pub(super) struct Journey<'a, P> {
    pub(super) machine: &'a Machine,
    pub(super) http: HttpClient,
    pub(super) print: P,
}

impl<P: FnMut(&str)> Journey<'_, P> {
    pub(super) async fn sandbox(&mut self, step: &str, path: &str, body: Value) -> Result<Value, DemoError> {
        let request = Request::post(format!("{}{path}", self.machine.wechat_url()));
        self.exchange(step, request, body, StatusCode::OK).await
    }

    pub(super) async fn call(
        &mut self,
        step: &str,
        function: &str,
        token: Option<&str>,
        body: Value,
    ) -> Result<Value, DemoError> {
        self.exchange(step, self.request(function, token), body, StatusCode::OK).await
    }

    pub(super) async fn order(&mut self, step: &str, key: &str, token: &str, body: Value) -> Result<Value, DemoError> {
        let request = self.request("create-order", Some(token)).header("idempotency-key", key);
        self.exchange(step, request, body, StatusCode::OK).await
    }

    /// What no route leads to: a person of the shop's invokes it, or a schedule does.
    pub(super) async fn invoke(&mut self, step: &str, function: &str, body: Value) -> Result<Value, DemoError> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.machine.gateway_url());
        self.exchange(step, Request::post(url), body, StatusCode::OK).await
    }

    /// The person pays, with what `wx.requestPayment` is given.
    pub(super) async fn pay(&mut self, order: &Value) -> Result<(), DemoError> {
        let (step, payment) = ("wx.requestPayment", json!({ "payment": order["payment"] }));
        let paid = self.sandbox(step, "/sandbox/requestPayment", payment).await?;
        self.expect(paid["errMsg"] == "requestPayment:ok", step, "requestPayment:ok")
    }

    /// Waits until WeChat Pay's notification has been answered, and prints that.
    pub(super) async fn notified(&mut self, order: &Value) -> Result<(), DemoError> {
        let step = "WeChat Pay's notification";
        let number = order["outTradeNo"].as_str().unwrap_or_default();
        let url = format!("{}/sandbox/orders/{number}", self.machine.wechat_url());
        let deadline = Deadline::after(Deadline::REPLY_WITHIN);
        while !deadline.left().is_zero() {
            let request = Request::get(&url).body(String::new()).map_err(|_| unexpected(step, &"a request"))?;
            let response = self.http.send(request, LONGEST_REPLY, deadline).await;
            let response = response.map_err(|source| DemoError::NoAnswer { step: step.to_owned(), source })?;
            let order: Value = serde_json::from_slice(&response.body).map_err(|_| unexpected(step, &"JSON"))?;
            let mut tries = order["notifications"].as_array().into_iter().flatten();
            if let Some(delivery) = tries.find(|delivery| delivery["status"] == 204) {
                let notify_url = order["notifyUrl"].as_str().unwrap_or_default();
                (self.print)(&format!("\n# {step}\nPOST {notify_url}\nevent {}\n-> 204", delivery["eventId"]));
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(unexpected(step, &"204"))
    }

    pub(super) async fn is_paid(&mut self, step: &str, token: &str, order: &Value) -> Result<(), DemoError> {
        let reply = self.query(step, token, order).await?;
        self.expect(reply["status"] == "SUCCESS", step, "SUCCESS")
    }

    pub(super) async fn query(&mut self, step: &str, token: &str, order: &Value) -> Result<Value, DemoError> {
        let number = json!({ "outTradeNo": order["outTradeNo"] });
        self.call(step, "query-order", Some(token), number).await
    }

    /// A call that is refused with that code.
    pub(super) async fn refusal(
        &mut self,
        step: &str,
        function: &str,
        token: Option<&str>,
        body: Value,
        code: ErrorCode,
    ) -> Result<(), DemoError> {
        let reply = self.exchange(step, self.request(function, token), body, code.status()).await?;
        self.expect(reply["code"] == code.as_str(), step, code.as_str())
    }

    pub(super) fn expect(&self, holds: bool, step: &str, expected: &str) -> Result<(), DemoError> {
        holds.then_some(()).ok_or_else(|| unexpected(step, &expected))
    }

    fn request(&self, function: &str, token: Option<&str>) -> Builder {
        let request = Request::post(format!("{}/{function}", self.machine.gateway_url()));
        match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    pub(super) async fn exchange(
        &mut self,
        step: &str,
        request: Builder,
        body: Value,
        expected: StatusCode,
    ) -> Result<Value, DemoError> {
        let request = request.body(body.to_string()).map_err(|_| unexpected(step, &"a request"))?;
        let mut text = format!("\n# {step}\n{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name}: {}", value.to_str().unwrap_or_default());
        }
        let _ = writeln!(text, "{body}");
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request::from_parts(parts, body);
        let response = self.http.send(request, LONGEST_REPLY, Deadline::after(Deadline::REPLY_WITHIN)).await;
        let response = response.map_err(|source| DemoError::NoAnswer { step: step.to_owned(), source })?;
        let _ = write!(text, "-> {}\n{}", response.status, String::from_utf8_lossy(&response.body));
        (self.print)(&text);
        if response.status != expected {
            return Err(unexpected(step, &expected));
        }
        serde_json::from_slice(&response.body).map_err(|_| unexpected(step, &"JSON"))
    }
}

fn unexpected(step: &str, expected: &dyn Display) -> DemoError {
    DemoError::Unexpected { step: step.to_owned(), expected: expected.to_string() }
}
