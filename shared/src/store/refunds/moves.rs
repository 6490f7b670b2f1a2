//! Moving a refund on: one transaction for its state, its history, and what it takes from the payment.

use std::collections::HashMap;

use super::{Contradiction, Refund, RefundState, Refunds, row};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::fen::Fen;
use crate::store::StoreError;
use crate::store::call::Pauses;
use crate::store::item::{difference, list, number, text};
use crate::store::orders::{self, Source};
use crate::store::table::{Change, Transaction, Write};
use crate::wechatpay::{MchId, OutRefundNo, OutTradeNo};

/// What WeChat Pay says of a refund, as checked against the order, and how we know.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "as those of `Refund`")]
pub struct Told<'a> {
    pub out_trade_no: &'a OutTradeNo,
    pub mch_id: &'a MchId,
    pub out_refund_no: &'a OutRefundNo,
    pub refund_id: &'a str,
    pub amount: Fen,
    pub state: RefundState,
    /// What told us.
    pub source: Source,
    /// For the history: which one of its kind.
    pub why: &'a str,
}

impl Refunds {
    /// Moves a refund on, as far as what WeChat Pay says leads. However many do this at once, each move is made once. A
    /// refund that nobody here has asked for begins here. `known` is the refund as it was a moment ago. Returns how it
    /// stands then, which may be further on; or the field by which it cannot be about this refund.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then the move may have been made.
    pub async fn settle(
        &self,
        told: &Told<'_>,
        mut known: Option<Refund>,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Result<RefundState, &'static str>, StoreError> {
        let mut pauses = Pauses::until(deadline);
        loop {
            let refund = match known.take() {
                Some(refund) => Some(refund),
                None => self.find(told.out_trade_no, told.out_refund_no, deadline).await?,
            };
            let from = match &refund {
                None => None,
                Some(refund) if refund.amount != told.amount => return Ok(Err("amount.refund")),
                Some(refund) => match refund.state.after(told.state) {
                    Ok(Some(_)) => Some(refund.state),
                    Ok(None) => return Ok(Ok(refund.state)),
                    Err(Contradiction) => return Ok(Err("status")),
                },
            };
            if self.table.transact(writes(told, from, now), deadline).await? == Transaction::Committed {
                return Ok(Ok(told.state));
            }
            pauses.next("others at work on the same refund").await?;
        }
    }
}

fn writes(told: &Told<'_>, from: Option<RefundState>, now: Moment) -> Vec<Write> {
    let own = match from {
        None => Write::Create(row::told(told, now)),
        Some(from) => state_write(told, from, now),
    };
    let amount = i64::try_from(told.amount.as_u64()).unwrap_or(i64::MAX);
    let part = |is: bool| if is { amount } else { 0 };
    let held = part(told.state.holds()) - part(from.is_some_and(RefundState::holds));
    let refunded = part(told.state == RefundState::Success);
    let order = (held != 0 || refunded != 0).then(|| amounts(told.out_trade_no, held, refunded));
    std::iter::once(own).chain(order).collect()
}

/// The write of the refund's own row: if it is where the move begins. What is settled is not swept any more.
fn state_write(told: &Told<'_>, from: RefundState, now: Moment) -> Write {
    let entry = row::history(told.state, told.source, told.why, now);
    let values = HashMap::from([
        text(":from", from.as_str()),
        text(":to", told.state.as_str()),
        text(":refundId", told.refund_id),
        (":entry".to_owned(), list([entry])),
    ]);
    let update = if told.state.is_settled() {
        "SET refundStatus = :to, refundId = :refundId, history = list_append(history, :entry) REMOVE sweepShard, \
         sweepAtMs"
    } else {
        "SET refundStatus = :to, refundId = :refundId, history = list_append(history, :entry)"
    };
    let key = orders::refund_key(told.out_trade_no, told.out_refund_no);
    Write::Update(Change { key, update, condition: Some("refundStatus = :from"), values })
}

/// Changes what is held of an order's payment, and what is refunded of it.
fn amounts(order: &OutTradeNo, held: i64, refunded: i64) -> Write {
    let values = HashMap::from([difference(":held", held), difference(":refunded", refunded)]);
    let (update, condition) = ("ADD heldFen :held, refundedFen :refunded", Some("attribute_exists(pk)"));
    Write::Update(Change { key: orders::key(order), update, condition, values })
}

/// Changes what is held of an order's payment, by a refund that WeChat Pay has refused: perhaps there is one that staff
/// has made on the merchant platform. So WeChat Pay is asked about the order by the next question, whenever it was
/// asked last.
pub(super) fn give_back(order: &OutTradeNo, held: i64) -> Write {
    let values = HashMap::from([difference(":held", held), number(":longAgo", 0)]);
    let (update, condition) = ("SET queriedAtMs = :longAgo ADD heldFen :held", Some("attribute_exists(pk)"));
    Write::Update(Change { key: orders::key(order), update, condition, values })
}
