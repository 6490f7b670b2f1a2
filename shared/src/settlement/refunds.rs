//! What WeChat Pay has signed about a refund: checked against both, and then first the order is moved on, and then the
//! refund.

use super::{CURRENCY, Mismatch, Settled, Settlement, Told, Work, paid_after_closed, same};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::log::Metric;
use crate::store::StoreError;
use crate::store::orders::{Fact, Happening, Move, Order, Payment};
use crate::store::refunds::{self, Refund, RefundState};
use crate::wechatpay::{Named, RefundResult, RefundStatus, Verified};

impl Settlement {
    /// Moves a refund on as far as what WeChat Pay says of it leads, and its order with it: a payment of which there is a
    /// refund has been made. What does not match goes to quarantine, and both stay as they are. `known` is the refund as
    /// it was a moment ago. Returns how the refund stands, too, where that is known.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the same may be told again.
    pub async fn settle_refund(
        &self,
        order: &mut Order,
        known: Option<Refund>,
        result: &Verified<RefundResult>,
        told: &Told<'_>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<(Settled, Option<RefundState>), StoreError> {
        let now = self.clock.timestamp();
        let Some(state) = RefundState::told(result.status) else { return Ok((Settled::Unknown, None)) };
        let mismatch = match self.refund(order, known, (result, state), told, work, (now, deadline)).await? {
            Ok(state) => {
                // What is settled needs nobody, however late the news comes; nor does what a person has helped on.
                if state == RefundState::Abnormal && result.status == RefundStatus::Abnormal {
                    abnormal(result, work);
                }
                return Ok((Settled::Agreed, Some(state)));
            }
            Err(mismatch) => mismatch,
        };
        self.quarantine(mismatch.0, Named::from(&**result), told, work, deadline).await?;
        Ok((Settled::Quarantined, None))
    }

    async fn refund(
        &self,
        order: &mut Order,
        known: Option<Refund>,
        (result, state): (&RefundResult, RefundState),
        told: &Told<'_>,
        work: Work<'_>,
        (now, deadline): (Timestamp, Deadline),
    ) -> Result<Result<RefundState, Mismatch>, StoreError> {
        let fact = match fact(order, result, now) {
            Ok(fact) => fact,
            Err(mismatch) => return Ok(Err(mismatch)),
        };
        let known = match known {
            Some(refund) => Some(refund),
            None => self.refunds.find(&order.out_trade_no, &result.out_refund_no, deadline).await?,
        };
        // Before the order is moved on.
        if let Some(Err(mismatch)) = known.as_ref().map(|refund| fits(refund, result, state)) {
            return Ok(Err(mismatch));
        }
        let happening = Happening { fact, source: told.source, why: told.id.to_owned() };
        let matches = |order: &Order| self::fact(order, result, now).is_ok();
        let step = self.orders.apply(order, &happening, matches, self.clock.moment(), deadline).await?;
        if step.is_some_and(Move::is_paid_after_closed) {
            // Of the payment nobody here has heard before, and the refund may be of a part of it.
            paid_after_closed(order, work);
        }
        // Somebody else may have told of another payment meanwhile.
        if let Err(mismatch) = self::fact(order, result, now) {
            return Ok(Err(mismatch));
        }
        let told = told_of(order, (result, state), told);
        Ok(self.refunds.settle(&told, known, self.clock.moment(), deadline).await?.map_err(Mismatch))
    }
}

/// The same for the refund's own row.
fn told_of<'a>(
    order: &'a Order,
    (result, state): (&'a RefundResult, RefundState),
    told: &Told<'a>,
) -> refunds::Told<'a> {
    refunds::Told {
        out_trade_no: &order.out_trade_no,
        mch_id: &order.mch_id,
        out_refund_no: &result.out_refund_no,
        refund_id: &result.refund_id,
        amount: result.refund,
        state,
        source: told.source,
        why: told.id,
    }
}

/// Says that a person has to refund by other means. Said again whenever WeChat Pay says it again.
fn abnormal(result: &RefundResult, Work { function, request_id }: Work<'_>) {
    let (order, refund) = (&result.out_trade_no, result.out_refund_no.as_str());
    tracing::error!(
        function,
        requestId = request_id,
        outTradeNo = order,
        outRefundNo = refund,
        "the refund is abnormal: handle it on the merchant platform"
    );
    Metric::RefundAbnormal.count(function, request_id);
}

/// Whether what WeChat Pay says can be about a refund as we know it.
fn fits(refund: &Refund, result: &RefundResult, state: RefundState) -> Result<(), Mismatch> {
    same(refund.amount == result.refund, "amount.refund")?;
    same(refund.state.after(state).is_ok(), "status")
}

/// That there is a refund, if it is one of this order.
fn fact(order: &Order, result: &RefundResult, now: Timestamp) -> Result<Fact, Mismatch> {
    same(result.mch_id.as_deref().is_none_or(|mch_id| mch_id == order.mch_id.as_str()), "mchid")?;
    same(result.out_trade_no == order.out_trade_no.as_str(), "out_trade_no")?;
    same(!result.transaction_id.is_empty(), "transaction_id")?;
    same(result.total == order.total, "amount.total")?;
    same(result.refund.as_u64() > 0 && result.refund <= order.total, "amount.refund")?;
    same(result.currency.as_deref().is_none_or(|currency| currency == CURRENCY), "amount.currency")?;
    // When the payment was made is what a refund does not tell.
    let heard = || Payment { transaction_id: result.transaction_id.clone(), paid_at: now };
    let payment = order.payment.clone().unwrap_or_else(heard);
    same(payment.transaction_id == result.transaction_id, "transaction_id")?;
    Ok(Fact::Refunded(payment))
}
