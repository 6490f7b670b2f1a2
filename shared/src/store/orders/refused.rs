//! The end of an order that WeChat Pay has refused and does not have: everything comes back, and the key serves again.
//!
//! No client may be given a payment of an order that has ended, however slow a request for a prepay_id is. So an order
//! ends here only if no prepay_id is kept and no other request has set out for one since, and a prepay_id is kept only
//! of an order that has not ended ([`Orders::keep_prepay_id`]): of two requests that do both at once, one finds what
//! the other has done.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::moves::{moved, returned, state_change};
use super::state::{Move, OrderEvent};
use super::{Fact, Happening, IdempotentRequest, Order, Orders, Source, claims, end_one};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::store::StoreError;
use crate::store::call::{Condition, Pauses};
use crate::store::item::number;
use crate::store::products::Sku;
use crate::store::table::{Change, Transaction, Write};

impl Orders {
    /// Ends an order for which the caller asked WeChat Pay in vain at `asked_at`, and frees the key that stands for it.
    /// Says whether it did: not where another request has set out for a prepay_id since, or has got one, or the order
    /// has moved on.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Then it may have ended.
    pub async fn end_refused(
        &self,
        order: &mut Order,
        asked_at: Moment,
        request: &IdempotentRequest<'_>,
        why: String,
        now: Moment,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let Some(step) = order.state.after(OrderEvent::Closed) else { return Ok(false) };
        let happening = Happening { fact: Fact::Closed, source: Source::Create, why };
        let mut pauses = Pauses::until(deadline);
        // Products that have no stock any more to give anything back to.
        let mut unlimited: Vec<Sku> = Vec::new();
        loop {
            let returned = returned(order, step, &unlimited);
            let own = unprepared(state_change(order, step, &happening, now), asked_at);
            let mut writes = vec![Write::Update(own), claims::free_again(request, &order.out_trade_no, now)];
            writes.push(end_one(&order.user_id));
            writes.extend(returned.iter().map(|line| line.sku.give_back(line.quantity)));
            let conditions = match self.table.transact(writes, deadline).await? {
                Transaction::Committed => {
                    mark_ended(order, step, &happening.fact);
                    return Ok(true);
                }
                Transaction::ConditionFailed(conditions) => conditions,
            };
            if conditions.iter().take(2).any(|condition| *condition == Condition::Failed) {
                return Ok(false);
            }
            let of_products = conditions.iter().skip(3).zip(&returned);
            let failed = of_products.filter(|(condition, _)| **condition == Condition::Failed);
            unlimited.extend(failed.map(|(_, line)| line.sku.clone()));
            pauses.next("others at work on the same order").await?;
        }
    }
}

/// The same change, if the caller alone may get a prepay_id for the order.
fn unprepared(mut change: Change, asked_at: Moment) -> Change {
    change.update = "SET tradeState = :to, history = list_append(history, :entry), prepayRefused = :true REMOVE \
                     sweepShard, sweepAtMs";
    change.condition = Some("tradeState = :from AND attribute_not_exists(prepayId) AND prepayAskedAtMs = :askedAt");
    let values = [number(":askedAt", asked_at.as_millis()), (":true".to_owned(), AttributeValue::Bool(true))];
    change.values.extend(HashMap::from(values));
    change
}

fn mark_ended(order: &mut Order, step: Move, fact: &Fact) {
    moved(order, step, fact);
    order.prepay_refused = true;
}
