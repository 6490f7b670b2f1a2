//! What becomes of refunds, and the staff who makes some on the merchant's own platform.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::random;

use super::pay::NoOrder;
use super::{Reply, bad_request, not_found};
use crate::sandbox::pay::{self, NewRefund, RefundSettings, RefundStatus, Subject, Told};
use crate::sandbox::state::{self, Shared};

/// Why there is nothing to tell of a refund.
#[derive(Debug, thiserror::Error)]
#[error("no such refund")]
struct NoRefund;

pub(super) async fn set(State(shared): State<Shared>, Json(settings): Json<RefundSettings>) -> Json<Value> {
    let reply = json!(settings);
    shared.lock().pay.refunds.settings = settings;
    Json(reply)
}

/// In the order in which they were made.
pub(super) async fn all(State(shared): State<Shared>) -> Json<Value> {
    let pay = &shared.lock().pay;
    let of_orders = pay.orders.values().flat_map(|order| order.refunds.iter().map(move |refund| (order, refund)));
    let mut refunds: Vec<_> = of_orders.collect();
    refunds.sort_by_key(|(_, refund)| refund.place);
    let views: Vec<_> = refunds.iter().map(|(order, refund)| order.refund_view(refund)).collect();
    Json(json!({ "settings": pay.refunds.settings, "refunds": views }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Staff {
    out_trade_no: String,
    refund_fen: u64,
    out_refund_no: Option<String>,
    #[serde(default)]
    status: RefundStatus,
    #[serde(default)]
    notify: Way,
}

/// How the merchant's server is told of what staff has done.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Way {
    None,
    V2,
    #[default]
    V3,
}

/// Refunds on the merchant's platform, from a pocket of its own.
pub(super) async fn add(State(shared): State<Shared>, Json(wish): Json<Staff>) -> Reply {
    let (number, view) = {
        let mut state = shared.lock();
        let number = add_by_staff(&mut state, wish)?;
        (number.clone(), view(&state, &number)?)
    };
    pay::send(&shared, &Subject::Refund(number));
    Ok(Json(view))
}

fn add_by_staff(state: &mut state::State, wish: Staff) -> Result<String, (axum::http::StatusCode, Json<Value>)> {
    let (now, pay) = (state.now(), &mut state.pay);
    let order = pay.orders.get(&wish.out_trade_no).ok_or_else(|| not_found(&NoOrder))?;
    let number = wish.out_refund_no.unwrap_or_else(|| random::digits(28));
    if order.payment.is_none() || !(1..=order.left()).contains(&wish.refund_fen) {
        return Err(bad_request("so much is not left of a payment"));
    }
    if pay.find_refund(&number).is_some() {
        return Err(bad_request("there is such a refund"));
    }
    let url = order.request.notify_url.clone();
    let told = match wish.notify {
        Way::None => Told::Never,
        Way::V2 => Told::ByVersion2(url),
        Way::V3 => Told::At(url),
    };
    let refund = NewRefund { out_refund_no: number.clone(), fen: wish.refund_fen, told, by_staff: true };
    pay.add_refund(&wish.out_trade_no, refund, now);
    // One that is to be under way is so already.
    let _ = pay.settle_refund(&number, wish.status, now);
    Ok(number)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Settlement {
    out_refund_no: String,
    status: RefundStatus,
    #[serde(default = "yes")]
    notify: bool,
}

fn yes() -> bool {
    true
}

/// What a refund has become.
pub(super) async fn settle(State(shared): State<Shared>, Json(wish): Json<Settlement>) -> Reply {
    let view = {
        let mut state = shared.lock();
        view(&state, &wish.out_refund_no)?;
        let now = state.now();
        let settled = state.pay.settle_refund(&wish.out_refund_no, wish.status, now);
        settled.map_err(|err| bad_request(&err.to_string()))?;
        view(&state, &wish.out_refund_no)?
    };
    if wish.notify {
        pay::send(&shared, &Subject::Refund(wish.out_refund_no));
    }
    Ok(Json(view))
}

fn view(state: &state::State, number: &str) -> Result<Value, (axum::http::StatusCode, Json<Value>)> {
    let (order, refund) = state.pay.find_refund(number).ok_or_else(|| not_found(&NoRefund))?;
    Ok(order.refund_view(refund))
}
