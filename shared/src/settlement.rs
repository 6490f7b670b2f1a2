//! What WeChat Pay has signed about an order: checked against the order, and then the order is moved on, or what does not
//! match is kept for a person. Notifications and answers to queries come through here alike.

mod refunds;

use crate::clock::{Clock, Timestamp};
use crate::deadline::Deadline;
use crate::log::Metric;
use crate::store::orders::{Fact, Happening, Move, Order, OrderState, Payment, Source};
use crate::store::{Evidence, Orders, Quarantine, Refunds, StoreError, Table};
use crate::wechatpay::{Named, Trade, TradeState, Verified};

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

/// Moves orders and refunds on.
#[derive(Clone, Debug)]
pub struct Settlement {
    orders: Orders,
    refunds: Refunds,
    quarantine: Quarantine,
    clock: Clock,
}

/// How WeChat Pay said it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// By what.
    pub source: Source,
    /// Names it in the history of an order, and in quarantine.
    pub id: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// The bytes of a notification, in which what is personal is encrypted.
    pub body: Option<&'a [u8]>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The order is as WeChat Pay says.
    Agreed,
    /// What WeChat Pay says is kept for a person.
    Quarantined,
    /// WeChat Pay says something that nobody here knows the meaning of.
    Unknown,
}

impl Settlement {
    /// Works on the orders of a table.
    pub fn new(table: Table, clock: Clock) -> Self {
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table.clone()));
        Self { orders, refunds, quarantine: Quarantine::new(table), clock }
    }

    /// Moves an order on as far as what WeChat Pay says of it leads. What does not match goes to quarantine, and the
    /// order stays as it is. Where there was something to move, `order` is as the table has it afterwards.
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
    ) -> Result<Settled, StoreError> {
        let now = self.clock.timestamp();
        let fact = match fact(order, trade, now) {
            Ok(Reading::Fact(fact)) => fact,
            Ok(Reading::Nothing) => return Ok(Settled::Agreed),
            Ok(Reading::Unknown) => return Ok(Settled::Unknown),
            Err(Mismatch(reason)) => {
                self.quarantine(reason, Named::from(&**trade), told, work, deadline).await?;
                return Ok(Settled::Quarantined);
            }
        };
        let is_payment = !matches!(fact, Fact::Closed);
        let happening = Happening { fact, source: told.source, why: told.id.to_owned() };
        let matches = |order: &Order| self::fact(order, trade, now).is_ok();
        let step = self.orders.apply(order, &happening, matches, self.clock.moment(), deadline).await?;
        let is_news = step.is_some_and(Move::is_paid_after_closed);
        if is_news || is_payment && order.paid_after_closed && order.state == OrderState::Success {
            paid_after_closed(order, work);
        }
        // Somebody else may have told of another payment meanwhile.
        match self::fact(order, trade, now) {
            Ok(_) => Ok(Settled::Agreed),
            Err(Mismatch(reason)) => {
                self.quarantine(reason, Named::from(&**trade), told, work, deadline).await?;
                Ok(Settled::Quarantined)
            }
        }
    }

    /// Says each time that something cannot be placed, and keeps it.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the same may be told again.
    pub async fn quarantine(
        &self,
        reason: &'static str,
        named: Named,
        told: &Told<'_>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let Told { id, event_type, body, .. } = *told;
        let Work { function, request_id } = work;
        tracing::error!(
            function,
            requestId = request_id,
            reason,
            event = id,
            eventType = event_type,
            outTradeNo = named.out_trade_no,
            "payment quarantined"
        );
        Metric::PaymentQuarantined.count(function, request_id);
        let evidence = Evidence { id, reason, event_type, named: &named, body };
        self.quarantine.keep(&evidence, self.clock.timestamp(), deadline).await
    }
}

/// Says that money came for an order whose goods were given back. Said again whenever the payment is told again, until
/// there is a refund: the one who should have said it first may have ended before.
fn paid_after_closed(order: &Order, Work { function, request_id }: Work<'_>) {
    let number = order.out_trade_no.as_str();
    tracing::error!(function, requestId = request_id, outTradeNo = number, "paid after it was closed: refund it");
    Metric::PaidAfterClosed.count(function, request_id);
}

/// What WeChat Pay's words mean for an order.
enum Reading {
    Fact(Fact),
    /// The order is not paid, which moves nothing.
    Nothing,
    /// A state that is not known here.
    Unknown,
}

/// What WeChat Pay says is not about this order: the field that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mismatch(&'static str);

fn same(is_same: bool, field: &'static str) -> Result<(), Mismatch> {
    if is_same { Ok(()) } else { Err(Mismatch(field)) }
}

fn fact(order: &Order, trade: &Trade, now: Timestamp) -> Result<Reading, Mismatch> {
    same(trade.mch_id == order.mch_id.as_str(), "mchid")?;
    same(trade.app_id == order.app_id.as_str(), "appid")?;
    same(trade.out_trade_no == order.out_trade_no.as_str(), "out_trade_no")?;
    if let Some(amount) = &trade.amount {
        same(amount.total == order.total, "amount.total")?;
        same(amount.currency.as_deref().is_none_or(|currency| currency == CURRENCY), "amount.currency")?;
    }
    Ok(match trade.state {
        TradeState::Success => Reading::Fact(Fact::Paid(payment(order, trade, now)?)),
        TradeState::Refund => Reading::Fact(Fact::Refunded(payment(order, trade, now)?)),
        TradeState::Closed => Reading::Fact(Fact::Closed),
        TradeState::NotPay => Reading::Nothing,
        TradeState::Unknown => Reading::Unknown,
    })
}

/// The payment, which names its amount with the currency, and its number; an order has one.
fn payment(order: &Order, trade: &Trade, now: Timestamp) -> Result<Payment, Mismatch> {
    trade.amount.as_ref().filter(|amount| amount.currency.is_some()).ok_or(Mismatch("amount"))?;
    let transaction_id = trade.transaction_id.clone().ok_or(Mismatch("transaction_id"))?;
    // A payment without a readable time is a payment all the same.
    let paid_at = trade.success_time.as_deref().and_then(Timestamp::parse_rfc3339).unwrap_or(now);
    match &order.payment {
        Some(known) if known.transaction_id != transaction_id => Err(Mismatch("transaction_id")),
        _ => Ok(Payment { transaction_id, paid_at }),
    }
}
