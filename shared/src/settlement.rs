//! What WeChat Pay has signed about an order: checked against the order, and then the order is moved on, or what does not
//! match is kept for a person. Notifications and answers to queries come through here alike.

use crate::clock::{Clock, Timestamp};
use crate::deadline::Deadline;
use crate::log::Metric;
use crate::store::orders::{Fact, Happening, Order, Payment, Source};
use crate::store::{Evidence, Orders, Quarantine, StoreError, Table};
use crate::wechatpay::{Trade, TradeState, Verified};

/// The one currency.
const CURRENCY: &str = "CNY";

/// Who works on what, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The function's name.
    pub function: &'a str,
    /// The id of the invocation.
    pub request_id: &'a str,
}

/// Moves orders on.
#[derive(Clone, Debug)]
pub struct Settlement {
    orders: Orders,
    quarantine: Quarantine,
    clock: Clock,
}

/// Where WeChat Pay said it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// How.
    pub source: Source,
    /// The event's id, or the number that was asked for.
    pub id: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// The bytes of a notification, in which what is personal is encrypted.
    pub body: Option<&'a [u8]>,
}

impl Settlement {
    /// Works on the orders of a table.
    pub fn new(table: Table, clock: Clock) -> Self {
        Self { orders: Orders::new(table.clone()), quarantine: Quarantine::new(table), clock }
    }

    /// Moves an order on as far as what WeChat Pay says of it leads. What does not match goes to quarantine, and the
    /// order stays as it is.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the same may be told again.
    pub async fn settle(
        &self,
        order: &mut Order,
        trade: &Verified<Trade>,
        told: &Told<'_>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let fact = match fact(order, trade, self.clock.timestamp()) {
            Ok(Some(fact)) => fact,
            Ok(None) => return Ok(()),
            Err(Mismatch(reason)) => return self.quarantine(reason, Some(trade), told, work, deadline).await,
        };
        let happening = Happening { fact, source: told.source, why: told.id.to_owned() };
        let step = self.orders.apply(order, &happening, self.clock.moment(), deadline).await?;
        if step.is_some_and(|step| step.is_paid_after_closed()) {
            let (function, request_id, number) = (work.function, work.request_id, order.out_trade_no.as_str());
            tracing::error!(
                function,
                requestId = request_id,
                outTradeNo = number,
                "paid after it was closed: refund it"
            );
            Metric::PaidAfterClosed.count(function, request_id);
        }
        Ok(())
    }

    /// Keeps what cannot be placed, once, and says so.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the same may be told again.
    pub async fn quarantine(
        &self,
        reason: &'static str,
        trade: Option<&Verified<Trade>>,
        told: &Told<'_>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let evidence = Evidence {
            id: told.id,
            reason,
            event_type: told.event_type,
            out_trade_no: trade.map(|trade| trade.out_trade_no.as_str()),
            transaction_id: trade.and_then(|trade| trade.transaction_id.as_deref()),
            body: told.body,
        };
        self.quarantine.keep(&evidence, self.clock.timestamp(), deadline).await?;
        let Work { function, request_id } = work;
        tracing::error!(
            function,
            requestId = request_id,
            reason,
            event = told.id,
            eventType = told.event_type,
            outTradeNo = evidence.out_trade_no,
            "payment quarantined"
        );
        Metric::PaymentQuarantined.count(function, request_id);
        Ok(())
    }
}

/// What WeChat Pay says is not about this order: the field that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mismatch(&'static str);

/// What has happened to an order, if anything that moves one.
fn fact(order: &Order, trade: &Trade, now: Timestamp) -> Result<Option<Fact>, Mismatch> {
    let same = |is_same: bool, field| if is_same { Ok(()) } else { Err(Mismatch(field)) };
    same(trade.mch_id == order.mch_id.as_str(), "mchid")?;
    same(trade.app_id == order.app_id.as_str(), "appid")?;
    same(trade.out_trade_no == order.out_trade_no.as_str(), "out_trade_no")?;
    if let Some(amount) = &trade.amount {
        same(amount.total == order.total, "amount.total")?;
        same(amount.currency == CURRENCY, "amount.currency")?;
    }
    match trade.state {
        TradeState::Success => Ok(Some(Fact::Paid(payment(order, trade, now)?))),
        TradeState::Refund => Ok(Some(Fact::Refunded(payment(order, trade, now)?))),
        TradeState::Closed => Ok(Some(Fact::Closed)),
        TradeState::NotPay | TradeState::Unknown => Ok(None),
    }
}

/// The payment, which names its amount and its number; an order has one.
fn payment(order: &Order, trade: &Trade, now: Timestamp) -> Result<Payment, Mismatch> {
    trade.amount.as_ref().ok_or(Mismatch("amount"))?;
    let transaction_id = trade.transaction_id.clone().ok_or(Mismatch("transaction_id"))?;
    // A payment without a readable time is a payment all the same.
    let paid_at = trade.success_time.as_deref().and_then(Timestamp::parse_rfc3339).unwrap_or(now);
    match &order.payment {
        Some(known) if known.transaction_id != transaction_id => Err(Mismatch("transaction_id")),
        _ => Ok(Payment { transaction_id, paid_at }),
    }
}
