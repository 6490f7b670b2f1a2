//! Who asks WeChat Pay about an order, and when.

use std::collections::HashMap;
use std::time::Duration;

use super::{Order, OrderState, Orders, row, schedule};
use crate::clock::{Moment, Timestamp};
use crate::deadline::Deadline;
use crate::random;
use crate::store::item::{number, text};
use crate::store::sweep::{self, Due};
use crate::store::table::Changed;
use crate::store::{Corrupt, StoreError};

/// WeChat Pay is asked about an order that is not paid at most once in this time.
const QUERY_INTERVAL: Duration = Duration::from_secs(3);

/// And about one that is paid: staff may have refunded it on the merchant platform, and the notification may be lost.
const PAID_QUERY_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// And so long after a question about a paid one that got no answer.
const PAID_QUERY_AGAIN: Duration = Duration::from_secs(3600);

/// So long after its payment, 13 months, a paid order is asked about no more: nothing is refunded any more then.
/// Source: WeChat Pay v3, "Refund": within one year of the payment. The month is for a refund that takes its time.
const REFUNDS_END: Duration = Duration::from_secs(397 * 24 * 3600);

impl Orders {
    /// Whether the caller is the one who may ask WeChat Pay how an order stands: about one that is not paid, one caller
    /// in 3 s; about one that is paid and has no refund, one caller a day, and one more after a refund was refused, for
    /// 13 months. Where not, and where another caller was faster, `order` is as the table has it afterwards.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn may_query(&self, order: &mut Order, now: Moment, deadline: Deadline) -> Result<bool, StoreError> {
        let has_ended = |paid_at: Timestamp| paid_at + REFUNDS_END <= now.as_timestamp();
        let (interval, last) = match order.state {
            OrderState::Success if order.payment.as_ref().is_some_and(|payment| has_ended(payment.paid_at)) => {
                return Ok(false);
            }
            OrderState::NotPay => (QUERY_INTERVAL, order.queried_at),
            // Where it was never asked about, it was made and paid then, or soon after.
            OrderState::Success => (PAID_QUERY_INTERVAL, order.queried_at.or(Some(order.prepay_asked_at))),
            OrderState::Closed | OrderState::Refund => return Ok(false),
        };
        // A time that far ahead is that of a wrong clock, and stops nobody.
        if last.is_some_and(|at| now.since(at) < interval && at.since(now) < interval) {
            return Ok(false);
        }
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let values = HashMap::from([
            text(":state", order.state.as_str()),
            number(":now", now.as_millis()),
            number(":before", now.as_millis().saturating_sub(millis)),
            number(":after", now.as_millis().saturating_add(millis)),
        ]);
        let condition = "tradeState = :state AND (attribute_not_exists(queriedAtMs) OR queriedAtMs <= :before OR \
                         queriedAtMs >= :after)";
        match self.change(&order.out_trade_no, "SET queriedAtMs = :now", condition, values, deadline).await? {
            Changed::Done(_) => Ok(true),
            Changed::ConditionFailed(row) => {
                *order = row::read(&row.ok_or_else(|| Corrupt::order(&order.out_trade_no, row::TRADE_STATE))?)?;
                Ok(false)
            }
        }
    }

    /// Has a paid order asked about again in an hour, because the question that the caller was allowed at `asked_at`
    /// got no answer; unless it has another date by now.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then it is asked about a day later.
    pub async fn ask_sooner(&self, order: &Order, asked_at: Moment, deadline: Deadline) -> Result<(), StoreError> {
        let early = PAID_QUERY_INTERVAL.saturating_sub(PAID_QUERY_AGAIN);
        let early = u64::try_from(early.as_millis()).unwrap_or(u64::MAX);
        let values = HashMap::from([
            text(":success", OrderState::Success.as_str()),
            number(":asked", asked_at.as_millis()),
            number(":early", asked_at.as_millis().saturating_sub(early)),
        ]);
        let condition = "tradeState = :success AND queriedAtMs = :asked";
        self.change(&order.out_trade_no, "SET queriedAtMs = :early", condition, values, deadline).await?;
        Ok(())
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
            Changed::ConditionFailed(row) => {
                row.ok_or_else(|| Corrupt::order(&order.out_trade_no, row::TRADE_STATE))?
            }
        };
        *order = row::read(&row)?;
        Ok(())
    }

    /// Whether the caller is the one whom the sweep has ask about an order: who asks first moves it on to its next time,
    /// so that an order about which there is no answer keeps none behind it from being asked about. `None` if somebody
    /// else was faster, or the order is not unpaid any more.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or the row is no order: that is moved on all the same.
    pub async fn sweep_turn(
        &self,
        due: &Due,
        time_expire: Timestamp,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Option<Order>, StoreError> {
        let token = random::base64url::<12>();
        let next = schedule::next_query(due.created_at, time_expire, now.as_timestamp());
        let values = HashMap::from([
            number(":seen", due.at.as_millis()),
            number(":next", next.as_millis()),
            number(":now", now.as_millis()),
            text(":notPay", OrderState::NotPay.as_str()),
            text(":token", &token),
        ]);
        let update = "SET sweepAtMs = :next, queriedAtMs = :now, sweptBy = :token";
        let condition = "sweepAtMs = :seen AND tradeState = :notPay";
        let changed = self.change(&due.out_trade_no, update, condition, values, deadline).await?;
        sweep::own_turn(changed, &token)?.as_ref().map(row::read).transpose()
    }
}
