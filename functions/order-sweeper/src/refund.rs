//! One refund: asked about, and never asked for. Whether it is made at all was decided by a person, who was told what came
//! of it.

use std::time::Duration;

use shared::deadline::Deadline;
use shared::healing::AskedRefund;
use shared::store::StoreError;
use shared::store::refunds::{Refund, RefundState};
use shared::store::sweep::Due;
use shared::wechatpay::OutRefundNo;

use crate::OrderSweeper;
use crate::run::{Outcome, Run, STUCK_AFTER};

/// How long the amount of a refund that WeChat Pay does not know is held.
const HELD_FOR: Duration = Duration::from_secs(86_400);

impl OrderSweeper {
    pub(crate) async fn refund(
        &self,
        due: &Due,
        number: &OutRefundNo,
        run: &Run<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, StoreError> {
        let turn = self.refunds.sweep_turn(due, number, self.clock.moment(), deadline).await?;
        let Some(refund) = turn else { return Ok(Outcome::Skipped) };
        let reserved = refund.clone();
        let found = self.orders.find(&due.out_trade_no, deadline).await?;
        let mut order = found.ok_or(StoreError::Corrupt("outTradeNo"))?;
        Ok(match self.healer.ask_refund(&self.pay, &mut order, refund, run.work, deadline).await? {
            AskedRefund::Agreed(state) if state.is_settled() => Outcome::Healed,
            // A bank takes its time.
            AskedRefund::Agreed(_) => Outcome::Open,
            AskedRefund::NoSuchRefund if reserved.state == RefundState::Reserved => {
                self.unknown(&reserved, deadline).await?
            }
            AskedRefund::NoAnswer(err) => self.no_answer(due, &err, run, deadline).await?,
            AskedRefund::NoSuchRefund | AskedRefund::Unclear => Outcome::Failed,
        })
    }

    /// A refund that WeChat Pay knows nothing of. It holds its amount for whoever asks for it again, and for no longer
    /// than a day: no request is on its way for so long, and a repeat after that holds the amount anew, under the same
    /// number.
    async fn unknown(&self, refund: &Refund, deadline: Deadline) -> Result<Outcome, StoreError> {
        let now = self.clock.moment();
        match refund.asked_at.map(|asked_at| now.since(asked_at)) {
            Some(age) if age >= HELD_FOR => {
                let is_released = self.refunds.release(refund, deadline).await?;
                Ok(if is_released { Outcome::Healed } else { Outcome::Open })
            }
            Some(age) if age < STUCK_AFTER => Ok(Outcome::Open),
            _ => Ok(Outcome::Failed),
        }
    }
}
