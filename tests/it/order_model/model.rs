//! The model: what a shop is, without a table, a network, or anybody else at work.

use std::collections::{BTreeMap, HashMap};

use super::model_refunds::Refund;
use super::model_sweep::next_query;
use super::steps::Loss;

pub(super) const USERS: usize = 2;
pub(super) const MAX_OPEN: usize = 3;
pub(super) const ORDER_TTL: u64 = 1800;
pub(super) const QUERY_INTERVAL: u64 = 3;
/// WeChat Pay is asked about a paid order at most once in this time.
const PAID_QUERY_INTERVAL: u64 = 24 * 3600;
/// And so long after a question about it that got no answer.
const PAID_QUERY_AGAIN: u64 = 3600;
/// A repeat that comes so long after the order is no double click.
const DOUBLE_CLICK: u64 = 3;
/// What WeChat Pay has said so short a time ago, it is not asked again.
const JUST_NOW: u64 = 3;
/// A payment may come that long after the order's time.
const LAST_PAYMENTS: u64 = 60;
pub(super) const KEY_TTL: u64 = 24 * 3600;

/// Products, their prices, and how many there are, if that is limited.
pub(super) const PRODUCTS: [(&str, u64, Option<u64>); 3] =
    [("sticker", 100, None), ("mug", 3_900, Some(12)), ("shirt", 9_900, Some(5))];

/// Products by their indices, and how many of each.
pub(super) type Cart = BTreeMap<usize, u64>;

/// How an order stands at WeChat Pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Unknown,
    Unpaid,
    Closed,
    Paid,
}

/// What WeChat Pay tells of an order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Closed,
    Paid,
    Refunded,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    /// As the functions call it, once that is known.
    pub(super) number: String,
    pub(super) user: usize,
    pub(super) cart: Cart,
    /// Each state here, and by what.
    pub(super) history: Vec<(&'static str, &'static str)>,
    pub(super) is_prepaid: bool,
    /// When WeChat Pay was last asked to wait for the payment.
    prepay_asked_at: u64,
    pub(super) queried_at: Option<u64>,
    /// When WeChat Pay last said, after the order's time, that it was not paid.
    found_unpaid_at: Option<u64>,
    pub(super) created_at: u64,
    pub(super) ends_at: u64,
    /// When the sweeper asks next about it.
    pub(super) sweep_at: u64,
    pub(super) there: There,
    /// The payment of which WeChat Pay tells: what was paid there, or is said to have been after it was closed.
    pub(super) payment: Option<String>,
    pub(super) refunds: Vec<Refund>,
}

/// A key that stands for an order.
#[derive(Clone, Debug)]
pub(super) struct Key {
    order: usize,
    cart: Cart,
    until: u64,
}

/// What a caller of `create-order` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Order(usize),
    Refused(&'static str),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) orders: Vec<Order>,
    pub(super) keys: HashMap<(usize, usize), Key>,
    /// How often a row has changed, but for when WeChat Pay was asked.
    pub(super) writes: usize,
}

impl Order {
    pub(super) fn state(&self) -> &'static str {
        self.history.last().map_or("", |(state, _)| *state)
    }

    pub(super) fn total(&self) -> u64 {
        self.cart.iter().map(|(product, quantity)| PRODUCTS[*product].1 * quantity).sum()
    }

    pub(super) fn is_settled(&self) -> bool {
        ["SUCCESS", "REFUND"].contains(&self.state())
    }

    fn has_been(&self, state: &str) -> bool {
        self.history.iter().any(|(been, _)| *been == state)
    }
}

impl Model {
    fn key(&self, user: usize, key: usize) -> Option<&Key> {
        self.keys.get(&(user, key)).filter(|key| self.now < key.until)
    }

    /// What a key was used for.
    pub(super) fn cart_of(&self, user: usize, key: usize) -> Option<&Cart> {
        self.key(user, key).map(|key| &key.cart)
    }

    /// The order that a key stands for.
    pub(super) fn order_of(&self, user: usize, key: usize) -> Option<&Order> {
        self.key(user, key).map(|key| &self.orders[key.order])
    }

    /// How many there are of a product.
    pub(super) fn left(&self, product: usize) -> Option<u64> {
        let kept = self.orders.iter().filter(|order| !order.has_been("CLOSED"));
        let taken: u64 = kept.filter_map(|order| order.cart.get(&product)).sum();
        PRODUCTS[product].2.map(|first| first - taken)
    }

    /// How many unpaid orders a user has.
    pub(super) fn open(&self, user: usize) -> usize {
        self.orders.iter().filter(|order| order.user == user && order.state() == "NOTPAY").count()
    }

    pub(super) fn create(&mut self, user: usize, key: usize, cart: &Cart, loss: Option<Loss>) -> Reply {
        match self.key(user, key) {
            Some(known) if known.cart != *cart => return Reply::Refused("idempotency_key_reused"),
            Some(known) => return self.go_on(known.order, loss),
            None => {}
        }
        if self.keys.remove(&(user, key)).is_some() {
            self.writes += 1;
        }
        if cart.iter().any(|(product, quantity)| self.left(*product).is_some_and(|left| left < *quantity)) {
            return Reply::Refused("out_of_stock");
        }
        if self.open(user) >= MAX_OPEN {
            return Reply::Refused("rate_limited");
        }
        let order = self.orders.len();
        self.orders.push(Order {
            number: String::new(),
            user,
            cart: cart.clone(),
            history: vec![("NOTPAY", "create")],
            is_prepaid: false,
            prepay_asked_at: self.now,
            queried_at: None,
            found_unpaid_at: None,
            created_at: self.now,
            ends_at: self.now + ORDER_TTL,
            sweep_at: next_query(self.now, self.now + ORDER_TTL, self.now),
            there: There::Unknown,
            payment: None,
            refunds: Vec::new(),
        });
        self.keys.insert((user, key), Key { order, cart: cart.clone(), until: self.now + KEY_TTL });
        self.prepay(order, loss)
    }

    fn go_on(&mut self, index: usize, loss: Option<Loss>) -> Reply {
        let order = &self.orders[index];
        if let Some(code) = ended(order) {
            return Reply::Refused(code);
        }
        if order.ends_at <= self.now {
            let is_known = |at: u64| self.now - at < JUST_NOW || at >= order.ends_at + LAST_PAYMENTS;
            if order.found_unpaid_at.is_some_and(is_known) {
                return Reply::Refused("order_closed");
            }
            let is_answered = self.ask(index, loss, "query");
            let unsettled = if is_answered { "order_closed" } else { "wechat_unavailable" };
            return Reply::Refused(ended(&self.orders[index]).unwrap_or(unsettled));
        }
        if !order.is_prepaid {
            return self.prepay(index, loss);
        }
        // What gets lost here is answers about a payment to come, and not about one that was made.
        if self.now - order.prepay_asked_at >= DOUBLE_CLICK {
            self.query(index, None);
        }
        ended(&self.orders[index]).map_or(Reply::Order(index), Reply::Refused)
    }

    fn prepay(&mut self, index: usize, loss: Option<Loss>) -> Reply {
        self.writes += 1;
        let order = &mut self.orders[index];
        order.prepay_asked_at = self.now;
        if loss.is_some_and(Loss::is_refusal) {
            return self.refuse(index);
        }
        let is_refused = matches!(order.there, There::Closed | There::Paid);
        if order.there == There::Unknown && loss.is_none_or(Loss::reaches_wechat_pay) {
            order.there = There::Unpaid;
        }
        if loss.is_some_and(|loss| loss.loses_all(is_refused)) {
            return Reply::Refused("wechat_unavailable");
        }
        if is_refused {
            self.hear(index, "query");
            return Reply::Refused(ended(&self.orders[index]).unwrap_or_default());
        }
        order.is_prepaid = true;
        Reply::Order(index)
    }

    /// WeChat Pay refuses an order, because something is wrong with the merchant. One that it does not know ends.
    fn refuse(&mut self, index: usize) -> Reply {
        if self.orders[index].there == There::Unknown {
            self.learn(index, Event::Closed, "create");
            self.keys.retain(|_, key| key.order != index);
            return Reply::Refused("misconfigured");
        }
        self.hear(index, "query");
        Reply::Refused(ended(&self.orders[index]).unwrap_or("misconfigured"))
    }

    /// Asks WeChat Pay. Says whether it has answered.
    pub(super) fn ask(&mut self, index: usize, loss: Option<Loss>, by: &'static str) -> bool {
        let order = &mut self.orders[index];
        // Staff asks whoever has asked before, and is in nobody's way.
        if by != "refund" {
            order.queried_at = Some(self.now);
        }
        if loss.is_some_and(|loss| loss.loses_all(order.there == There::Unknown)) {
            return false;
        }
        match order.there {
            // The sweep closes it at once.
            There::Unknown | There::Unpaid if order.ends_at <= self.now && by != "sweep" => {
                order.found_unpaid_at = Some(self.now);
            }
            There::Unknown | There::Unpaid | There::Closed | There::Paid => self.hear(index, by),
        }
        true
    }

    /// WeChat Pay says how an order stands.
    pub(super) fn hear(&mut self, index: usize, by: &'static str) {
        let order = &self.orders[index];
        match order.there {
            There::Unknown | There::Unpaid => {}
            There::Closed => self.learn(index, Event::Closed, by),
            There::Paid if order.is_refunded_there() => self.learn(index, Event::Refunded, by),
            There::Paid => self.learn(index, Event::Paid, by),
        }
    }

    /// Asks WeChat Pay, if that can bring news, and has not been done just now.
    pub(super) fn query(&mut self, index: usize, loss: Option<Loss>) {
        let order = &self.orders[index];
        let is_due = match order.state() {
            "NOTPAY" => order.queried_at.is_none_or(|at| self.now - at >= QUERY_INTERVAL),
            "SUCCESS" => self.now - order.queried_at.unwrap_or(order.prepay_asked_at) >= PAID_QUERY_INTERVAL,
            _ => false,
        };
        if is_due && !self.ask(index, loss, "query") {
            let order = &mut self.orders[index];
            if order.state() == "SUCCESS" {
                order.queried_at = Some(self.now - (PAID_QUERY_INTERVAL - PAID_QUERY_AGAIN));
            }
        }
    }

    pub(super) fn learn(&mut self, index: usize, event: Event, by: &'static str) {
        let order = &mut self.orders[index];
        let to = match (order.state(), event) {
            ("NOTPAY", Event::Closed) => "CLOSED",
            ("NOTPAY" | "CLOSED", Event::Paid) => "SUCCESS",
            ("NOTPAY" | "CLOSED" | "SUCCESS", Event::Refunded) => "REFUND",
            _ => return,
        };
        order.history.push((to, by));
        self.writes += 1;
    }
}

fn ended(order: &Order) -> Option<&'static str> {
    match order.state() {
        "NOTPAY" => None,
        "CLOSED" => Some("order_closed"),
        _ => Some("order_paid"),
    }
}
