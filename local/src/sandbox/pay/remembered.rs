//! Orders that a sandbox before this one has made, as a table has them.

use shared::clock::Timestamp;

use super::order::{Order, OrderRequest};
use super::{Pay, schema};
use crate::kept_orders::KeptOrder;

impl Pay {
    /// Knows these orders from now on. What WeChat Pay did not know, or could not have known, is left out.
    pub(crate) fn remember(&mut self, orders: Vec<KeptOrder>, now: Timestamp) {
        for order in orders.into_iter().filter_map(|kept| remembered(kept, now)) {
            self.transactions += u64::from(order.times_paid);
            self.orders.insert(order.request.out_trade_no.clone(), order);
        }
    }
}

/// Without a prepay_id it is not known whether WeChat Pay was ever asked: whoever makes the order asks again.
fn remembered(kept: KeptOrder, now: Timestamp) -> Option<Order> {
    let body = kept.prepay_body.into_bytes();
    let request = OrderRequest::read(&schema::order(&body).ok()?).ok()?;
    let is_known = kept.prepay_id.is_some() || kept.payment.is_some();
    // A clock may have been ahead when the table was written.
    let created_at = kept.created_at.min(now);
    let mut order = Order::new(request, &body, created_at).ok().filter(|_| is_known)?;
    if let Some(prepay_id) = kept.prepay_id {
        order.prepay_id = prepay_id;
    }
    if kept.closed {
        // What is paid is not closed by it.
        let _ = order.close();
    }
    if let Some((transaction_id, paid_at)) = kept.payment {
        order.set_paid(transaction_id, order.request.total, paid_at);
    }
    Some(order)
}
