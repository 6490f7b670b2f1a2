//! One step after the other: the functions do what the model does.

use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq};
use serde_json::Value;
use tests::shop::{PREPAY, QUERY};

use super::chances::steps;
use super::model::{Cart, Event, Model, Order, QUERY_INTERVAL, Reply, There, USERS};
use super::shop::{As, Shop};
use super::sights::Sights;
use super::steps::{Loss, Step};
use super::{Checked, for_all};

/// Sessions end after a week.
const LONGEST: u64 = 5 * 86_400;

const CASES: u32 = 28;

const WANTED: [&str; 38] = [
    "an order",
    "idempotency_key_reused",
    "misconfigured",
    "not_found",
    "order_closed",
    "order_paid",
    "out_of_stock",
    "rate_limited",
    "wechat_unavailable",
    "a repeat",
    "a refund by hand that is found by asking",
    "a key that stands for a second order",
    "nothing changed",
    "NOTPAY",
    "CLOSED by create",
    "CLOSED by query",
    "CLOSED by sweep",
    "CLOSED by sweep, SUCCESS by notify",
    "REFUND by notify",
    "REFUND by sweep",
    "SUCCESS by notify",
    "SUCCESS by notify, REFUND by notify",
    "SUCCESS by notify, REFUND by refund",
    "SUCCESS by query",
    "SUCCESS by refund, REFUND by refund",
    "SUCCESS by sweep",
    "refund: ABNORMAL",
    "refund: CLOSED",
    "refund: PROCESSING",
    "refund: SUCCESS",
    "refund: idempotency_key_reused",
    "refund: misconfigured",
    "refund: refund_exceeds_paid",
    "refund: refund_refused",
    "refund: wechat_unavailable",
    "sweep: closed",
    "sweep: failed",
    "sweep: healed",
];

#[test]
fn the_functions_do_what_the_model_does() {
    let sights = Sights::default();
    for_all(CASES, steps(), async |steps| follow(steps, &sights).await);
    sights.assert("sequences", &WANTED);
}

async fn follow(steps: &[Step], sights: &Sights) -> Checked {
    let shop = Shop::open().await;
    let model = Model { now: shop.now(), ..Model::default() };
    let mut pair = Pair { model, opened_at: shop.now(), shop, sights };
    let mut ledger = pair.shop.ledger().await;
    for step in steps {
        sights.see("a step");
        let writes = pair.model.writes;
        pair.take(step).await?;
        let after = pair.shop.ledger().await;
        pair.check(&after).await?;
        if pair.model.writes == writes {
            prop_assert_eq!(ledger.without_questions(), after.clone().without_questions(), "{:?}", step);
            sights.see("nothing changed");
        }
        ledger = after;
    }
    pair.settle().await?;
    pair.end().await
}

pub(super) struct Pair<'a> {
    pub(super) shop: Shop,
    pub(super) model: Model,
    pub(super) sights: &'a Sights,
    opened_at: u64,
}

impl Pair<'_> {
    async fn take(&mut self, step: &Step) -> Checked {
        match step {
            Step::Create { user, key, wish, loss } => {
                let known = self.model.cart_of(*user, *key).filter(|_| !wish.insists);
                let cart = known.unwrap_or(&wish.cart).clone();
                self.create((*user, *key), &cart, wish.reversed, *loss).await
            }
            Step::Query { order, is_stranger, loss } => match self.pick(order, |order| order.state() == "NOTPAY") {
                Some(order) if *is_stranger => self.query_by_stranger(order).await,
                Some(order) => self.query(order, *loss).await,
                None => Ok(()),
            },
            Step::Pass(secs) => {
                if self.model.now + secs < self.opened_at + LONGEST {
                    self.pass(*secs);
                }
                Ok(())
            }
            Step::Restart => {
                self.shop.restart();
                Ok(())
            }
            Step::Pay(order) | Step::Close(order) => match self.pick(order, |order| order.there == There::Unpaid) {
                Some(order) => self.at_wechat_pay(step, order).await,
                None => Ok(()),
            },
            Step::PayClosed(order) => {
                self.pay_closed(order);
                Ok(())
            }
            Step::Refund(step) => self.refund(step).await,
            Step::RefundElsewhere { order, percent, status } => self.refund_elsewhere(order, *percent, status).await,
            Step::SettleRefund { refund, status } => self.settle_refund(refund, status).await,
            Step::NotifyRefund { refund, copies } => self.notify_refund(refund, *copies).await,
            Step::Sweep(step) => self.sweep(step).await,
            Step::Notify { order, copies } => self.notify(order, As::Paid, *copies).await,
            Step::NotifyRefunded(order) => self.notify(order, As::Refunded, 1).await,
            Step::NotifyWrong { order, tamper, status } => {
                let order = self.pick(order, |order| order.there == There::Paid).map(|order| &self.model.orders[order]);
                if let Some(order) = order.filter(|order| order.there == There::Paid) {
                    prop_assert_eq!(self.shop.notify_wrong(&order.number, tamper).await, *status, "{}", tamper);
                }
                Ok(())
            }
        }
    }

    /// An order of such as are best, or any one if there are none.
    pub(super) fn pick(&self, order: &Index, is_best: impl Fn(&Order) -> bool) -> Option<usize> {
        let best = (0..self.model.orders.len()).filter(|order| is_best(&self.model.orders[*order]));
        let best: Vec<_> = best.collect();
        match best.len() {
            0 => (!self.model.orders.is_empty()).then(|| order.index(self.model.orders.len())),
            _ => Some(*order.get(&best)),
        }
    }

    pub(super) fn pass(&mut self, secs: u64) {
        self.shop.pass(secs);
        self.model.now += secs;
    }

    async fn create(
        &mut self,
        (user, key): (usize, usize),
        cart: &Cart,
        reversed: bool,
        loss: Option<Loss>,
    ) -> Checked {
        let order = self.model.order_of(user, key);
        let is_over = order.is_some_and(|order| order.ends_at <= self.model.now);
        if order.is_some_and(|order| !order.is_prepaid || is_over) {
            // Whoever came before may still be at it; so one would wait.
            self.pass(QUERY_INTERVAL);
        }
        let is_over = self.model.order_of(user, key).is_some_and(|order| order.ends_at <= self.model.now);
        // Of a question, no such thing is said.
        let loss = loss.filter(|loss| !is_over || !loss.is_refusal());
        self.shop.lose(if is_over { QUERY } else { PREPAY }, loss).await;
        let known = self.model.orders.len();
        let expected = self.model.create(user, key, cart, loss);
        let reply = self.shop.create(user, key, cart, reversed).await;
        self.shop.mend().await;
        if known < self.model.orders.len() {
            // The claim has its number, also where it stands for it no more.
            let ledger = self.shop.ledger().await;
            let claim = ledger.claim(&self.shop.buyers[user].id, &format!("key-{key}"));
            let number = claim.map_or(Value::Null, |claim| claim["outTradeNo"].clone());
            self.model.orders[known].number = number.as_str().unwrap().to_owned();
        }
        match expected {
            Reply::Refused(code) => {
                prop_assert_eq!(reply.code(), code, "{:?}", reply.json);
                self.sights.see(code);
            }
            Reply::Order(order) => {
                self.sights.see(if order < known { "a repeat" } else { "an order" });
                let order = &self.model.orders[order];
                prop_assert_eq!(reply.status, 200, "{:?}", reply.json);
                prop_assert_eq!(&reply.json["outTradeNo"], &order.number);
                prop_assert_eq!(&reply.json["totalFen"], order.total());
            }
        }
        Ok(())
    }

    pub(super) async fn query(&mut self, index: usize, loss: Option<Loss>) -> Checked {
        self.shop.lose(QUERY, loss).await;
        let reply = self.shop.query(self.model.orders[index].user, &self.model.orders[index].number).await;
        self.shop.mend().await;
        self.model.query(index, loss);
        let order = &self.model.orders[index];
        prop_assert_eq!(reply.status, 200, "{:?}", reply.json);
        prop_assert_eq!(&reply.json["status"], order.state());
        prop_assert_eq!(&reply.json["totalFen"], order.total());
        prop_assert_eq!(&reply.json["refundedFen"], order.refunded());
        let payment = order.payment.as_deref().filter(|_| order.is_settled());
        prop_assert_eq!(reply.json["transactionId"].as_str(), payment);
        prop_assert_eq!(reply.json["paidAt"].is_string(), payment.is_some());
        Ok(())
    }

    async fn query_by_stranger(&self, index: usize) -> Checked {
        let order = &self.model.orders[index];
        let reply = self.shop.query((order.user + 1) % USERS, &order.number).await;
        prop_assert_eq!(reply.code(), "not_found");
        self.sights.see("not_found");
        Ok(())
    }

    pub(super) async fn at_wechat_pay(&mut self, step: &Step, index: usize) -> Checked {
        let order = &mut self.model.orders[index];
        if let Step::Close(_) = step {
            let closed = self.shop.control("close", &order.number).await;
            prop_assert_eq!(closed.is_some(), matches!(order.there, There::Unpaid | There::Closed));
            if closed.is_some() {
                order.there = There::Closed;
            }
            return Ok(());
        }
        let payment = self.shop.pay(&order.number).await;
        prop_assert_eq!(payment.is_some(), order.there == There::Unpaid && self.model.now < order.ends_at);
        if payment.is_some() {
            (order.there, order.payment) = (There::Paid, payment);
        }
        Ok(())
    }

    fn pay_closed(&mut self, order: &Index) {
        let is_closed = |order: &Order| order.there == There::Closed && order.payment.is_none();
        let order = self.pick(order, is_closed).map(|order| &mut self.model.orders[order]);
        if let Some(order) = order.filter(|order| is_closed(order)) {
            order.payment = Some(self.shop.pay_closed(&order.number));
        }
    }

    async fn notify(&mut self, order: &Index, told: As, copies: usize) -> Checked {
        // One in two is news, if there is any.
        let is_best = |order: &Order| order.payment.is_some() && (copies == 2 || !order.is_settled());
        let Some(index) = self.pick(order, is_best) else { return Ok(()) };
        let order = &self.model.orders[index];
        let Some(payment) = &order.payment else { return Ok(()) };
        let row = self.shop.ledger().await.order(&order.number).unwrap().clone();
        let statuses = self.shop.notify(&row, payment, told, copies).await;
        prop_assert!(statuses.iter().all(|status| *status == 204), "{:?}", statuses);
        let event = if told == As::Paid { Event::Paid } else { Event::Refunded };
        self.model.learn(index, event, "notify");
        Ok(())
    }
}
