//! Many steps at the same moment: whatever comes of each, everything adds up afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures::future::join_all;
use proptest::prelude::TestCaseError;
use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq};
use serde_json::Value;
use tests::ledger::Ledger;
use tests::shop::PREPAY;

use super::chances::bursts;
use super::model::{Cart, QUERY_INTERVAL, USERS};
use super::shop::{As, Shop};
use super::sights::Sights;
use super::steps::Step;
use super::{Checked, for_all};

const CASES: u32 = 16;

/// What `create-order` may refuse an order for.
const REFUSALS: [&str; 8] = [
    "busy",
    "idempotency_key_reused",
    "misconfigured",
    "order_closed",
    "order_paid",
    "out_of_stock",
    "rate_limited",
    "wechat_unavailable",
];

const WANTED: [&str; 14] = [
    "an order",
    "idempotency_key_reused",
    "misconfigured",
    "out_of_stock",
    "rate_limited",
    "CLOSED",
    "REFUND",
    "SUCCESS",
    "one order for several at the same moment",
    "refund: PROCESSING",
    "refund: refund_exceeds_paid",
    "refund: refund_refused",
    "refunded: \"CLOSED\"",
    "refunded: \"SUCCESS\"",
];

#[test]
fn whatever_happens_at_the_same_moment_adds_up() {
    let sights = Sights::default();
    for_all(CASES, bursts(), async |bursts| follow(bursts, &sights).await);
    sights.assert("bursts", &WANTED);
}

async fn follow(bursts: &[Vec<Step>], sights: &Sights) -> Checked {
    let crowd = Crowd { shop: Shop::open().await, sights, carts: Mutex::default(), numbers: Mutex::default() };
    for burst in bursts {
        let passed = burst.iter().filter_map(|step| if let Step::Pass(secs) = step { Some(*secs) } else { None });
        crowd.shop.pass(QUERY_INTERVAL + passed.max().unwrap_or_default());
        let orders: Vec<_> = crowd.shop.ledger().await.orders().cloned().collect();
        let mut numbers = HashSet::new();
        for number in join_all(burst.iter().map(|step| crowd.take(step, &orders))).await {
            if number?.is_some_and(|number| !numbers.insert(number)) {
                sights.see("one order for several at the same moment");
            }
        }
        crowd.shop.mend().await;
        let ledger = crowd.shop.ledger().await;
        crowd.shop.audit(&ledger).await.map_err(TestCaseError::fail)?;
    }
    crowd.settle().await?;
    crowd.end().await
}

pub(super) struct Crowd<'a> {
    pub(super) shop: Shop,
    pub(super) sights: &'a Sights,
    /// What each key was first used for, and the order that it has stood for.
    carts: Mutex<HashMap<(usize, usize), Cart>>,
    numbers: Mutex<HashMap<(usize, usize), String>>,
}

/// What came of a step: the number of the order that somebody got.
pub(super) type Taken = Result<Option<String>, TestCaseError>;

impl Crowd<'_> {
    async fn take(&self, step: &Step, orders: &[Value]) -> Taken {
        self.sights.see("a step");
        let pick = |order: &Index| (!orders.is_empty()).then(|| order.get(orders));
        let paid: Vec<_> = orders.iter().filter(|order| Ledger::is_settled(order)).collect();
        let pick_paid = |order: &Index| if paid.is_empty() { pick(order) } else { Some(*order.get(&paid)) };
        match step {
            Step::Create { user, key, wish, loss } => {
                let cart = self.carts.lock().unwrap().entry((*user, *key)).or_insert(wish.cart.clone()).clone();
                let cart = if wish.insists { &wish.cart } else { &cart };
                self.shop.lose(PREPAY, loss.filter(|loss| !loss.all)).await;
                self.create((*user, *key), cart, wish.reversed).await
            }
            Step::Query { order, is_stranger, .. } => match pick(order) {
                Some(order) => self.query(order, *is_stranger).await,
                None => Ok(None),
            },
            Step::Pay(order) | Step::Close(order) => {
                let path = if let Step::Pay(_) = step { "pay" } else { "close" };
                if let Some(order) = pick(order) {
                    // Those who come too late are refused.
                    self.shop.control(path, number(order)).await;
                }
                Ok(None)
            }
            Step::Notify { order, copies } => self.notify(pick(order), As::Paid, *copies).await,
            Step::NotifyRefunded(order) => self.notify(pick(order), As::Refunded, 1).await,
            Step::PayClosed(order) => self.pay_closed(pick(order)).await,
            Step::Refund(step) => self.refund(pick_paid(&step.order), step).await,
            Step::RefundElsewhere { order, percent, status } => {
                self.refund_elsewhere(pick_paid(order), *percent, status).await;
                Ok(None)
            }
            Step::SettleRefund { refund, status } => {
                self.settle_refund(refund, status).await;
                Ok(None)
            }
            Step::NotifyRefund { refund, copies } => self.notify_refund(refund, *copies).await,
            Step::Sweep(step) => {
                self.shop.sweep(step.min_age, if step.twice { 2 } else { 1 }).await;
                Ok(None)
            }
            Step::NotifyWrong { .. } | Step::Pass(_) | Step::Restart => Ok(None),
        }
    }

    async fn create(&self, (user, key): (usize, usize), cart: &Cart, reversed: bool) -> Taken {
        let reply = self.shop.create(user, key, cart, reversed).await;
        if reply.status != 200 {
            prop_assert!(REFUSALS.contains(&reply.code()), "{:?}", reply.json);
            self.sights.see(reply.code());
            return Ok(None);
        }
        let number = number(&reply.json).to_owned();
        let known = self.numbers.lock().unwrap().entry((user, key)).or_insert(number.clone()).clone();
        prop_assert_eq!(&number, &known, "one key, two orders");
        self.sights.see("an order");
        Ok(Some(number))
    }

    pub(super) async fn query(&self, order: &Value, is_stranger: bool) -> Taken {
        let owner = self.shop.buyers.iter().position(|buyer| order["userId"] == buyer.id).unwrap();
        let user = if is_stranger { (owner + 1) % USERS } else { owner };
        let reply = self.shop.query(user, number(order)).await;
        prop_assert_eq!(reply.status, if is_stranger { 404 } else { 200 }, "{:?}", reply.json);
        Ok(None)
    }

    /// WeChat Pay tells of an order, if there is a payment to tell of.
    async fn notify(&self, order: Option<&Value>, told: As, copies: usize) -> Taken {
        let Some(order) = order else { return Ok(None) };
        if let Some(payment) = self.shop.payment_of(number(order)).await {
            let statuses = self.shop.notify(order, &payment, told, copies).await;
            prop_assert!(statuses.iter().all(|status| *status == 204), "{:?}", statuses);
        }
        Ok(None)
    }

    /// A closed order has been paid all the same, and WeChat Pay says so at once, twice.
    async fn pay_closed(&self, order: Option<&Value>) -> Taken {
        let Some(order) = order else { return Ok(None) };
        let there = self.shop.world.orders_at_wechat_pay().await;
        if there.iter().any(|there| there["outTradeNo"] == order["outTradeNo"] && there["state"] == "CLOSED") {
            let payment = self.shop.pay_closed(number(order));
            let statuses = self.shop.notify(order, &payment, As::Paid, 2).await;
            prop_assert!(statuses.iter().all(|status| *status == 204), "{:?}", statuses);
        }
        Ok(None)
    }
}

pub(super) fn number(order: &Value) -> &str {
    order["outTradeNo"].as_str().unwrap()
}
