//! Asking WeChat Pay how an order stands, where the table may not know it yet.

use std::time::Duration;

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::settlement::{Settlement, Told, Work};
use crate::store::orders::{Order, Source};
use crate::store::{Orders, StoreError, Table};
use crate::wechatpay::v3::{PayClient, PayCode, PayError};
use crate::wechatpay::{Trade, Verified};

/// Left for the writes that follow an answer.
const FOR_THE_TABLE: Duration = Duration::from_secs(2);

/// Asks, and moves orders on.
#[derive(Debug)]
pub struct Healer {
    orders: Orders,
    settlement: Settlement,
    clock: Clock,
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// The order is as WeChat Pay says.
    Answered,
    /// There was no usable answer.
    NoAnswer(PayError),
    /// WeChat Pay knows of no such order, and said so twice: such an answer is not signed.
    NoSuchOrder,
    /// WeChat Pay need not or may not be asked now: somebody did in the last 3 s.
    NotNow,
}

impl Healer {
    /// Works on the orders of a table.
    pub fn new(table: Table, clock: Clock) -> Self {
        Self { orders: Orders::new(table.clone()), settlement: Settlement::new(table, clock.clone()), clock }
    }

    /// Asks about an order that is not paid as far as the table knows, at most once in 3 s, and moves it on. `order` is
    /// as it is afterwards.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn ask(
        &self,
        pay: &PayClient,
        order: &mut Order,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<Asked, StoreError> {
        if !self.orders.may_query(order, self.clock.moment(), deadline).await? {
            return Ok(Asked::NotNow);
        }
        let trade = match query(pay, order, deadline.leaving(FOR_THE_TABLE)).await {
            Ok(Some(trade)) => trade,
            Ok(None) => return Ok(Asked::NoSuchOrder),
            Err(err) => return Ok(Asked::NoAnswer(err)),
        };
        let number = order.out_trade_no.clone();
        let told = Told { source: Source::Query, id: number.as_str(), event_type: "QUERY", body: None };
        self.settlement.settle(order, &trade, &told, work, deadline).await?;
        Ok(Asked::Answered)
    }
}

/// `None` if WeChat Pay does not know the order.
async fn query(pay: &PayClient, order: &Order, deadline: Deadline) -> Result<Option<Verified<Trade>>, PayError> {
    for _ in 0..2 {
        match pay.query(&order.out_trade_no, deadline).await {
            Err(PayError::Refused(refusal)) if refusal.code == PayCode::OrderNotExist => {}
            outcome => return outcome.map(Some),
        }
    }
    Ok(None)
}
