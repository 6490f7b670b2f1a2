#![doc = include_str!("../README.md")]

mod version_2;

use std::time::Duration;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde_json::json;
use shared::deadline::Deadline;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::hex::sha256_hex;
use shared::http::{Call, HttpFunction, refused};
use shared::log::Metric;
use shared::settlement::{Settlement, Told, Work};
use shared::setup::Setup;
use shared::store::orders::Source;
use shared::store::{Orders, StoreError};
use shared::wechat::is_visible_ascii;
use shared::wechatpay::v3::{NotVerified, Notification, Notifications, PayKeys};
use shared::wechatpay::{OutTradeNo, RefundResult, RefundStatus, Trade, TradeState, Verified};

use crate::version_2::OfVersion2;

/// The one event that is about a payment.
/// Source: WeChat Pay v3, "Payment notification".
const PAID: &str = "TRANSACTION.SUCCESS";

/// What the events of refunds begin with; how the refund ended follows.
/// Source: WeChat Pay v3, "Refund notification".
const REFUNDED: &str = "REFUND.";

/// Why something is kept in quarantine that names none of our orders.
const NO_SUCH_ORDER: &str = "no such order";

/// The longest id of an event that names it in the table. WeChat Pay's have 36.
const LONGEST_ID: usize = 64;

/// The function `pay-notify`.
#[derive(Debug)]
pub struct PayNotify {
    notifications: Notifications,
    keys: PayKeys,
    orders: Orders,
    settlement: Settlement,
}

impl HttpFunction for PayNotify {
    const NAME: &'static str = "pay-notify";
    type Reply = ();

    /// WeChat Pay waits 5 s; the contract says 4.
    const WITHIN: Duration = Duration::from_millis(3500);

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock) = (setup.table()?, setup.clock().clone());
        let merchant = setup.verifier().await?;
        let notifications = Notifications::to(&merchant, &clock);
        let keys = PayKeys::of(&merchant, table.clone(), clock.clone());
        Ok(Self { notifications, keys, orders: Orders::new(table.clone()), settlement: Settlement::new(table, clock) })
    }

    async fn call(&self, call: &Call) -> Result<(), ApiError> {
        match self.open(call).await? {
            Ok(notification) => self.take(&notification, call).await,
            Err(reason) => Err(self.refuse(reason, call).await?),
        }
    }

    /// WeChat Pay's protocol: 204, or a reason to send it again. A stranger learns nothing from it.
    fn response(outcome: Result<(), &ApiError>, _: &str) -> Response<Body> {
        let Err(err) = outcome else {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        };
        let status = match err.code.status() {
            _ if is_not_verified(err) => ErrorCode::NotVerified.status(),
            status if status.is_client_error() => status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refused(err, status, &json!({ "code": "FAIL", "message": err.message }))
    }
}

impl PayNotify {
    /// Opens a notification. Where its key is not known, it may be in the table; it calls nobody else for that.
    async fn open(&self, call: &Call) -> Result<Result<Notification, NotVerified>, StoreError> {
        let open = || self.notifications.open(call.headers(), call.body());
        match open() {
            Err(NotVerified::UnknownKey)
                if self.keys.find_for_notification(call.headers(), call.deadline()).await? =>
            {
                Ok(open())
            }
            outcome => Ok(outcome),
        }
    }

    /// The refusal of what is not verified, which tells the sender nothing of the reason.
    ///
    /// What is no forgery, because it does not claim to be signed, is counted apart. Where a public key is named and there
    /// is no key at all to verify anything with, the log says `misconfigured`. As long as there is one, it does not: a
    /// stranger may name any key.
    async fn refuse(&self, reason: NotVerified, call: &Call) -> Result<ApiError, StoreError> {
        let (function, request_id, refusal) = (Self::NAME, call.request_id(), ApiError::new(ErrorCode::NotVerified));
        if version_2::is_notice(call.headers(), call.body()) {
            tracing::warn!(
                function,
                requestId = request_id,
                "a notice of version 2 came: was something refunded by hand?"
            );
            Metric::NotificationOfVersion2.count(function, request_id);
            return Ok(refusal.with_source(OfVersion2));
        }
        Metric::NotificationRefused.count(function, request_id);
        let names_key = matches!(reason, NotVerified::MissingPublicKey(_));
        let refusal = refusal.with_source(reason);
        let has_no_key = names_key && self.keys.has_none(call.deadline()).await?;
        Ok(if has_no_key { ApiError { code: ErrorCode::Misconfigured, ..refusal } } else { refusal })
    }

    /// Works on what WeChat Pay has signed. What is of no order of ours is kept for a person.
    async fn take(&self, notification: &Notification, call: &Call) -> Result<(), ApiError> {
        let (deadline, work) = (call.deadline(), Work { function: Self::NAME, request_id: call.request_id() });
        let id = id(notification, call.body());
        let (event_type, body) = (notification.event_type(), Some(call.body()));
        let told = Told { source: Source::Notify, id: &id, event_type, body };
        match self.settle(notification, &told, work, deadline).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => {
                Ok(self.settlement.quarantine(reason, notification.named(), &told, work, deadline).await?)
            }
            Err(err @ StoreError::Corrupt(_)) => {
                // WeChat Pay sends it for a day; after that nobody would know of it.
                let named = notification.named();
                self.settlement.quarantine("a row of ours is unreadable", named, &told, work, deadline).await?;
                Err(err.into())
            }
            Err(err) => Err(err.into()),
        }
    }

    /// Moves on what a notification is about, or says why there is nothing.
    async fn settle(
        &self,
        notification: &Notification,
        told: &Told<'_>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<Result<(), &'static str>, StoreError> {
        let news = match news(notification) {
            Ok(news) => news,
            Err(reason) => return Ok(Err(reason)),
        };
        let Ok(number) = OutTradeNo::try_from(news.out_trade_no().to_owned()) else { return Ok(Err(NO_SUCH_ORDER)) };
        let Some(mut order) = self.orders.find(&number, deadline).await? else { return Ok(Err(NO_SUCH_ORDER)) };
        match news {
            News::Payment(trade) => {
                self.settlement.settle(&mut order, &trade, told, work, deadline).await?;
            }
            News::Refund(refund) => {
                self.settlement.settle_refund(&mut order, None, &refund, told, work, deadline).await?;
            }
        }
        Ok(Ok(()))
    }
}

/// Whether it is the signature that is refused, whatever the code for the log is.
fn is_not_verified(err: &ApiError) -> bool {
    err.source.as_deref().is_some_and(|source| source.is::<NotVerified>())
}

/// What WeChat Pay tells of.
enum News {
    Payment(Verified<Trade>),
    Refund(Verified<RefundResult>),
}

impl News {
    fn out_trade_no(&self) -> &str {
        match self {
            Self::Payment(trade) => &trade.out_trade_no,
            Self::Refund(refund) => &refund.out_trade_no,
        }
    }
}

/// What a notification tells of, or why it tells of nothing that is known here.
fn news(notification: &Notification) -> Result<News, &'static str> {
    let event = notification.event_type();
    if event == PAID {
        let trade = notification.trade().ok_or("unreadable")?;
        let is_paid = matches!(trade.state, TradeState::Success | TradeState::Refund);
        return if is_paid { Ok(News::Payment(trade)) } else { Err("not paid") };
    }
    let status = event.strip_prefix(REFUNDED).ok_or("neither a payment nor a refund")?;
    let refund = notification.refund().ok_or("unreadable")?;
    let is_result = matches!(refund.status, RefundStatus::Abnormal | RefundStatus::Closed | RefundStatus::Success);
    if is_result && refund.status.as_str() == status { Ok(News::Refund(refund)) } else { Err("no result of a refund") }
}

/// The event's id, or what stands for one that cannot name anything.
fn id(notification: &Notification, body: &[u8]) -> String {
    if is_visible_ascii(notification.id(), LONGEST_ID) {
        return notification.id().to_owned();
    }
    sha256_hex(body)
}
