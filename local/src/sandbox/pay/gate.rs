//! What every call of WeChat Pay's API comes through.

use axum::body::{self, Body};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::authorization;
use super::reply::Reply;
use super::tamper::Tamper;
use crate::sandbox::answer::Answer;
use crate::sandbox::calls::{Call, Named};
use crate::sandbox::gate::{LONGEST_BODY, pass};
use crate::sandbox::state::Shared;

/// Around every call: its signature is checked, and what succeeds is signed.
pub(super) async fn answer(State(shared): State<Shared>, route: MatchedPath, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, LONGEST_BODY).await else {
        return Answer::Status(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    };
    let call = Call::of_pay(parts.method.to_string(), route.as_str().to_owned(), named(parts.uri.path(), &body));
    let asked_for = parts.headers.get("wechatpay-serial").and_then(|serial| serial.to_str().ok()).map(str::to_owned);
    let state = shared.clone();
    let work = async move {
        let checked = {
            let state = state.lock();
            authorization::check(&state.pay.keys, &parts, &body, state.time_of_signatures())
        };
        match checked {
            Ok(()) => Answer::take(next.run(Request::from_parts(parts, Body::from(body))).await),
            Err(refusal) => Answer::Pay(refusal),
        }
    };
    let state = shared.clone();
    pass(shared, call, work, move |answer, fault| sign(answer, &state, asked_for.as_deref(), fault.tamper)).await
}

/// The app that a call is for, and the numbers of order and refund, where it names them.
fn named(path: &str, body: &[u8]) -> Named {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let in_path = |before: &str| path.strip_prefix(before)?.split('/').next().map(str::to_owned);
    Named {
        app_id: text("appid").unwrap_or_default(),
        out_trade_no: in_path("/v3/pay/transactions/out-trade-no/").or_else(|| text("out_trade_no")),
        out_refund_no: in_path("/v3/refund/domestic/refunds/").or_else(|| text("out_refund_no")),
    }
}

/// Only what succeeds is signed.
fn sign(answer: Answer, shared: &Shared, asked_for: Option<&str>, tamper: Option<Tamper>) -> Answer {
    let reply = match answer {
        Answer::Pay(reply) if reply.status.is_success() => reply,
        Answer::Status(status) if status.is_success() => Reply::empty(status),
        other => return other,
    };
    let state = shared.lock();
    let mut body = reply.body.clone();
    if let (Some(tamper), Ok(mut content)) = (tamper, serde_json::from_str(&body)) {
        match tamper.is_of_envelope() {
            true => content = state.pay.listed_certificates(Some(tamper)), // Nothing else that is answered is encrypted.
            false => tamper.change(&mut content),
        }
        body = content.to_string();
    }
    let (signatory, time) = (state.pay.signatory_of_answer(asked_for), state.time_of_signatures());
    Answer::Pay(reply.signed(signatory.sign(body, time.as_secs(), tamper)))
}
