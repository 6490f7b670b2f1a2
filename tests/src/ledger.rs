//! What the table has of orders, and whether it adds up: with itself, and with what WeChat Pay has.

mod refunds;

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo_order::{DEMO_ORDER, DEMO_PAID_ORDER};
use serde_json::{Map, Value};

use crate::world::{Row, World};

/// Where an order may go. Nothing else is a move.
const MOVES: [(&str, &str); 6] = [
    ("NOTPAY", "SUCCESS"),
    ("NOTPAY", "REFUND"),
    ("NOTPAY", "CLOSED"),
    ("CLOSED", "SUCCESS"),
    ("CLOSED", "REFUND"),
    ("SUCCESS", "REFUND"),
];

/// What is known besides the table: what was there at first, and what WeChat Pay has.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The products with a stock, and what that was.
    pub stock: &'a [(&'a str, u64)],
    /// The most unpaid orders of a user.
    pub max_open: i64,
    /// What WeChat Pay has of orders.
    pub wechat_pay: &'a [Value],
    /// Payments of which WeChat Pay has told, though it does not have them.
    pub told: &'a [String],
}

/// The rows of orders, of what they are made of, and of what they are counted by.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger(Vec<Value>);

impl Ledger {
    /// The table as it is now, without the demo orders, which every machine has and nobody made.
    pub async fn read(world: &World) -> Self {
        let rows = world.rows().await.into_iter().map(json);
        let mut rows: Vec<_> = rows.filter(is_of_orders).collect();
        let demo = rows.iter().position(|row| row["sk"] == "ORDER" && row["outTradeNo"] == DEMO_ORDER);
        if let Some(demo) = demo.map(|at| rows.remove(at)) {
            let user = format!("USER#{}", demo["userId"].as_str().unwrap());
            rows.retain(|row| row["pk"] != *user);
        }
        rows.retain(|row| row["outTradeNo"] != DEMO_PAID_ORDER);
        rows.sort_by_cached_key(|row| (row["pk"].to_string(), row["sk"].to_string()));
        Self(rows)
    }

    /// The same without what a question leaves behind.
    pub fn without_questions(mut self) -> Self {
        for row in &mut self.0 {
            let row = row.as_object_mut().unwrap();
            for name in ["askedAtMs", "foundUnpaidAtMs", "queriedAtMs", "sweepAtMs", "sweptBy"] {
                row.remove(name);
            }
        }
        self
    }

    /// The orders.
    pub fn orders(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(|row| row["sk"] == "ORDER")
    }

    /// The order with that number.
    pub fn order(&self, number: &str) -> Option<&Value> {
        self.orders().find(|order| order["outTradeNo"] == number)
    }

    /// The refunds of an order.
    pub fn refunds(&self, number: &str) -> impl Iterator<Item = &Value> {
        let is_refund = |row: &&Value| row["sk"].as_str().unwrap().starts_with("REFUND#");
        self.0.iter().filter(is_refund).filter(move |row| row["outTradeNo"] == number)
    }

    /// The refund with that number.
    pub fn refund(&self, number: &str) -> Option<&Value> {
        self.0.iter().find(|row| row["sk"] == format!("REFUND#{number}"))
    }

    /// How many there are of a product.
    pub fn stock(&self, sku: &str) -> Option<i64> {
        self.row(&format!("PRODUCT#{sku}"), "PRODUCT")?["stock"].as_i64()
    }

    /// How many unpaid orders a user is said to have.
    pub fn open_orders(&self, user: &str) -> i64 {
        self.row(&format!("USER#{user}"), "ORDERS").map_or(0, |row| row["openOrders"].as_i64().unwrap())
    }

    /// What a key of a user's stands for.
    pub fn claim(&self, user: &str, key: &str) -> Option<&Value> {
        self.row(&format!("USER#{user}"), &format!("IDEMPOTENCY#{key}"))
    }

    /// What an order has been through: each state, and by what.
    pub fn history(order: &Value) -> Vec<(&str, &str)> {
        let entries = order["history"].as_array().unwrap().iter();
        entries.map(|entry| (entry["tradeState"].as_str().unwrap(), entry["by"].as_str().unwrap())).collect()
    }

    /// What a refund has been through: each state, and by what.
    pub fn refund_history(refund: &Value) -> Vec<(&str, &str)> {
        let entries = refund["history"].as_array().unwrap().iter();
        entries.map(|entry| (entry["refundStatus"].as_str().unwrap(), entry["by"].as_str().unwrap())).collect()
    }

    /// Whether somebody has paid an order, as far as the table knows.
    pub fn is_settled(order: &Value) -> bool {
        order["tradeState"] == "SUCCESS" || order["tradeState"] == "REFUND"
    }

    fn row(&self, pk: &str, sk: &str) -> Option<&Value> {
        self.0.iter().find(|row| row["pk"] == pk && row["sk"] == sk)
    }

    /// Whether it adds up when nobody is at work.
    ///
    /// # Errors
    ///
    /// What does not.
    pub fn audit(&self, facts: &Facts<'_>) -> Result<(), String> {
        self.orders().try_for_each(audit_order)?;
        self.audit_stock(facts)?;
        self.audit_open_orders(facts)?;
        self.audit_claims()?;
        self.audit_money(facts)?;
        refunds::audit(self, facts)
    }

    fn audit_stock(&self, facts: &Facts<'_>) -> Result<(), String> {
        for (sku, first) in facts.stock {
            let kept = self.orders().filter(|order| !has_been(order, "CLOSED"));
            let lines = kept.flat_map(|order| order["lines"].as_array().unwrap());
            let quantities = lines.filter(|line| line["sku"] == *sku).map(|line| line["quantity"].as_i64().unwrap());
            let left = i64::try_from(*first).unwrap() - quantities.sum::<i64>();
            let stock = self.stock(sku);
            hold(left >= 0 && stock == Some(left), || format!("stock of {sku}: {stock:?}, not {left}"))?;
        }
        Ok(())
    }

    fn audit_open_orders(&self, facts: &Facts<'_>) -> Result<(), String> {
        let counted = self.0.iter().filter(|row| row["sk"] == "ORDERS");
        let counted = counted.map(|row| row["pk"].as_str().unwrap().trim_start_matches("USER#"));
        let users: HashSet<_> = counted.chain(self.orders().map(|order| order["userId"].as_str().unwrap())).collect();
        for user in users {
            let unpaid = |order: &&Value| order["userId"] == user && order["tradeState"] == "NOTPAY";
            let open = i64::try_from(self.orders().filter(unpaid).count()).unwrap();
            let count = self.open_orders(user);
            hold(count == open && open <= facts.max_open, || format!("open orders: {count}, not {open}"))?;
        }
        Ok(())
    }

    /// A key stands for one order, and no two for the same.
    fn audit_claims(&self) -> Result<(), String> {
        let mut numbers = HashSet::new();
        for claim in self.0.iter().filter(|row| row["sk"].as_str().unwrap().starts_with("IDEMPOTENCY#")) {
            let number = claim["outTradeNo"].as_str().unwrap();
            let order = self.order(number);
            let is_of_user =
                order.is_some_and(|order| claim["pk"] == format!("USER#{}", order["userId"].as_str().unwrap()));
            hold(numbers.insert(number) && is_of_user && claim["hasOrder"] == true, || format!("claim: {claim}"))?;
        }
        Ok(())
    }

    /// What is paid here is paid there: once, the same sum, by the same payment.
    fn audit_money(&self, facts: &Facts<'_>) -> Result<(), String> {
        let mut payments = HashSet::new();
        for order in self.orders().filter(|order| Self::is_settled(order)) {
            let payment = order["transactionId"].as_str().unwrap();
            let there = facts.wechat_pay.iter().find(|there| there["outTradeNo"] == order["outTradeNo"]);
            let is_there = there.is_some_and(|there| is_paid_once(there) && there["transactionId"] == payment);
            let is_told = facts.told.iter().any(|told| told == payment);
            hold(is_there || is_told, || format!("paid here and not there: {order} {there:?}"))?;
            hold(payments.insert(payment), || format!("{payment} pays two orders"))?;
        }
        for there in facts.wechat_pay {
            let order = self.order(there["outTradeNo"].as_str().unwrap());
            let is_same = order.is_some_and(|order| order["totalFen"] == there["total"]);
            hold(is_same && there["timesPaid"].as_u64() <= Some(1), || format!("{there} is not {order:?}"))?;
        }
        Ok(())
    }
}

fn audit_order(order: &Value) -> Result<(), String> {
    let history = Ledger::history(order);
    let moves: Vec<_> = history.windows(2).map(|pair| (pair[0].0, pair[1].0)).collect();
    let is_legal = history[0] == ("NOTPAY", "create") && moves.iter().all(|step| MOVES.contains(step));
    let is_last = history.last().is_some_and(|(state, _)| order["tradeState"] == *state);
    hold(is_legal && is_last, || format!("history: {order}"))?;
    let is_settled = Ledger::is_settled(order);
    let has_payment = order["transactionId"].is_string() && order["paidAt"].is_number();
    hold(is_settled == has_payment, || format!("payment: {order}"))?;
    let is_open = order["tradeState"] == "NOTPAY";
    hold(is_open == is_swept(order), || format!("swept: {order}"))?;
    let after_closed = is_settled && has_been(order, "CLOSED");
    hold((order["paidAfterClosed"] == true) == after_closed, || format!("paid after closed: {order}"))?;
    let lines = order["lines"].as_array().unwrap().iter();
    let total: u64 = lines.map(|line| line["priceFen"].as_u64().unwrap() * line["quantity"].as_u64().unwrap()).sum();
    hold(order["totalFen"] == total, || format!("total: {order}"))
}

/// Whether WeChat Pay has taken the money for one of its orders, and did so once.
fn is_paid_once(there: &Value) -> bool {
    there["timesPaid"] == 1 && (there["state"] == "SUCCESS" || there["state"] == "REFUND")
}

/// Whether a row is in the index of what WeChat Pay is to be asked about.
fn is_swept(row: &Value) -> bool {
    row["sweepShard"].is_number() && row["sweepAtMs"].is_number()
}

fn has_been(order: &Value, state: &str) -> bool {
    Ledger::history(order).iter().any(|(been, _)| *been == state)
}

fn hold(holds: bool, what: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn is_of_orders(row: &Value) -> bool {
    let sk = row["sk"].as_str().unwrap();
    ["ORDER", "ORDERS", "PRODUCT"].contains(&sk)
        || ["IDEMPOTENCY#", "REFUND#"].iter().any(|start| sk.starts_with(start))
}

fn json(row: Row) -> Value {
    row.into_iter().map(|(name, value)| (name, value_of(value))).collect::<Map<_, _>>().into()
}

fn value_of(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.into(),
        AttributeValue::N(number) => number.parse::<i64>().unwrap().into(),
        AttributeValue::Bool(bool) => bool.into(),
        AttributeValue::B(bytes) => bytes.into_inner().into(),
        AttributeValue::L(list) => list.into_iter().map(value_of).collect(),
        AttributeValue::M(map) => json(map),
        other => panic!("{other:?}"),
    }
}
