//! `/v3/refund/domestic/refunds`: refunds are made and queried.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::clock::Timestamp;

use super::delivery::{Subject, send};
use super::order::{Order, is_notify_url};
use super::refund::{Ended, Refund, RefundStatus, Told};
use super::reply::Reply;
use super::{Pay, beijing_digits, schema};
use crate::sandbox::answer::Answer;
use crate::sandbox::state::{self, Shared};

/// How long after its payment an order can be refunded. Source: 申请退款, as the next one.
const WITHIN: Duration = Duration::from_secs(365 * 86_400);

/// Refunds that an order can have.
const MOST: usize = 50;

/// What becomes of refunds. What a request leaves out is as here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RefundSettings {
    /// What each becomes as soon as it is accepted.
    outcome: RefundStatus,
    /// What the merchant has left for refunds: enough, if nobody says it.
    balance_fen: Option<u64>,
    /// How long after one of its refunds an order can have the next.
    apart_secs: u64,
}

/// All of them. Each is with its order.
#[derive(Debug, Default)]
pub(crate) struct Refunds {
    pub(crate) settings: RefundSettings,
    /// The order's number, by that of the refund.
    pub(super) orders: BTreeMap<String, String>,
    /// How many were made.
    pub(super) count: u64,
}

/// What the merchant asks for.
struct Request {
    out_refund_no: String,
    fen: u64,
    total: u64,
    notify_url: Option<String>,
}

/// What somebody wants to refund, who need not be the merchant's server.
pub(crate) struct NewRefund {
    pub(crate) out_refund_no: String,
    pub(crate) fen: u64,
    pub(crate) told: Told,
    pub(crate) by_staff: bool,
}

/// Source: 申请退款.
pub(super) async fn create(State(shared): State<Shared>, body: Bytes) -> Answer {
    let result = refund(&mut shared.lock(), &body);
    let (reply, settled) = result.unwrap_or_else(|refusal| (refusal, None));
    if let Some(number) = settled {
        send(&shared, &Subject::Refund(number));
    }
    Answer::Pay(reply)
}

/// Source: 查询单笔退款.
pub(super) async fn by_number(State(shared): State<Shared>, Path(number): Path<String>) -> Answer {
    let pay = &shared.lock().pay;
    Answer::Pay(match pay.find_refund(&number) {
        Some((order, refund)) => Reply::ok(&order.refund_answer(refund)),
        None => not_there("退款单不存在"),
    })
}

/// The answer, and the number of a new one that has been settled since.
fn refund(state: &mut state::State, body: &[u8]) -> Result<(Reply, Option<String>), Reply> {
    let fields = schema::refund(body)?;
    let (request, now) = (read(&fields)?, state.now());
    let pay = &mut state.pay;
    let order = pay.named_order(&fields)?;
    let (order_number, number) = (order.request.out_trade_no.clone(), request.out_refund_no.clone());
    if let Some(of_order) = pay.refunds.orders.get(&number) {
        let is_same_order = *of_order == order_number;
        return Ok((pay.repeated(&request, is_same_order)?, None));
    }
    check(order, &request, now, pay.refunds.settings.apart_secs)?;
    pay.take_from_balance(request.fen)?;
    let told = request.notify_url.map_or(Told::Never, Told::At);
    pay.add_refund(
        &order_number,
        NewRefund { out_refund_no: number.clone(), fen: request.fen, told, by_staff: false },
        now,
    );
    let reply = pay.find_refund(&number).map(|(order, refund)| Reply::ok(&order.refund_answer(refund)));
    let outcome = pay.refunds.settings.outcome;
    let settled = pay.settle_refund(&number, outcome, now).is_ok().then_some(number);
    Ok((reply.ok_or_else(|| not_there("退款单不存在"))?, settled))
}

/// Reads a body whose fields have been checked one by one.
fn read(body: &Value) -> Result<Request, Reply> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let out_refund_no = text("/out_refund_no").unwrap_or_default();
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte);
    let notify_url = text("/notify_url");
    match () {
        () if !out_refund_no.bytes().all(is_good) => {
            Err(Reply::bad_field(body, "/out_refund_no", "a character that it may not have"))
        }
        () if notify_url.as_deref().is_some_and(|url| !is_notify_url(url)) => {
            Err(Reply::bad_field(body, "/notify_url", "not a full https URL without a query"))
        }
        () if text("/amount/currency").is_some_and(|currency| currency != "CNY") => {
            Err(Reply::bad_field(body, "/amount/currency", "not CNY"))
        }
        () if text("/funds_account").is_some_and(|account| account != "AVAILABLE") => {
            Err(Reply::bad_field(body, "/funds_account", "not AVAILABLE"))
        }
        () => {
            let (fen, total) = (number("/amount/refund"), number("/amount/total"));
            Ok(Request { out_refund_no, fen, total, notify_url })
        }
    }
}

/// Whether an order can have another refund.
fn check(order: &Order, request: &Request, now: Timestamp, apart_secs: u64) -> Result<(), Reply> {
    let invalid = |message: &str| Err(Reply::refusal(400, "INVALID_REQUEST", message));
    let Some(payment) = &order.payment else { return invalid("订单未支付，不能退款") };
    let last = order.refunds.last().map(|refund| refund.created_at);
    match () {
        () if request.total != order.request.total => invalid("订单金额或退款金额与之前请求不一致，请核实后再试"),
        () if now > payment.paid_at + WITHIN => invalid("订单已超过退款期限"),
        () if order.refunds.len() >= MOST => invalid("退款次数超过限制"),
        () if request.fen > order.left() => invalid("申请退款金额大于订单可退金额"),
        () if last.is_some_and(|last| now.secs_since(last) < apart_secs) => {
            Err(Reply::refusal(429, "FREQUENCY_LIMITED", "频率限制"))
        }
        () => Ok(()),
    }
}

fn not_there(message: &str) -> Reply {
    Reply::refusal(404, "RESOURCE_NOT_EXISTS", message)
}

impl Pay {
    /// A refund with its order.
    pub(crate) fn find_refund(&self, number: &str) -> Option<(&Order, &Refund)> {
        let order = self.orders.get(self.refunds.orders.get(number)?)?;
        Some((order, order.find_refund(number)?))
    }

    /// The order that a request names, in the one way or the other.
    fn named_order(&self, body: &Value) -> Result<&Order, Reply> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let order = match (text("out_trade_no"), text("transaction_id")) {
            (Some(number), None) => self.orders.get(number),
            (None, Some(id)) => self.orders.values().find(|order| order.is_paid_by(id)),
            _ => return Err(Reply::bad_field(body, "/transaction_id", "either it or out_trade_no")),
        };
        order.ok_or_else(|| not_there("订单不存在"))
    }

    /// The same number again is the same refund.
    fn repeated(&mut self, request: &Request, is_same_order: bool) -> Result<Reply, Reply> {
        let number = self.refunds.orders.get(&request.out_refund_no);
        let order = number.and_then(|number| self.orders.get_mut(number)).ok_or_else(|| not_there("订单不存在"))?;
        let is_same = is_same_order && request.total == order.request.total;
        let refund = order.refunds.iter_mut().find(|refund| refund.out_refund_no == request.out_refund_no);
        match refund.filter(|refund| is_same && refund.fen == request.fen) {
            Some(refund) => {
                refund.times_requested += 1;
                let refund = refund.clone();
                Ok(Reply::ok(&order.refund_answer(&refund)))
            }
            None => Err(Reply::refusal(400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")),
        }
    }

    fn take_from_balance(&mut self, fen: u64) -> Result<(), Reply> {
        let Some(balance) = &mut self.refunds.settings.balance_fen else { return Ok(()) };
        let left = balance.checked_sub(fen);
        *balance = left.ok_or_else(|| Reply::refusal(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起"))?;
        Ok(())
    }

    /// Accepts a refund, which is `PROCESSING` then.
    pub(crate) fn add_refund(&mut self, order_number: &str, new: NewRefund, now: Timestamp) {
        let Some(order) = self.orders.get_mut(order_number) else { return };
        self.refunds.count += 1;
        self.refunds.orders.insert(new.out_refund_no.clone(), order_number.to_owned());
        order.refunds.push(Refund {
            out_refund_no: new.out_refund_no,
            refund_id: format!("5030000{}{:08}", beijing_digits(now), self.refunds.count),
            fen: new.fen,
            status: RefundStatus::Processing,
            created_at: now,
            succeeded_at: None,
            told: new.told,
            by_staff: new.by_staff,
            times_requested: u32::from(!new.by_staff),
            letter: None,
            place: self.refunds.count,
        });
    }

    /// What a refund has become. Money that does not reach the user is the merchant's again.
    pub(crate) fn settle_refund(&mut self, number: &str, status: RefundStatus, now: Timestamp) -> Result<(), Ended> {
        let order = self.refunds.orders.get(number).and_then(|order| self.orders.get_mut(order)).ok_or(Ended)?;
        order.settle(number, status, now)?;
        let refund = order.find_refund(number).filter(|refund| !refund.by_staff && status == RefundStatus::Closed);
        if let (Some(refund), Some(balance)) = (refund, &mut self.refunds.settings.balance_fen) {
            *balance = balance.saturating_add(refund.fen);
        }
        Ok(())
    }
}
