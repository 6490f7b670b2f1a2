//! `/v3/`: WeChat Pay for a merchant of the JSAPI kind, which is what a mini program pays with.
//!
//! It signs, verifies and encrypts with code of its own, so that it and the functions check each other.

mod authorization;
mod certificates;
mod delivery;
mod gate;
mod letter;
mod notification;
mod order;
mod post;
mod refund;
mod refunds;
mod remembered;
mod reply;
mod schema;
mod signature;
mod signing;
mod tamper;
mod transaction;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use jiff::tz::Offset;
use shared::clock::Timestamp;

use self::certificates::Certificates;
use self::delivery::Notifications;
use self::refunds::Refunds;
use self::signing::Signing;
use super::missing;
use super::state::Shared;
use crate::pay_keys::PayKeys;

pub(crate) use self::authorization::NONCE_LEN;
pub(crate) use self::delivery::{Settings, Subject, release, resend, send};
pub(crate) use self::notification::{Notification, TRANSACTION_SUCCESS, encrypted};
pub(crate) use self::order::{NotPayable, Order};
pub(crate) use self::post::Post;
pub(crate) use self::refund::{RefundStatus, Told};
pub(crate) use self::refunds::{NewRefund, RefundSettings};
pub(crate) use self::reply::Reply;
pub(crate) use self::signature::Signatory;
pub(crate) use self::signing::{KeySettings, Signer};
pub(crate) use self::tamper::Tamper;

pub(super) const BY_ID: &str = "/v3/pay/transactions/id/{transaction_id}";
pub(super) const BY_NUMBER: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}";
pub(super) const CERTIFICATES: &str = "/v3/certificates";
pub(super) const CLOSE: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}/close";
pub(super) const JSAPI: &str = "/v3/pay/transactions/jsapi";
pub(super) const REFUND: &str = "/v3/refund/domestic/refunds/{out_refund_no}";
pub(super) const REFUNDS: &str = "/v3/refund/domestic/refunds";

/// The routes of WeChat Pay's API that the sandbox has, by which faults and calls are named.
pub(super) const PATHS: [&str; 7] = [BY_ID, BY_NUMBER, CERTIFICATES, CLOSE, JSAPI, REFUND, REFUNDS];

pub(super) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route(BY_ID, get(transactions::by_id))
        .route(BY_NUMBER, get(transactions::by_number))
        .route(CERTIFICATES, get(certificates::list))
        .route(CLOSE, post(transactions::close))
        .route(JSAPI, post(transactions::jsapi))
        .route(REFUND, get(refunds::by_number))
        .route(REFUNDS, post(refunds::create))
        .method_not_allowed_fallback(missing::method)
        .route_layer(middleware::from_fn_with_state(shared.clone(), gate::answer))
}

/// What WeChat Pay knows.
#[derive(Debug)]
pub(crate) struct Pay {
    pub(crate) keys: PayKeys,
    pub(crate) signing: Signing,
    pub(crate) certificates: Certificates,
    /// By the merchant's number of the order.
    pub(crate) orders: BTreeMap<String, Order>,
    /// Numbers that were closed before there was an order: they are used up.
    closed_early: BTreeSet<String>,
    pub(crate) refunds: Refunds,
    pub(crate) notifications: Notifications,
    /// How many transaction ids there are.
    transactions: u64,
    post: Arc<Post>,
    /// Whether the people are those of the sandbox, so that no other openid is one.
    knows_people: bool,
}

impl Pay {
    pub(super) fn new(keys: PayKeys, post: Post, knows_people: bool, now: Timestamp) -> Self {
        Self {
            signing: Signing::new(keys.mode),
            certificates: Certificates::new(&keys, now),
            keys,
            orders: BTreeMap::new(),
            closed_early: BTreeSet::new(),
            refunds: Refunds::default(),
            notifications: Notifications::default(),
            transactions: 0,
            post: Arc::new(post),
            knows_people,
        }
    }

    /// Pays an order, all of it unless a coupon pays a part. One that there is not stays so.
    pub(crate) fn pay(&mut self, number: &str, payer_total: Option<u64>, now: Timestamp) -> Result<(), NotPayable> {
        let Some(order) = self.orders.get_mut(number) else { return Ok(()) };
        // 28 digits, of which nobody has the same: not even orders that are paid in the same second.
        self.transactions += 1;
        let transaction_id = format!("4200001{}{:07}", beijing_digits(now), self.transactions);
        order.pay(transaction_id, payer_total, now)
    }
}

/// A time as WeChat Pay writes it, in Beijing: `2018-06-08T10:34:56+08:00`.
pub(crate) fn beijing_time(time: Timestamp) -> String {
    format!("{}+08:00", in_beijing(time).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The digits of a time in Beijing, which ids begin with.
fn beijing_digits(time: Timestamp) -> String {
    in_beijing(time).strftime("%Y%m%d%H%M%S").to_string()
}

fn in_beijing(time: Timestamp) -> jiff::civil::DateTime {
    let secs = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Offset::constant(8).to_datetime(jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX))
}
