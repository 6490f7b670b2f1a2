//! One refund: asked about, and never asked for. Whether it is made at all was decided by a person, who was told what came
//! of it.

use shared::clock::Moment;
use shared::deadline::Deadline;
use shared::healing::AskedRefund;
use shared::store::refunds::RefundState;
use shared::store::sweep::Due;
use shared::store::{Corrupt, StoreError};
use shared::wechatpay::OutRefundNo;

use crate::OrderSweeper;
use crate::run::{Outcome, Run};

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
        let is_reserved = refund.state == RefundState::Reserved;
        // What was reserved may have been asked for long after that.
        let asked_at = refund.asked_at.map_or(refund.created_at, Moment::as_timestamp);
        let found = self.orders.find(&due.out_trade_no, deadline).await?;
        let mut order = found.ok_or_else(|| Corrupt::order(&due.out_trade_no, "outTradeNo"))?;
        Ok(match self.healer.ask_refund(&self.pay, &mut order, refund, run.work, deadline).await? {
            AskedRefund::Agreed(state) if state.is_settled() => Outcome::Healed,
            AskedRefund::Agreed(state) => {
                // What is abnormal has been told each time, as that.
                if state == RefundState::Processing {
                    run.check_refund(due, asked_at);
                }
                Outcome::Open
            }
            // It holds its amount until whoever asked for it asks again; for so long that may still be done.
            AskedRefund::NoSuchRefund if is_reserved && !run.is_old(due) => Outcome::Open,
            AskedRefund::NoSuchRefund => {
                run.log_failure(due, "WeChat Pay knows of no such refund");
                Outcome::Failed
            }
            AskedRefund::NoAnswer(err) => self.no_answer(due, &err, run, deadline).await?,
            AskedRefund::Unclear => Outcome::Failed,
        })
    }
}
