//! Refunds: what they take from a payment is held before WeChat Pay is asked, so that no sum of them is more than that.

mod moves;
mod row;
mod state;

use std::collections::HashMap;

use super::call::Condition;
use super::item::{Key, number, text};
use super::orders::{self, Order, OrderState};
use super::sweep::{self, Due};
use super::table::{Change, Changed, Table, Transaction, Write};
use super::{Corrupt, StoreError};
use crate::clock::{Moment, Timestamp};
use crate::deadline::Deadline;
use crate::fen::Fen;
use crate::random;
use crate::secret::Secret;
use crate::wechatpay::{MchId, OutRefundNo, OutTradeNo};

pub use moves::Told;
pub use state::{Contradiction, RefundState};

/// A refund.
#[derive(Clone, Debug)]
pub struct Refund {
    /// Our number of the order.
    pub out_trade_no: OutTradeNo,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// How much is refunded.
    pub amount: Fen,
    /// How it stands.
    pub state: RefundState,
    /// What was asked for here. `None` for a refund of the merchant platform.
    pub request_id: Option<String>,
    /// What WeChat Pay is asked with: always the same bytes.
    pub body: Option<Secret>,
    /// When somebody here last set out to ask for it.
    pub asked_at: Option<Moment>,
    /// When it was reserved, or we heard of it.
    pub created_at: Timestamp,
}

/// A refund to be asked for.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as those of `Refund`")]
pub struct NewRefund {
    pub out_trade_no: OutTradeNo,
    pub mch_id: MchId,
    pub out_refund_no: OutRefundNo,
    pub request_id: String,
    pub amount: Fen,
    pub body: Secret,
}

/// How an attempt to reserve a refund ended.
#[derive(Debug)]
pub enum Reserved {
    /// Its amount is held, and who has reserved it is who asks WeChat Pay.
    Now(Refund),
    /// Somebody else has reserved it meanwhile.
    Before,
    /// The order is not paid, or not as much is left of it. It may have changed meanwhile.
    Refused,
}

/// The refunds in a table.
#[derive(Clone, Debug)]
pub struct Refunds {
    table: Table,
}

impl Refunds {
    /// The refunds in a table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The refund with that number.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or the row is no refund.
    pub async fn find(
        &self,
        order: &OutTradeNo,
        number: &OutRefundNo,
        deadline: Deadline,
    ) -> Result<Option<Refund>, StoreError> {
        self.table.get(&orders::refund_key(order, number), deadline).await?.map(|row| row::read(&row)).transpose()
    }

    /// Holds the amount of a refund, if as much is left of the payment.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then it may be reserved.
    pub async fn reserve(
        &self,
        order: &Order,
        new: &NewRefund,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Reserved, StoreError> {
        let Some(most) = order.total.as_u64().checked_sub(new.amount.as_u64()) else { return Ok(Reserved::Refused) };
        let values = HashMap::from([
            number(":refund", new.amount.as_u64()),
            number(":most", most),
            text(":success", OrderState::Success.as_str()),
            text(":refunded", OrderState::Refund.as_str()),
        ]);
        let hold = Change {
            key: orders::key(&order.out_trade_no),
            update: "ADD heldFen :refund",
            condition: Some(
                "tradeState IN (:success, :refunded) AND (attribute_not_exists(heldFen) OR heldFen <= :most)",
            ),
            values,
        };
        let row = row::reserved(new, now);
        let refund = row::read(&row)?;
        match self.table.transact(vec![Write::Create(row), Write::Update(hold)], deadline).await? {
            Transaction::Committed => Ok(Reserved::Now(refund)),
            Transaction::ConditionFailed(conditions) => Ok(match conditions.as_slice() {
                [Condition::Failed, ..] => Reserved::Before,
                _ => Reserved::Refused,
            }),
        }
    }

    /// Whether the caller may ask WeChat Pay for a refund that was reserved before: nobody releases it then by what was
    /// answered before that. If not, somebody has released it, or asks for it as well, or it is accepted.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or nobody has ever asked.
    pub async fn ask_again(&self, refund: &mut Refund, now: Moment, deadline: Deadline) -> Result<bool, StoreError> {
        let seen = refund.asked_at.ok_or_else(|| Corrupt::of(&key(refund), "askedAtMs"))?.as_millis();
        let values = HashMap::from([
            // No two who ask have the same time, whatever their clocks say: by it each knows the row for its own.
            number(":now", now.as_millis().max(seen.saturating_add(1))),
            number(":seen", seen),
            text(":reserved", RefundState::Reserved.as_str()),
        ]);
        let change = Change {
            key: key(refund),
            update: "SET askedAtMs = :now",
            condition: Some("refundStatus = :reserved AND askedAtMs = :seen"),
            values,
        };
        match self.table.change(change, deadline).await? {
            Changed::Done(row) => {
                *refund = row::read(&row)?;
                Ok(true)
            }
            Changed::ConditionFailed(_) => Ok(false),
        }
    }

    /// Leaves nothing of a refund that WeChat Pay has refused, unless another request has asked for it again. Whether
    /// it did. The next question about the order goes to WeChat Pay.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then it may be released.
    pub async fn release(&self, refund: &Refund, deadline: Deadline) -> Result<bool, StoreError> {
        let Some(asked_at) = refund.asked_at else { return Ok(false) };
        let values =
            HashMap::from([number(":seen", asked_at.as_millis()), text(":reserved", RefundState::Reserved.as_str())]);
        let condition = "refundStatus = :reserved AND askedAtMs = :seen";
        let amount = i64::try_from(refund.amount.as_u64()).unwrap_or(i64::MAX);
        let writes =
            vec![Write::DeleteIf(key(refund), condition, values), moves::give_back(&refund.out_trade_no, -amount)];
        Ok(self.table.transact(writes, deadline).await? == Transaction::Committed)
    }

    /// Whether the caller is the one whom the sweep has ask about a refund, which is moved on to its next time first. `None`
    /// if somebody else was faster, or it is settled.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or the row is no refund: that is moved on all the same.
    pub async fn sweep_turn(
        &self,
        due: &Due,
        out_refund_no: &OutRefundNo,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Option<Refund>, StoreError> {
        let token = random::base64url::<12>();
        let next = orders::next_refund_query(due.created_at, now.as_timestamp());
        let values = HashMap::from([
            number(":seen", due.at.as_millis()),
            number(":next", next.as_millis()),
            text(":token", &token),
        ]);
        let change = Change {
            key: orders::refund_key(&due.out_trade_no, out_refund_no),
            update: "SET sweepAtMs = :next, sweptBy = :token",
            condition: Some("sweepAtMs = :seen"),
            values,
        };
        let changed = self.table.change(change, deadline).await?;
        sweep::own_turn(changed, &token)?.as_ref().map(row::read).transpose()
    }
}

fn key(refund: &Refund) -> Key {
    orders::refund_key(&refund.out_trade_no, &refund.out_refund_no)
}
