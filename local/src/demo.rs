//! `cargo demo`: the whole journey of a user, each exchange printed.

use std::fmt::Write as _;

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::env::ConfigError;
use shared::net::{HttpClient, HttpError, Tls};

use crate::machine::Machine;

/// A reply of the demo is small.
const LONGEST_REPLY: usize = 1024 * 1024;

/// The step at which the journey ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DemoError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("no answer to {step}")]
    NoAnswer { step: String, source: HttpError },
    #[error("{step}: expected {expected}")]
    Unexpected { step: String, expected: String },
}

/// Walks the journey; `print` gets the text of each exchange.
///
/// # Errors
///
/// At the first step that does not go as it should.
pub async fn run(machine: &Machine, print: impl FnMut(&str)) -> Result<(), DemoError> {
    let http = HttpClient::new(&Tls::from_env(machine.env())?, &Clock::system());
    let mut journey = Journey { machine, http, print };

    let user = journey.sandbox("a person with a phone", "/sandbox/users", json!({ "unionid": true })).await?;
    let code = journey.sandbox("wx.login", "/sandbox/wx.login", json!({ "user": user["user"] })).await?;
    let login = journey.call("login", "login", None, json!({ "code": code["code"] }), StatusCode::OK).await?;
    let token = login["token"].as_str();
    let again = journey.call("the same code again", "login", None, json!({ "code": code["code"] }), StatusCode::OK);
    let again = again.await?;
    journey.expect(again["token"] == login["token"], "the same code again", "the same session")?;
    let bad = journey.call("a bad code", "login", None, json!({ "code": "bad" }), StatusCode::BAD_REQUEST).await?;
    journey.expect(bad["code"] == "login_code_invalid", "a bad code", "login_code_invalid")?;
    let profile = journey.call("the session at work", "user-info", token, json!({}), StatusCode::OK).await?;
    journey.expect(profile["user"]["id"] == login["user"]["id"], "the session at work", "the user who logged in")?;
    let wrong = Some("wrong");
    journey.call("a wrong token", "user-info", wrong, json!({}), StatusCode::UNAUTHORIZED).await?;
    journey.call("logout", "logout", token, json!({ "all": true }), StatusCode::OK).await?;
    journey.call("the session has ended", "user-info", token, json!({}), StatusCode::UNAUTHORIZED).await?;
    Ok(())
}

struct Journey<'a, P> {
    machine: &'a Machine,
    http: HttpClient,
    print: P,
}

impl<P: FnMut(&str)> Journey<'_, P> {
    async fn sandbox(&mut self, step: &str, path: &str, body: Value) -> Result<Value, DemoError> {
        let url = format!("{}{path}", self.machine.wechat_url());
        self.exchange(step, url, None, body, StatusCode::OK).await
    }

    async fn call(
        &mut self,
        step: &str,
        function: &str,
        token: Option<&str>,
        body: Value,
        expected: StatusCode,
    ) -> Result<Value, DemoError> {
        let url = format!("{}/{function}", self.machine.gateway_url());
        self.exchange(step, url, token, body, expected).await
    }

    fn expect(&self, holds: bool, step: &str, expected: &str) -> Result<(), DemoError> {
        let failed = || DemoError::Unexpected { step: step.to_owned(), expected: expected.to_owned() };
        holds.then_some(()).ok_or_else(failed)
    }

    async fn exchange(
        &mut self,
        step: &str,
        url: String,
        token: Option<&str>,
        body: Value,
        expected: StatusCode,
    ) -> Result<Value, DemoError> {
        let unexpected = |expected: &dyn std::fmt::Display| DemoError::Unexpected {
            step: step.to_owned(),
            expected: expected.to_string(),
        };
        let mut text = format!("\n# {step}\nPOST {url}\n");
        let mut request = Request::post(url).header("content-type", "application/json");
        if let Some(token) = token {
            // Writing to a String does not fail.
            let _ = writeln!(text, "Authorization: Bearer {token}");
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let _ = writeln!(text, "{body}");
        let request = request.body(body.to_string()).map_err(|_| unexpected(&"a request"))?;
        let response = self.http.send(request, LONGEST_REPLY, Deadline::after(Deadline::REPLY_WITHIN)).await;
        let response = response.map_err(|source| DemoError::NoAnswer { step: step.to_owned(), source })?;
        let _ = write!(text, "-> {}\n{}", response.status, String::from_utf8_lossy(&response.body));
        (self.print)(&text);
        if response.status != expected {
            return Err(unexpected(&expected));
        }
        serde_json::from_slice(&response.body).map_err(|_| unexpected(&"JSON"))
    }
}
