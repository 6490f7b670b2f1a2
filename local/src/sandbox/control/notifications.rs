//! What WeChat Pay tells the merchant, and what goes wrong with it.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Reply, bad_request};
use crate::sandbox::pay::{self, Notification, Settings, Signer, Subject, TRANSACTION_SUCCESS, Tamper};
use crate::sandbox::state::{self, Shared};

/// Why there is nothing to send.
const NOTHING: &str = "there is no such paid order, or no such refund of which the merchant is told";

pub(super) async fn set(State(shared): State<Shared>, Json(settings): Json<Settings>) -> Json<Value> {
    let (reply, held) = (json!(settings), settings.hold);
    shared.lock().pay.notifications.settings = settings;
    if !held {
        pay::release(&shared).await;
    }
    Json(reply)
}

pub(super) async fn all(State(shared): State<Shared>) -> Json<Value> {
    let state = shared.lock();
    let notifications = &state.pay.notifications;
    Json(json!({ "settings": notifications.settings, "notifications": notifications.deliveries }))
}

/// A paid order or a settled refund.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Number {
    out_trade_no: Option<String>,
    out_refund_no: Option<String>,
}

pub(super) async fn resend(State(shared): State<Shared>, Json(wish): Json<Number>) -> Reply {
    let subject = match (wish.out_trade_no, wish.out_refund_no) {
        (Some(number), None) => Subject::Order(number),
        (None, Some(number)) => Subject::Refund(number),
        _ => return Err(bad_request("either outTradeNo or outRefundNo")),
    };
    let sent = pay::resend(&shared, &subject).await;
    let (status, event_id) = sent.ok_or_else(|| bad_request(NOTHING))?;
    Ok(Json(json!({ "eventId": event_id, "status": status })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Forgery {
    /// A paid order, whose notification it is; or one of the next two.
    out_trade_no: Option<String>,
    /// A settled refund.
    out_refund_no: Option<String>,
    /// What is encrypted.
    resource: Option<Map<String, Value>>,
    event_type: Option<String>,
    original_type: Option<String>,
    #[serde(default)]
    timestamp_offset_secs: i64,
    /// Who signs it, if not who signs those that are sent.
    signer: Option<Signer>,
    tamper: Option<Tamper>,
}

/// A notification that is not sent.
pub(super) async fn forge(State(shared): State<Shared>, Json(wish): Json<Forgery>) -> Reply {
    let state = shared.lock();
    let mut notification = match (wish.resource, &wish.out_trade_no, &wish.out_refund_no) {
        (Some(resource), None, None) => {
            Notification::new(TRANSACTION_SUCCESS, "transaction", Value::Object(resource), state.now())
        }
        (None, Some(number), None) => of_order(&state, number).ok_or_else(|| bad_request(NOTHING))?,
        (None, None, Some(number)) => of_refund(&state, number).ok_or_else(|| bad_request(NOTHING))?,
        _ => return Err(bad_request("either outTradeNo, outRefundNo or resource")),
    };
    notification.event_type = wish.event_type.unwrap_or(notification.event_type);
    notification.original_type = wish.original_type.unwrap_or(notification.original_type);
    let pay = &state.pay;
    let body = notification.envelope(&pay.keys.api_v3, wish.tamper).to_string();
    let time = state.time_of_signatures().as_secs().saturating_add_signed(wish.timestamp_offset_secs);
    let signatory = wish.signer.map_or_else(|| pay.signatory_of_notifications(), |signer| pay.signatory(signer));
    let signed = signatory.sign(body, time, wish.tamper);
    let headers: Map<_, _> = signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Ok(Json(json!({ "headers": headers, "body": signed.body })))
}

fn of_order(state: &state::State, number: &str) -> Option<Notification> {
    state.pay.orders.get(number)?.payment.as_ref()?.notification.clone()
}

fn of_refund(state: &state::State, number: &str) -> Option<Notification> {
    state.pay.find_refund(number)?.1.notification().cloned()
}
