//! One refund: asked about, and never asked for. Whether it is made at all was decided by a person, who was told what came
//! of it.

use shared::deadline::Deadline;
use shared::healing::AskedRefund;
use shared::store::StoreError;
use shared::store::refunds::RefundState;
use shared::store::sweep::Due;
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
        let found = self.orders.find(&due.out_trade_no, deadline).await?;
        let mut order = found.ok_or(StoreError::Corrupt("outTradeNo"))?;
        let before = refund.state;
        let outcome = match self.healer.ask_refund(&self.pay, &mut order, refund, run.work, deadline).await? {
            AskedRefund::Agreed(state) if state.is_settled() => Outcome::Healed,
            // A bank takes its time.
            AskedRefund::Agreed(_) => Outcome::Open,
            // Nobody knows whether it will be asked for again: it holds its amount, and a person has to say.
            AskedRefund::NoSuchRefund if before == RefundState::Reserved => {
                return Ok(if run.check_stuck(due, due.created_at) { Outcome::Failed } else { Outcome::Open });
            }
            AskedRefund::NoAnswer(err) => {
                run.has_failed(&err);
                Outcome::Failed
            }
            AskedRefund::NoSuchRefund | AskedRefund::Unclear => Outcome::Failed,
        };
        if outcome == Outcome::Failed {
            run.check_stuck(due, due.created_at);
        }
        Ok(outcome)
    }
}
