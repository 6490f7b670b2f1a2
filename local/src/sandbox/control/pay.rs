//! The person who pays, and the merchant's own platform.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;

use super::{Reply, bad_request, not_found};
use crate::sandbox::pay::{self, NONCE_LEN, Order, Subject, beijing_time};
use crate::sandbox::state::{self, Shared};

/// How far the time of a payment may be from now, either way.
const TIME_TOLERANCE_SECS: u64 = 86_400;

/// The parameters of `wx.requestPayment`: each is a text.
const PARAMETERS: [&str; 5] = ["timeStamp", "nonceStr", "package", "signType", "paySign"];

/// Why there is nothing to tell of an order.
#[derive(Debug, thiserror::Error)]
#[error("no such order")]
pub(super) struct NoOrder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PaymentWish {
    payment: Map<String, Value>,
    /// Who has the phone; whoever the order is of, if nobody is said.
    user: Option<String>,
    #[serde(default)]
    outcome: Outcome,
    payer_total: Option<u64>,
    /// The rest of create-order's reply, which may come as it is. No phone sees it.
    #[serde(default, rename = "outTradeNo")]
    _out_trade_no: IgnoredAny,
    #[serde(default, rename = "totalFen")]
    _total_fen: IgnoredAny,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Cancel,
    Fail,
    #[default]
    Ok,
}

/// `wx.requestPayment`: it always comes back with an errMsg.
pub(super) async fn request_payment(State(shared): State<Shared>, Json(wish): Json<PaymentWish>) -> Json<Value> {
    let outcome = pay_by_phone(&mut shared.lock(), &wish);
    let result = match outcome {
        Ok(number) => {
            pay::send(&shared, &Subject::Order(number));
            "ok".to_owned()
        }
        Err(problem) => format!("fail {problem}"),
    };
    Json(json!({ "errMsg": format!("requestPayment:{result}") }))
}

/// The order's number, or what the person is told.
fn pay_by_phone(state: &mut state::State, wish: &PaymentWish) -> Result<String, String> {
    let [time, nonce, package, sign_type, signature] = parameters(&wish.payment)?;
    let now = state.now();
    if !is_time_near(time, state.time_of_signatures()) {
        return Err("parameter error: timeStamp".to_owned());
    }
    let prepay_id = package.strip_prefix("prepay_id=").ok_or("parameter error: package")?;
    let prepaid = |order: &&Order| order.is_prepaid_by(prepay_id, now);
    let order = state.pay.orders.values().find(prepaid).ok_or("支付验证签名失败: prepay_id无效或已过期")?;
    if sign_type != "RSA" || nonce.chars().count() > NONCE_LEN {
        return Err("支付验证签名失败".to_owned());
    }
    let message = format!("{}\n{time}\n{nonce}\n{package}\n", order.request.appid);
    if !state.pay.keys.merchant.has_signed(message.as_bytes(), signature) {
        return Err("支付验证签名失败".to_owned());
    }
    let openid_of = |name: &String| state.users.get(name)?.openid(&order.request.appid);
    if wish.user.as_ref().is_some_and(|name| openid_of(name) != Some(&order.request.openid)) {
        return Err("该订单不是你的订单".to_owned());
    }
    order.check_payable(now).map_err(|err| err.to_string())?;
    match wish.outcome {
        Outcome::Cancel => return Err("cancel".to_owned()),
        Outcome::Fail => return Err("支付失败".to_owned()),
        Outcome::Ok => {}
    }
    let number = order.request.out_trade_no.clone();
    state.pay.pay(&number, wish.payer_total, now).map_err(|err| err.to_string())?;
    Ok(number)
}

/// Seconds in digits, and of about now.
fn is_time_near(text: &str, now: Timestamp) -> bool {
    let secs = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let secs: Option<u64> = secs.and_then(|text| text.parse().ok());
    secs.is_some_and(|secs| secs.abs_diff(now.as_secs()) <= TIME_TOLERANCE_SECS)
}

/// A parameter of another type is what the client itself refuses.
fn parameters(payment: &Map<String, Value>) -> Result<[&str; 5], String> {
    let mut texts = [""; 5];
    for (text, name) in texts.iter_mut().zip(PARAMETERS) {
        let kind = match payment.get(name) {
            Some(Value::String(value)) => {
                *text = value;
                continue;
            }
            Some(Value::Number(_)) => "Number",
            Some(_) => "Object",
            None => "Undefined",
        };
        return Err(format!("parameter error: parameter.{name} should be String instead of {kind}"));
    }
    Ok(texts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Paid {
    out_trade_no: String,
    payer_total: Option<u64>,
    #[serde(default = "yes")]
    notify: bool,
}

fn yes() -> bool {
    true
}

/// Pays without the parameters, as if by another device.
pub(super) async fn pay_elsewhere(State(shared): State<Shared>, Json(wish): Json<Paid>) -> Reply {
    let (number, view) = {
        let mut state = shared.lock();
        find(&state, &wish.out_trade_no)?;
        let (now, number) = (state.now(), &wish.out_trade_no);
        state.pay.pay(number, wish.payer_total, now).map_err(|err| bad_request(&err.to_string()))?;
        (wish.out_trade_no.as_str(), view(&state, find(&state, &wish.out_trade_no)?))
    };
    if wish.notify {
        pay::send(&shared, &Subject::Order(number.to_owned()));
    }
    Ok(Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Number {
    out_trade_no: String,
}

/// Closes an order on the merchant's platform.
pub(super) async fn close(State(shared): State<Shared>, Json(wish): Json<Number>) -> Reply {
    let mut state = shared.lock();
    let order = state.pay.orders.get_mut(&wish.out_trade_no).ok_or_else(|| not_found(&NoOrder))?;
    order.close().map_err(|err| bad_request(&err.to_string()))?;
    Ok(Json(view(&state, find(&state, &wish.out_trade_no)?)))
}

pub(super) async fn orders(State(shared): State<Shared>) -> Json<Value> {
    let state = shared.lock();
    let orders: Vec<_> = state.pay.orders.values().map(|order| view(&state, order)).collect();
    Json(json!({ "orders": orders }))
}

pub(super) async fn order(State(shared): State<Shared>, Path(number): Path<String>) -> Reply {
    let state = shared.lock();
    Ok(Json(view(&state, find(&state, &number)?)))
}

fn find<'a>(state: &'a state::State, number: &str) -> Result<&'a Order, (axum::http::StatusCode, Json<Value>)> {
    state.pay.orders.get(number).ok_or_else(|| not_found(&NoOrder))
}

fn view(state: &state::State, order: &Order) -> Value {
    let number = &order.request.out_trade_no;
    let deliveries = &state.pay.notifications.deliveries;
    let deliveries: Vec<_> = deliveries.iter().filter(|delivery| &delivery.out_trade_no == number).collect();
    let refunds: Vec<_> = order.refunds.iter().map(|refund| order.refund_view(refund)).collect();
    json!({
        "outTradeNo": number,
        "appId": order.request.appid,
        "state": order.state(state.now()),
        "total": order.request.total,
        "payerTotal": order.payment.as_ref().map(|payment| payment.payer_total),
        "transactionId": order.payment.as_ref().map(|payment| &payment.transaction_id),
        "timesPaid": order.times_paid,
        "expiresAt": beijing_time(order.expires_at()),
        "refunded": order.refunded(),
        "refunds": refunds,
        "notifyUrl": order.request.notify_url,
        "notifications": deliveries,
    })
}
