//! Orders: made once for each idempotency key, and moved on by what WeChat Pay says.

mod claims;
mod moves;
mod order;
mod refused;
mod row;
mod schedule;
mod state;
mod turns;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;
use super::call::Condition;
use super::item::{Key, number, text};
use super::table::{Change, Changed, Table, Transaction, Write};
use super::users::UserId;
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::wechatpay::{OutTradeNo, PrepayId};

pub use claims::{Claim, Claimed, IdempotentRequest};
pub use moves::{Fact, Happening, Payment};
pub use order::{Line, NewOrder, Order};
pub use state::{Move, OrderEvent, OrderState};

pub(super) use row::{HISTORY, MCH_ID, OUT_TRADE_NO, TIME_EXPIRE, event, key, numbers, refund_key};
pub(super) use schedule::next_refund_query;

/// How an attempt to make an order ended.
#[derive(Debug)]
pub enum Created {
    /// It was made, and its maker is who asks for the prepay_id.
    Order(Box<Order>),
    /// The key stands for something else by now.
    ClaimLost,
    /// The user has too many open orders.
    TooManyOpen,
    /// There is less in stock than a moment ago.
    StockChanged,
}

/// What has moved or made an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user ordered; or WeChat Pay has refused the order.
    Create,
    /// A notification of WeChat Pay.
    Notify,
    /// WeChat Pay's answer to a query.
    Query,
    /// Somebody refunded.
    Refund,
    /// The sweeper asked.
    Sweep,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Notify => "notify",
            Self::Query => "query",
            Self::Refund => "refund",
            Self::Sweep => "sweep",
        }
    }
}

/// The orders in a table.
#[derive(Clone, Debug)]
pub struct Orders {
    table: Table,
}

impl Orders {
    /// The orders in a table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The order with that number.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or the row is no order.
    pub async fn find(&self, number: &OutTradeNo, deadline: Deadline) -> Result<Option<Order>, StoreError> {
        self.table.get(&row::key(number), deadline).await?.map(|row| row::read(&row)).transpose()
    }

    /// Makes the order of a claim, and takes what it needs from the stock, unless the user has `max_open` open ones.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the order may have been made.
    pub async fn create(
        &self,
        claim: &Claim,
        new: NewOrder,
        max_open: u32,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Created, StoreError> {
        let row = row::write(&new, now);
        let order = row::read(&row)?;
        let limited = new.lines.iter().filter(|line| line.is_limited);
        let taken = limited.map(|line| line.sku.take(line.quantity));
        let writes = [claim.mark(), open_one(&new.user_id, max_open), Write::Create(row)];
        match self.table.transact(writes.into_iter().chain(taken).collect(), deadline).await? {
            Transaction::Committed => Ok(Created::Order(Box::new(order))),
            Transaction::ConditionFailed(conditions) => Ok(match conditions.as_slice() {
                [Condition::Failed, ..] => Created::ClaimLost,
                [_, Condition::Failed, ..] => Created::TooManyOpen,
                _ => Created::StockChanged,
            }),
        }
    }

    /// Whether the caller is the one who asks for a prepay_id from now on, because the request that did has not come
    /// back. `order` is as the table has it then.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn take_over_prepay(
        &self,
        order: &mut Order,
        now: Moment,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let seen = order.prepay_asked_at.as_millis();
        let values = HashMap::from([
            // No two who ask have the same time, whatever their clocks say: by it each knows whether it still is the
            // last.
            number(":now", now.as_millis().max(seen.saturating_add(1))),
            number(":seen", seen),
            text(":notPay", OrderState::NotPay.as_str()),
        ]);
        let condition = "prepayAskedAtMs = :seen AND attribute_not_exists(prepayId) AND tradeState = :notPay";
        let update = "SET prepayAskedAtMs = :now";
        match self.change(&order.out_trade_no, update, condition, values, deadline).await? {
            Changed::Done(row) => {
                *order = row::read(&row)?;
                Ok(true)
            }
            Changed::ConditionFailed(_) => Ok(false),
        }
    }

    /// Keeps the prepay_id of an order; the first one stays. Says whether the order still waits for its payment: of one
    /// that has ended, no client may be given a payment.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn keep_prepay_id(
        &self,
        number: &OutTradeNo,
        prepay_id: &PrepayId,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let values =
            HashMap::from([text(":prepayId", prepay_id.expose()), text(":notPay", OrderState::NotPay.as_str())]);
        let (update, condition) = ("SET prepayId = if_not_exists(prepayId, :prepayId)", "tradeState = :notPay");
        let changed = self.change(number, update, condition, values, deadline).await?;
        Ok(matches!(changed, Changed::Done(_)))
    }

    async fn change(
        &self,
        number: &OutTradeNo,
        update: &'static str,
        condition: &'static str,
        values: HashMap<String, AttributeValue>,
        deadline: Deadline,
    ) -> Result<Changed, StoreError> {
        let change = Change { key: row::key(number), update, condition: Some(condition), values };
        self.table.change(change, deadline).await
    }
}

/// The row that counts a user's open orders.
fn open_orders_key(user: &UserId) -> Key {
    Key::new(user.partition(), "ORDERS")
}

/// One open order more, if there are not `max_open` yet.
fn open_one(user: &UserId, max_open: u32) -> Write {
    let values = HashMap::from([number(":one", 1), number(":most", max_open.into())]);
    let condition = Some("attribute_not_exists(openOrders) OR openOrders < :most");
    Write::Update(Change { key: open_orders_key(user), update: "ADD openOrders :one", condition, values })
}

/// One open order less.
fn end_one(user: &UserId) -> Write {
    let values = HashMap::from([(":minusOne".to_owned(), AttributeValue::N("-1".to_owned()))]);
    Write::Update(Change { key: open_orders_key(user), update: "ADD openOrders :minusOne", condition: None, values })
}
