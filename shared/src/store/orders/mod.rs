//! Orders: made once for each idempotency key, and moved on by what WeChat Pay says.

mod claims;
mod moves;
mod order;
mod row;
mod state;

use std::collections::HashMap;
use std::time::Duration;

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

/// WeChat Pay is asked about an order at most once in this time.
const QUERY_INTERVAL: Duration = Duration::from_secs(3);

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
    /// The user ordered.
    Create,
    /// A notification of WeChat Pay.
    Notify,
    /// WeChat Pay's answer to a query.
    Query,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Notify => "notify",
            Self::Query => "query",
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

    /// Whether the caller is the one who may ask WeChat Pay how an order stands: nobody else may for 3 s. Where not,
    /// and where somebody else was faster, `order` is as the table has it afterwards.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn may_query(&self, order: &mut Order, now: Moment, deadline: Deadline) -> Result<bool, StoreError> {
        // A time that far ahead is that of a wrong clock, and stops nobody.
        let is_near = |at: Moment| now.since(at) < QUERY_INTERVAL && at.since(now) < QUERY_INTERVAL;
        if order.state != OrderState::NotPay || order.queried_at.is_some_and(is_near) {
            return Ok(false);
        }
        let millis = u64::try_from(QUERY_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let values = HashMap::from([
            text(":notPay", OrderState::NotPay.as_str()),
            number(":now", now.as_millis()),
            number(":before", now.as_millis().saturating_sub(millis)),
            number(":after", now.as_millis().saturating_add(millis)),
        ]);
        let condition = "tradeState = :notPay AND (attribute_not_exists(queriedAtMs) OR queriedAtMs <= :before OR \
                         queriedAtMs >= :after)";
        match self.change(&order.out_trade_no, "SET queriedAtMs = :now", condition, values, deadline).await? {
            Changed::Done(_) => Ok(true),
            Changed::ConditionFailed(row) => {
                *order = row::read(&row.ok_or(StoreError::Corrupt(row::TRADE_STATE))?)?;
                Ok(false)
            }
        }
    }

    /// Keeps that WeChat Pay says of an order whose time has passed that it is not paid.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn found_unpaid(&self, order: &mut Order, now: Moment, deadline: Deadline) -> Result<(), StoreError> {
        let values = HashMap::from([number(":now", now.as_millis()), text(":notPay", OrderState::NotPay.as_str())]);
        let (update, condition) = ("SET foundUnpaidAtMs = :now", "tradeState = :notPay");
        let row = match self.change(&order.out_trade_no, update, condition, values, deadline).await? {
            Changed::Done(row) => row,
            Changed::ConditionFailed(row) => row.ok_or(StoreError::Corrupt(row::TRADE_STATE))?,
        };
        *order = row::read(&row)?;
        Ok(())
    }

    /// Whether the caller is the one who asks for a prepay_id from now on, because whoever did has not come back.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn take_over_prepay(&self, order: &Order, now: Moment, deadline: Deadline) -> Result<bool, StoreError> {
        let values = HashMap::from([
            number(":now", now.as_millis()),
            number(":seen", order.prepay_asked_at.as_millis()),
            text(":notPay", OrderState::NotPay.as_str()),
        ]);
        let condition = "prepayAskedAtMs = :seen AND attribute_not_exists(prepayId) AND tradeState = :notPay";
        let update = "SET prepayAskedAtMs = :now";
        let changed = self.change(&order.out_trade_no, update, condition, values, deadline).await?;
        Ok(matches!(changed, Changed::Done(_)))
    }

    /// Keeps the prepay_id of an order; the first one stays.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn keep_prepay_id(
        &self,
        number: &OutTradeNo,
        prepay_id: &PrepayId,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let values = HashMap::from([text(":prepayId", prepay_id.expose())]);
        let update = "SET prepayId = if_not_exists(prepayId, :prepayId)";
        self.change(number, update, "attribute_exists(pk)", values, deadline).await.map(|_| ())
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
