//! Moving an order on: one transaction for the state, its history, the stock and the user's open orders.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::state::{Move, OrderEvent};
use super::{Line, Order, Orders, Source, end_one, row};
use crate::clock::{Moment, Timestamp};
use crate::deadline::Deadline;
use crate::store::call::{Condition, Pauses};
use crate::store::item::{list, number, text};
use crate::store::products::Sku;
use crate::store::table::{Change, Transaction, Write};
use crate::store::{Corrupt, StoreError};

/// What WeChat Pay says has happened to an order, as checked against the order, and how we know.
#[derive(Clone, Debug)]
pub struct Happening {
    /// What.
    pub fact: Fact,
    /// What told us.
    pub source: Source,
    /// For the history: which one of its kind.
    pub why: String,
}

/// What has happened to an order.
#[derive(Clone, Debug)]
pub enum Fact {
    /// It was closed unpaid.
    Closed,
    /// It was paid in full.
    Paid(Payment),
    /// It was paid in full, and a refund exists.
    Refunded(Payment),
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// WeChat Pay's number of it.
    pub transaction_id: String,
    /// When it was made.
    pub paid_at: Timestamp,
}

impl Fact {
    fn event(&self) -> OrderEvent {
        match self {
            Self::Closed => OrderEvent::Closed,
            Self::Paid(_) => OrderEvent::Paid,
            Self::Refunded(_) => OrderEvent::Refunded,
        }
    }

    /// The payment of which an order that is moved on by this does not know yet.
    fn news(&self, step: Move) -> Option<&Payment> {
        match self {
            Self::Paid(payment) | Self::Refunded(payment) => step.is_payment().then_some(payment),
            Self::Closed => None,
        }
    }
}

impl Orders {
    /// Moves an order on, if what has happened leads anywhere from where it is. `order` is as the table has it afterwards.
    /// However many do this at once, each move is made once. Where others have changed the order meanwhile, it moves only
    /// if what has happened still `matches`.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the move may have been made.
    pub async fn apply(
        &self,
        order: &mut Order,
        happening: &Happening,
        matches: impl Fn(&Order) -> bool,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Option<Move>, StoreError> {
        let mut pauses = Pauses::until(deadline);
        // Products that have no stock any more to give anything back to.
        let mut unlimited: Vec<Sku> = Vec::new();
        loop {
            let Some(step) = order.state.after(happening.fact.event()) else { return Ok(None) };
            let mut writes = vec![Write::Update(state_change(order, step, happening, now))];
            let returned = returned(order, step, &unlimited);
            writes.extend(returned.iter().map(|line| line.sku.give_back(line.quantity)));
            writes.extend(step.ends_open_order().then(|| end_one(&order.user_id)));
            match self.table.transact(writes, deadline).await? {
                Transaction::Committed => {
                    moved(order, step, &happening.fact);
                    return Ok(Some(step));
                }
                Transaction::ConditionFailed(conditions) => {
                    // The order's own write is the first, and those of the products come next.
                    let of_products = conditions.iter().skip(1).zip(&returned);
                    let failed = of_products.filter(|(condition, _)| **condition == Condition::Failed);
                    unlimited.extend(failed.map(|(_, line)| line.sku.clone()));
                    if conditions.first() != Some(&Condition::Held) {
                        let found = self.find(&order.out_trade_no, deadline).await?;
                        *order = found.ok_or_else(|| Corrupt::order(&order.out_trade_no, row::TRADE_STATE))?;
                        if !matches(order) {
                            return Ok(None);
                        }
                    }
                }
            }
            pauses.next("others at work on the same order").await?;
        }
    }
}

pub(super) fn moved(order: &mut Order, step: Move, fact: &Fact) {
    order.state = step.to;
    order.paid_after_closed |= step.is_paid_after_closed();
    if let Some(payment) = fact.news(step) {
        order.payment = Some(payment.clone());
    }
}

/// The lines of which a move gives something back.
pub(super) fn returned(order: &Order, step: Move, unlimited: &[Sku]) -> Vec<Line> {
    let lines = order.lines.iter().filter(|line| step.returns_stock() && line.is_limited);
    lines.filter(|line| !unlimited.contains(&line.sku)).cloned().collect()
}

/// The change of the order's own row: if it is where the move begins.
pub(super) fn state_change(order: &Order, step: Move, happening: &Happening, now: Moment) -> Change {
    let entry = row::history(step.to, happening.source, &happening.why, now);
    let mut values = HashMap::from([
        text(":from", step.from.as_str()),
        text(":to", step.to.as_str()),
        (":entry".to_owned(), list([entry])),
    ]);
    // An order that has moved is not swept any more.
    let update = match (happening.fact.news(step), step.is_paid_after_closed()) {
        (None, _) => "SET tradeState = :to, history = list_append(history, :entry) REMOVE sweepShard, sweepAtMs",
        (Some(payment), paid_after_closed) => {
            values.extend([
                text(":transactionId", &payment.transaction_id),
                number(":paidAt", payment.paid_at.as_secs()),
            ]);
            if paid_after_closed {
                values.insert(":true".to_owned(), AttributeValue::Bool(true));
                "SET tradeState = :to, history = list_append(history, :entry), transactionId = :transactionId, \
                 paidAt = :paidAt, paidAfterClosed = :true REMOVE sweepShard, sweepAtMs"
            } else {
                "SET tradeState = :to, history = list_append(history, :entry), transactionId = :transactionId, \
                 paidAt = :paidAt REMOVE sweepShard, sweepAtMs"
            }
        }
    };
    let key = row::key(&order.out_trade_no);
    Change { key, update, condition: Some("tradeState = :from"), values }
}
