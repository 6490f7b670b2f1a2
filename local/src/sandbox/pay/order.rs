//! Orders, and how they are paid.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use shared::clock::Timestamp;
use shared::random;
use url::{Host, Url};

use super::beijing_digits;
use super::notification::{Notification, TRANSACTION_SUCCESS};
use super::refund::Refund;
use super::reply::Reply;

/// How long a prepay_id is good.
const PREPAY_TTL: Duration = Duration::from_secs(2 * 3600);

/// How long an order can be paid if it does not say it; and after this time WeChat Pay closes it.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// No order ends sooner.
const SHORTEST: Duration = Duration::from_secs(60);

/// An order of the merchant's.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Those of the request, and of every repetition, in whatever order.
    pub(super) fields: Value,
    pub(crate) request: OrderRequest,
    pub(super) prepay_id: String,
    prepaid_at: Timestamp,
    created_at: Timestamp,
    expires_at: Timestamp,
    closed: bool,
    /// How often it was: never more than once.
    pub(crate) times_paid: u32,
    pub(crate) payment: Option<Payment>,
    /// Those of the payment, in the order in which they were made.
    pub(crate) refunds: Vec<Refund>,
}

/// What the merchant asked for.
#[derive(Clone, Debug)]
pub(crate) struct OrderRequest {
    pub(crate) appid: String,
    pub(super) mchid: String,
    pub(crate) out_trade_no: String,
    pub(crate) openid: String,
    pub(crate) total: u64,
    pub(super) attach: Option<String>,
    pub(super) device_id: Option<String>,
    pub(crate) notify_url: String,
    expires_at: Option<Timestamp>,
}

/// How it was paid. There is only one.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) transaction_id: String,
    pub(crate) payer_total: u64,
    pub(super) paid_at: Timestamp,
    /// What the merchant is told of it.
    pub(crate) notification: Option<Notification>,
}

/// Why somebody cannot pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPayable {
    #[error("该订单已关闭")]
    Closed,
    #[error("订单已过期")]
    Expired,
    #[error("该订单已支付")]
    Paid,
    #[error("支付金额错误")]
    PayerTotal,
}

impl OrderRequest {
    /// Reads a body whose fields have been checked one by one.
    pub(super) fn read(body: &Value) -> Result<Self, Reply> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let must = |pointer: &str| text(pointer).unwrap_or_default();
        let out_trade_no = must("/out_trade_no");
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*".contains(&byte);
        if !out_trade_no.bytes().all(is_good) {
            return Err(Reply::bad_field(body, "/out_trade_no", "a character that it may not have"));
        }
        let notify_url = must("/notify_url");
        if !is_notify_url(&notify_url) {
            return Err(Reply::bad_field(body, "/notify_url", "not a full https URL without a query"));
        }
        if text("/amount/currency").is_some_and(|currency| currency != "CNY") {
            return Err(Reply::bad_field(body, "/amount/currency", "not CNY"));
        }
        let malformed = || Reply::bad_field(body, "/time_expire", "not a time of RFC 3339");
        let time = |text: String| Timestamp::parse_rfc3339(&text).ok_or_else(malformed);
        let expires_at = text("/time_expire").map(time).transpose()?;
        Ok(Self {
            appid: must("/appid"),
            mchid: must("/mchid"),
            out_trade_no,
            openid: must("/payer/openid"),
            total: body.pointer("/amount/total").and_then(Value::as_u64).unwrap_or_default(),
            attach: text("/attach"),
            device_id: text("/scene_info/device_id"),
            notify_url,
            expires_at,
        })
    }
}

/// Whether WeChat Pay would call it; and a machine that it cannot reach, but the sandbox can.
pub(super) fn is_notify_url(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else { return false };
    let is_loopback = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => return false,
    };
    let is_plain = parsed.query().is_none() && parsed.fragment().is_none() && parsed.username().is_empty();
    is_plain && (parsed.scheme() == "https" || parsed.scheme() == "http" && is_loopback)
}

impl Order {
    /// A new order. One that ends too late is refused: the documents do not agree on how late that is.
    pub(super) fn new(request: OrderRequest, fields: Value, now: Timestamp) -> Result<Self, Reply> {
        let expires_at = request.expires_at.unwrap_or(now + LONGEST).max(now + SHORTEST);
        if expires_at > now + LONGEST {
            return Err(Reply::bad_field(&fields, "/time_expire", "later than in seven days"));
        }
        Ok(Self {
            fields,
            request,
            prepay_id: prepay_id(now),
            prepaid_at: now,
            created_at: now,
            expires_at,
            closed: false,
            times_paid: 0,
            payment: None,
            refunds: Vec::new(),
        })
    }

    /// The same order again: the same prepay_id while that is good.
    pub(super) fn prepay(&mut self, now: Timestamp) -> &str {
        if now >= self.prepaid_at + PREPAY_TTL {
            (self.prepay_id, self.prepaid_at) = (prepay_id(now), now);
        }
        &self.prepay_id
    }

    /// Whether it has this prepay_id, and that is still good.
    pub(crate) fn is_prepaid_by(&self, prepay_id: &str, now: Timestamp) -> bool {
        self.prepay_id == prepay_id && now < self.prepaid_at + PREPAY_TTL
    }

    /// Whether it can be paid.
    pub(crate) fn check_payable(&self, now: Timestamp) -> Result<(), NotPayable> {
        match () {
            () if self.payment.is_some() => Err(NotPayable::Paid),
            () if self.is_closed(now) => Err(NotPayable::Closed),
            () if now >= self.expires_at => Err(NotPayable::Expired),
            () => Ok(()),
        }
    }

    /// Pays it, all of it unless a coupon pays a part.
    pub(crate) fn pay(
        &mut self,
        transaction_id: String,
        payer_total: Option<u64>,
        now: Timestamp,
    ) -> Result<(), NotPayable> {
        self.check_payable(now)?;
        let payer_total = payer_total.unwrap_or(self.request.total);
        if payer_total > self.request.total {
            return Err(NotPayable::PayerTotal);
        }
        self.set_paid(transaction_id, payer_total, now);
        Ok(())
    }

    pub(super) fn set_paid(&mut self, transaction_id: String, payer_total: u64, now: Timestamp) {
        self.times_paid += 1;
        self.payment = Some(Payment { transaction_id, payer_total, paid_at: now, notification: None });
        let notification = Notification::new(TRANSACTION_SUCCESS, "transaction", self.transaction(now), now);
        if let Some(payment) = &mut self.payment {
            payment.notification = Some(notification);
        }
    }

    /// Whether this is the id of its payment.
    pub(super) fn is_paid_by(&self, transaction_id: &str) -> bool {
        self.payment.as_ref().is_some_and(|payment| payment.transaction_id == transaction_id)
    }

    /// Closes it; closing again changes nothing. What is paid stays so.
    pub(crate) fn close(&mut self) -> Result<(), NotPayable> {
        self.closed = self.payment.is_none();
        self.closed.then_some(()).ok_or(NotPayable::Paid)
    }

    /// Whether the merchant has closed it, or WeChat Pay after its time, which is not that of the order.
    pub(crate) fn is_closed(&self, now: Timestamp) -> bool {
        self.closed || self.payment.is_none() && now >= self.created_at + LONGEST
    }

    /// Until when it can be paid.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `REFUND` says that there is a refund, whatever has become of it.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        match &self.payment {
            Some(_) if !self.refunds.is_empty() => "REFUND",
            Some(_) => "SUCCESS",
            None if self.is_closed(now) => "CLOSED",
            None => "NOTPAY",
        }
    }
}

/// 36 characters, such as `wx201410272009395522657a690389285100`.
fn prepay_id(now: Timestamp) -> String {
    let rest: String = random::bytes::<10>().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("wx{}{rest}", beijing_digits(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_go_to_https_or_to_this_machine() {
        for good in
            ["https://example.com/pay", "http://127.0.0.1:9000/pay-notify", "http://localhost/x", "http://[::1]/"]
        {
            assert!(is_notify_url(good), "{good}");
        }
        for bad in
            ["http://example.com/pay", "https://example.com/?a=1", "https://u@example.com/", "/pay", "ftp://localhost/"]
        {
            assert!(!is_notify_url(bad), "{bad}");
        }
    }
}
