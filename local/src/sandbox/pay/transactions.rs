//! `/v3/pay/transactions/`: orders are made, queried and closed.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::wechat::AppKind;

use super::order::{Order, OrderRequest};
use super::reply::Reply;
use super::schema;
use crate::pay_keys::MCH_ID;
use crate::sandbox::answer::Answer;
use crate::sandbox::state::{self, Shared};

/// Source: JSAPI/小程序下单.
pub(super) async fn jsapi(State(shared): State<Shared>, body: Bytes) -> Answer {
    Answer::Pay(order(&mut shared.lock(), &body).unwrap_or_else(|refusal| refusal))
}

fn order(state: &mut state::State, body: &[u8]) -> Result<Reply, Reply> {
    let fields = schema::order(body)?;
    check_mchid(fields["mchid"].as_str())?;
    let request = OrderRequest::read(&fields)?;
    let (number, now) = (request.out_trade_no.clone(), state.now());
    if state.kind_of(&request.appid) != Some(AppKind::MiniProgram) {
        return Err(Reply::refusal(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试"));
    }
    let closed = || Reply::refusal(400, "ORDER_CLOSED", "该订单已关闭，请重新下单");
    if let Some(known) = state.pay.orders.get_mut(&number) {
        return match () {
            () if known.payment.is_some() => Err(paid()),
            () if known.is_closed(now) => Err(closed()),
            () if known.fields != fields => {
                Err(Reply::refusal(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致"))
            }
            () if known.check_payable(now).is_err() => Err(Reply::refusal(400, "INVALID_REQUEST", "订单已过期")),
            () => Ok(Reply::ok(&json!({ "prepay_id": known.prepay(now) }))),
        };
    }
    if state.pay.closed_early.contains(&number) {
        return Err(closed());
    }
    let is_somebody = state.users.values().any(|user| user.openid(&request.appid) == Some(&request.openid));
    if state.pay.knows_people && !is_somebody {
        return Err(Reply::bad_field(&fields, "/payer/openid", "无效的openid"));
    }
    let mut order = Order::new(request, fields, now)?;
    let reply = Reply::ok(&json!({ "prepay_id": order.prepay(now) }));
    state.pay.orders.insert(number, order);
    Ok(reply)
}

#[derive(Deserialize)]
pub(super) struct OfMerchant {
    mchid: Option<String>,
}

/// Source: 商户订单号查询订单.
pub(super) async fn by_number(
    State(shared): State<Shared>,
    Path(number): Path<String>,
    Query(query): Query<OfMerchant>,
) -> Answer {
    let state = shared.lock();
    Answer::Pay(found(&state, &query, state.pay.orders.get(&number)))
}

/// Source: 微信支付订单号查询订单.
pub(super) async fn by_id(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(query): Query<OfMerchant>,
) -> Answer {
    let state = shared.lock();
    Answer::Pay(found(&state, &query, state.pay.orders.values().find(|order| order.is_paid_by(&id))))
}

fn found(state: &state::State, query: &OfMerchant, order: Option<&Order>) -> Reply {
    match (check_mchid(query.mchid.as_deref()), order) {
        (Err(refusal), _) => refusal,
        (Ok(()), None) => Reply::refusal(404, "ORDER_NOT_EXIST", "订单不存在"),
        (Ok(()), Some(order)) => Reply::ok(&order.query_answer(state.now())),
    }
}

/// Source: 关闭订单.
pub(super) async fn close(State(shared): State<Shared>, Path(number): Path<String>, body: Bytes) -> Answer {
    let mut state = shared.lock();
    Answer::Pay(match schema::closing(&body).and_then(|body| check_mchid(body.get("mchid").and_then(Value::as_str))) {
        Ok(()) => closed(&mut state, number),
        Err(refusal) => refusal,
    })
}

/// A number without an order is closed as well: it has been seen that it cannot be used any more.
fn closed(state: &mut state::State, number: String) -> Reply {
    let refused = match state.pay.orders.get_mut(&number) {
        Some(order) => order.close().is_err(),
        None => {
            state.pay.closed_early.insert(number);
            false
        }
    };
    if refused { paid() } else { Reply::empty(StatusCode::NO_CONTENT) }
}

/// One of several spellings that WeChat Pay has for it; a fault can have the others.
fn paid() -> Reply {
    Reply::refusal(400, "ORDERPAID", "该订单已支付")
}

/// The one who has signed is the one who is named.
fn check_mchid(mchid: Option<&str>) -> Result<(), Reply> {
    match mchid {
        Some(MCH_ID) => Ok(()),
        Some(_) => Err(Reply::refusal(400, "INVALID_REQUEST", "请求中的mchid与Http头Authorization中的mchid不一致")),
        None => Err(Reply::refusal(400, "PARAM_ERROR", "缺少参数mchid")),
    }
}
