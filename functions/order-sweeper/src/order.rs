//! One order: asked about, and closed when its time is over.

use std::time::Duration;

use shared::cause;
use shared::deadline::Deadline;
use shared::healing::Asked;
use shared::settlement::Work;
use shared::store::orders::{Fact, Happening, Order, OrderState, Source};
use shared::store::sweep::Due;
use shared::store::{Corrupt, StoreError};
use shared::wechatpay::v3::{PayCode, PayError};

use crate::OrderSweeper;
use crate::run::{Outcome, Run};

/// A request for a prepay_id that was under way when the order's time was over has arrived by then, or will not: nobody
/// sends one afterwards. Longer than any invocation of `create-order`, whatever the clocks.
const LAST_PREPAY: Duration = Duration::from_secs(60);

/// Left for the write that follows a close.
const FOR_THE_TABLE: Duration = Duration::from_secs(2);

impl OrderSweeper {
    pub(crate) async fn order(&self, due: &Due, run: &Run<'_>, deadline: Deadline) -> Result<Outcome, StoreError> {
        let time_expire = due.time_expire.ok_or_else(|| Corrupt::order(&due.out_trade_no, "timeExpire"))?;
        let turn = self.orders.sweep_turn(due, time_expire, self.clock.moment(), deadline).await?;
        let Some(mut order) = turn else { return Ok(Outcome::Skipped) };
        let asked = self.healer.ask_now(&self.pay, &mut order, run.work, deadline).await?;
        if let Some(ended) = ended(&order) {
            return Ok(ended);
        }
        let now = self.clock.timestamp();
        let outcome = match asked {
            Asked::Agreed | Asked::NotNow if now < order.time_expire => Outcome::Open,
            Asked::NoSuchOrder if now < order.time_expire + LAST_PREPAY => Outcome::Open,
            Asked::Forgotten if now < order.time_expire => Outcome::Failed,
            Asked::Agreed | Asked::Forgotten | Asked::NotNow => self.close(&mut order, true, run, deadline).await?,
            Asked::NoSuchOrder => self.close(&mut order, false, run, deadline).await?,
            Asked::NoAnswer(err) => self.no_answer(due, &err, run, deadline).await?,
            Asked::Unclear => Outcome::Failed,
        };
        Ok(outcome)
    }

    /// Closes at WeChat Pay, and then here: a close that is signed says that nobody has paid, nor can any more. `is_known`:
    /// WeChat Pay may have the order.
    async fn close(
        &self,
        order: &mut Order,
        is_known: bool,
        run: &Run<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, StoreError> {
        let refused = match self.pay.close(&order.out_trade_no, deadline.leaving(FOR_THE_TABLE)).await {
            Ok(()) => return self.closed(order, deadline).await,
            Err(err) => err,
        };
        run.has_failed(&refused);
        let code = refused.refusal().map(|refusal| refusal.code);
        if code == Some(PayCode::OrderNotExist) && !is_known {
            // It has said so three times, and nobody makes it any more. It is the one end that is not signed.
            not_closed(order, &refused, run.work);
            return self.closed(order, deadline).await;
        }
        if code.is_some() {
            // It may be paid, or be closed: that is signed.
            self.healer.ask_now(&self.pay, order, run.work, deadline).await?;
            if let Some(ended) = ended(order) {
                return Ok(ended);
            }
        }
        not_closed(order, &refused, run.work);
        Ok(Outcome::Failed)
    }

    async fn closed(&self, order: &mut Order, deadline: Deadline) -> Result<Outcome, StoreError> {
        let happening = Happening { fact: Fact::Closed, source: Source::Sweep, why: "closed".to_owned() };
        self.orders.apply(order, &happening, |_| true, self.clock.moment(), deadline).await?;
        Ok(ended(order).unwrap_or(Outcome::Failed))
    }
}

/// What came of an order that is not unpaid any more.
fn ended(order: &Order) -> Option<Outcome> {
    match order.state {
        OrderState::Closed => Some(Outcome::Closed),
        OrderState::NotPay => None,
        OrderState::Refund | OrderState::Success => Some(Outcome::Healed),
    }
}

fn not_closed(order: &Order, err: &PayError, Work { function, request_id }: Work<'_>) {
    let (number, cause) = (order.out_trade_no.as_str(), cause::chain(err));
    tracing::warn!(function, requestId = request_id, outTradeNo = number, cause, "WeChat Pay did not close the order");
}
