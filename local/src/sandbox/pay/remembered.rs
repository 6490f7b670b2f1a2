//! Orders and refunds that a sandbox before this one has made, as a table has them.

use shared::clock::Timestamp;

use super::order::{Order, OrderRequest};
use super::refund::Told;
use super::refunds::NewRefund;
use super::{Pay, schema};
use crate::kept_orders::{Kept, KeptOrder, KeptRefund};

impl Pay {
    /// Knows these from now on. What WeChat Pay did not know, or could not have known, is left out.
    pub(crate) fn remember(&mut self, kept: Kept, now: Timestamp) {
        for order in kept.orders.into_iter().filter_map(|kept| remembered(kept, now)) {
            self.transactions += u64::from(order.times_paid);
            self.orders.insert(order.request.out_trade_no.clone(), order);
        }
        let mut refunds = kept.refunds;
        refunds.sort_by_key(|refund| refund.created_at);
        for refund in refunds {
            self.remember_refund(refund, now);
        }
    }

    /// The merchant is told of its end where it is told of the order: the table does not say anything else.
    fn remember_refund(&mut self, kept: KeptRefund, now: Timestamp) {
        let Ok(status) = serde_json::from_value(kept.status.into()) else { return };
        let Some(order) = self.orders.get(&kept.out_trade_no).filter(|order| order.payment.is_some()) else { return };
        let (number, told) = (kept.out_refund_no, Told::At(order.request.notify_url.clone()));
        let refund = NewRefund { out_refund_no: number.clone(), fen: kept.refund_fen, told, by_staff: false };
        self.add_refund(&kept.out_trade_no, refund, kept.created_at.min(now));
        let refunds = self.orders.get_mut(&kept.out_trade_no).map(|order| &mut order.refunds);
        if let (Some(refund), Some(refund_id)) = (refunds.and_then(|refunds| refunds.last_mut()), kept.refund_id) {
            refund.refund_id = refund_id;
        }
        // One that is under way stays so.
        let _ = self.settle_refund(&number, status, now);
    }
}

/// Without a prepay_id it is not known whether WeChat Pay was ever asked: whoever makes the order asks again.
fn remembered(kept: KeptOrder, now: Timestamp) -> Option<Order> {
    let fields = schema::order(kept.prepay_body.as_bytes()).ok()?;
    let request = OrderRequest::read(&fields).ok()?;
    let is_known = kept.prepay_id.is_some() || kept.payment.is_some();
    // A clock may have been ahead when the table was written.
    let created_at = kept.created_at.min(now);
    let mut order = Order::new(request, fields, created_at).ok().filter(|_| is_known)?;
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
