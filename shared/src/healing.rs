//! Asking WeChat Pay how an order stands, where the table may not know it yet.

mod refunds;

use std::time::Duration;

use crate::cause;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::random;
use crate::settlement::{Settled, Settlement, Told, Work};
use crate::store::orders::{Order, OrderState, Source};
use crate::store::{Orders, StoreError, Table};
use crate::wechatpay::v3::{PayClient, PayCode, PayError};
use crate::wechatpay::{Trade, Verified};

pub use refunds::AskedRefund;

/// Left for the writes that follow an answer.
const FOR_THE_TABLE: Duration = Duration::from_secs(2);

/// The pause before WeChat Pay is asked again about an order that it does not know.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Asks, and moves orders on.
#[derive(Debug)]
pub struct Healer {
    orders: Orders,
    settlement: Settlement,
    clock: Clock,
    source: Source,
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// The order is as WeChat Pay says.
    Agreed,
    /// There was no usable answer.
    NoAnswer(PayError),
    /// WeChat Pay knows no more of an order that it had prepared, and said so twice.
    Forgotten,
    /// WeChat Pay knows of no such order, and said so twice: such an answer is not signed.
    NoSuchOrder,
    /// WeChat Pay was not asked: there is nothing more to find out, or another caller has asked a moment ago, or today
    /// where the order is paid.
    NotNow,
    /// How the order stands is open: what was signed does not match it or is not known, or it is another merchant's.
    Unclear,
}

impl Healer {
    /// Works on the orders of a table. `source` is who asks, for their histories.
    pub fn new(table: Table, clock: Clock, source: Source) -> Self {
        Self { orders: Orders::new(table.clone()), settlement: Settlement::new(table, clock.clone()), clock, source }
    }

    /// Asks about an order, and moves it on: one that is not paid as far as the table knows, at most once in 3 s; one
    /// that is paid and has no refund, at most once a day, an hour after a question without an answer, and at once
    /// after a refund of it was refused; 13 months after its payment no more. Where WeChat Pay's answer or another caller
    /// has changed the order, `order` is as the table has it afterwards.
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
        let now = self.clock.moment();
        if order.mch_id == *pay.mch_id() && !self.orders.may_query(order, now, deadline).await? {
            return Ok(Asked::NotNow);
        }
        let asked = self.ask_now(pay, order, work, deadline).await?;
        if let (Asked::NoAnswer(_), OrderState::Success) = (&asked, order.state) {
            self.orders.ask_sooner(order, now, deadline).await?;
        }
        Ok(asked)
    }

    /// As [`Self::ask`], whoever has asked before.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`].
    pub async fn ask_now(
        &self,
        pay: &PayClient,
        order: &mut Order,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<Asked, StoreError> {
        if order.mch_id != *pay.mch_id() {
            return Ok(unclear("it is a former merchant's", order, work));
        }
        let trade = match query(pay, order, deadline.leaving(FOR_THE_TABLE)).await {
            Ok(Some(trade)) => trade,
            // Refusals are not signed, and it was there when it was prepared.
            Ok(None) if order.prepay_id.is_some() => {
                unclear("WeChat Pay does not know it any more", order, work);
                return Ok(Asked::Forgotten);
            }
            Ok(None) => {
                self.found_unpaid(order, deadline).await?;
                return Ok(Asked::NoSuchOrder);
            }
            Err(err) => return Ok(no_answer(err, order, work)),
        };
        let id = format!("{}#{}", order.out_trade_no.as_str(), trade.state.as_str());
        let told = Told { source: self.source, id: &id, event_type: "QUERY", body: None };
        match self.settlement.settle(order, &trade, &told, work, deadline).await? {
            Settled::Agreed => {
                self.found_unpaid(order, deadline).await?;
                Ok(Asked::Agreed)
            }
            Settled::Quarantined => Ok(Asked::Unclear),
            Settled::Unknown => Ok(unclear("its state is not known here", order, work)),
        }
    }

    /// Keeps, for those who ask next, that an order was not paid when its time had passed. It reads the order once more:
    /// a notification may have been faster than the answer.
    async fn found_unpaid(&self, order: &mut Order, deadline: Deadline) -> Result<(), StoreError> {
        // The sweep closes it at once.
        let is_closing = self.source == Source::Sweep;
        if is_closing || order.state != OrderState::NotPay || self.clock.timestamp() < order.time_expire {
            return Ok(());
        }
        self.orders.found_unpaid(order, self.clock.moment(), deadline).await
    }
}

fn no_answer(err: PayError, order: &Order, Work { function, request_id }: Work<'_>) -> Asked {
    let (number, cause) = (order.out_trade_no.as_str(), cause::chain(&err));
    tracing::warn!(function, requestId = request_id, outTradeNo = number, cause, "WeChat Pay tells nothing");
    Asked::NoAnswer(err)
}

/// How an order stands is open, and no repeat alone will tell.
fn unclear(why: &'static str, order: &Order, Work { function, request_id }: Work<'_>) -> Asked {
    let number = order.out_trade_no.as_str();
    tracing::warn!(function, requestId = request_id, outTradeNo = number, why, "it is open how the order stands");
    Asked::Unclear
}

/// `None` if WeChat Pay does not know the order, and still does not a moment later.
async fn query(pay: &PayClient, order: &Order, deadline: Deadline) -> Result<Option<Verified<Trade>>, PayError> {
    match pay.query(&order.out_trade_no, deadline).await {
        Err(PayError::Refused(refusal)) if refusal.code == PayCode::OrderNotExist => {}
        outcome => return outcome.map(Some),
    }
    tokio::time::sleep(random::jitter(ASK_AGAIN)).await;
    match pay.query(&order.out_trade_no, deadline).await {
        Err(PayError::Refused(refusal)) if refusal.code == PayCode::OrderNotExist => Ok(None),
        outcome => outcome.map(Some),
    }
}
