//! The functions and the model, side by side.

use proptest::prelude::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use tests::ledger::Ledger;

use super::Checked;
use super::model::{MAX_OPEN, Order, PRODUCTS, QUERY_INTERVAL, There, USERS};
use super::sequences::Pair;

impl Pair<'_> {
    /// The table is what the model is, and adds up.
    pub(super) async fn check(&self, ledger: &Ledger) -> Checked {
        let (model, shop) = (&self.model, &self.shop);
        shop.audit(ledger).await.map_err(TestCaseError::fail)?;
        prop_assert_eq!(ledger.orders().count(), model.orders.len());
        for order in &model.orders {
            check_order(ledger, order)?;
            prop_assert_eq!(&ledger.order(&order.number).unwrap()["userId"], &shop.buyers[order.user].id);
        }
        for (product, (sku, _, _)) in PRODUCTS.iter().enumerate() {
            prop_assert_eq!(ledger.stock(sku).map(i64::unsigned_abs), model.left(product));
        }
        for user in 0..USERS {
            let open = model.open(user);
            prop_assert!(open <= MAX_OPEN);
            prop_assert_eq!(ledger.open_orders(&shop.buyers[user].id), i64::try_from(open).unwrap());
        }
        Ok(())
    }

    /// What has become of each order.
    fn look_back(&self) {
        for order in &self.model.orders {
            let moves = order.history.iter().skip(1).map(|(to, by)| format!("{to} by {by}"));
            let moves: Vec<_> = moves.collect();
            if let [.., before, last] = moves.as_slice()
                && before.starts_with("SUCCESS")
                && last == "REFUND by query"
            {
                self.sights.see("a refund by hand that is found by asking");
            }
            self.sights.see(if moves.is_empty() { order.state().to_owned() } else { moves.join(", ") });
        }
        if self.model.keys.len() < self.model.orders.len() {
            self.sights.see("a key that stands for a second order");
        }
    }

    /// Once everything is asked for, all that was paid is known to be, and nothing else.
    pub(super) async fn settle(&mut self) -> Checked {
        self.pass(QUERY_INTERVAL);
        for index in 0..self.model.orders.len() {
            self.query(index, None).await?;
        }
        self.look_back();
        let ledger = self.shop.ledger().await;
        self.check(&ledger).await?;
        let orders = &self.model.orders;
        let paid: u64 = orders.iter().filter(|order| order.there == There::Paid).map(Order::total).sum();
        let told = orders.iter().filter(|order| order.there != There::Paid && order.is_settled());
        let settled = ledger.orders().filter(|order| Ledger::is_settled(order));
        let settled: u64 = settled.map(|order| order["totalFen"].as_u64().unwrap()).sum();
        prop_assert_eq!(settled, paid + told.map(Order::total).sum::<u64>());
        Ok(())
    }
}

fn check_order(ledger: &Ledger, order: &Order) -> Checked {
    let row = ledger.order(&order.number);
    prop_assert!(row.is_some(), "{:?}", order);
    let row = row.unwrap();
    prop_assert_eq!(Ledger::history(row), order.history.clone());
    prop_assert_eq!(&row["totalFen"], order.total());
    prop_assert_eq!(&row["timeExpire"], order.ends_at);
    prop_assert_eq!(row["prepayId"].is_string(), order.is_prepaid, "{}", row);
    prop_assert_eq!(row["queriedAtMs"].as_u64().map(|at| at / 1000), order.queried_at, "{}", row);
    let payment = order.payment.as_deref().filter(|_| order.is_settled());
    prop_assert_eq!(row["transactionId"].as_str(), payment);
    let sweep_at = (order.state() == "NOTPAY").then_some(order.sweep_at);
    prop_assert_eq!(row["sweepAtMs"].as_u64().map(|at| at / 1000), sweep_at, "{}", row);
    check_refunds(ledger, order)
}

fn check_refunds(ledger: &Ledger, order: &Order) -> Checked {
    let known = order.refunds.iter().filter(|refund| !refund.history.is_empty());
    prop_assert_eq!(ledger.refunds(&order.number).count(), known.clone().count(), "{:?}", order);
    for refund in known {
        let row = ledger.refund(&refund.number);
        prop_assert!(row.is_some(), "{:?}", refund);
        let row = row.unwrap();
        prop_assert_eq!(Ledger::refund_history(row), refund.history.clone());
        prop_assert_eq!(&row["refundFen"], refund.fen);
        let sweep_at = refund.is_swept().then_some(refund.sweep_at);
        prop_assert_eq!(row["sweepAtMs"].as_u64().map(|at| at / 1000), sweep_at, "{}", row);
    }
    Ok(())
}
