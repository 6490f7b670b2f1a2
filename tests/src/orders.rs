//! Orders: what there is to buy, who buys it, and what the table and WeChat Pay have of it.

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo_order::{DEMO_ORDER, DEMO_PAID_ORDER};
use local::sample;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::http::Reply;
use crate::ledger::{Facts, Ledger};
use crate::root;
use crate::world::{Row, World};

pub use crate::shop::{PREPAY, QUERY};

/// The body of a request for these products, so many of each.
pub fn cart(lines: &[(&str, u64)]) -> Value {
    let items: Vec<_> = lines.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
    json!({ "items": items })
}

/// What the table has of an order, as far as it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// How it stands.
    pub state: String,
    /// What it has become, and by what.
    pub history: Vec<(String, String)>,
    /// WeChat Pay's number of the payment.
    pub transaction_id: Option<String>,
    /// Whether somebody has to refund it.
    pub paid_after_closed: bool,
}

impl OrderRow {
    /// Of a row of the table.
    pub fn of(row: &Row) -> Self {
        let text = |row: &Row, name: &str| row[name].as_s().unwrap().clone();
        let entry = |entry: &AttributeValue| {
            let entry = entry.as_m().unwrap();
            (text(entry, "tradeState"), text(entry, "by"))
        };
        Self {
            state: text(row, "tradeState"),
            history: row["history"].as_l().unwrap().iter().map(entry).collect(),
            transaction_id: row.contains_key("transactionId").then(|| text(row, "transactionId")),
            paid_after_closed: row.contains_key("paidAfterClosed"),
        }
    }

    /// The history as one text: `NOTPAY create, SUCCESS notify`.
    pub fn story(&self) -> String {
        let entries: Vec<_> = self.history.iter().map(|(state, by)| format!("{state} {by}")).collect();
        entries.join(", ")
    }
}

impl Caller {
    /// Asks for an order.
    pub async fn create_order(&self, world: &World, key: &str, body: &Value) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
        world.send("POST", "/create-order", &headers, body.to_string()).await
    }

    /// Makes an order: the reply.
    pub async fn order(&self, world: &World, key: &str, body: &Value) -> Value {
        let reply = self.create_order(world, key, body).await;
        assert_eq!(reply.status, 200, "{key}: {:?}", reply.json);
        reply.json
    }

    /// Makes an order of one product: its number.
    pub async fn buy(&self, world: &World, sku: &str) -> String {
        let key = shared::random::base64url::<12>();
        number(&self.order(world, &key, &cart(&[(sku, 1)])).await)
    }

    /// Asks how an order stands.
    pub async fn query_order(&self, world: &World, number: &str) -> Reply {
        self.call(world, "query-order", json!({ "outTradeNo": number })).await
    }

    /// How an order stands.
    pub async fn status_of(&self, world: &World, number: &str) -> String {
        let reply = self.query_order(world, number).await;
        assert_eq!(reply.status, 200, "{number}: {:?}", reply.json);
        reply.json["status"].as_str().unwrap().to_owned()
    }

    /// The gateway's event of a call, with other headers than those of every call.
    pub fn event(&self, headers: &[(&str, &str)], body: &Value) -> Value {
        let mut event = sample::read(&root(), "user-info", "valid").unwrap();
        event["headers"]["authorization"] = format!("Bearer {}", self.token).into();
        for (name, value) in headers {
            event["headers"][*name] = (*value).into();
        }
        event["body"] = body.to_string().into();
        event
    }
}

/// A row of the table of cases and results, for whoever asks for the output of tests.
#[expect(clippy::print_stdout, reason = "it is what that person wants to see")]
pub fn show(case: &str, result: &str) {
    let short: String = case.chars().filter(|c| !c.is_control()).take(70).collect();
    println!("| {short} | {result} |");
}

/// The number that is in a reply.
pub fn number(reply: &Value) -> String {
    reply["outTradeNo"].as_str().unwrap().to_owned()
}

impl World {
    /// Checks that all adds up, where there was so much of each product at first: what the table has then.
    pub async fn assert_adds_up(&self, stock: &[(&str, u64)], when: &str) -> Ledger {
        let (wechat_pay, ledger) = (self.orders_at_wechat_pay().await, Ledger::read(self).await);
        let max_open = self.machine.env().get("MAX_OPEN_ORDERS").map_or(5, |most| most.parse().unwrap());
        let facts = Facts { stock, max_open, wechat_pay: &wechat_pay, told: &[] };
        ledger.audit(&facts).unwrap_or_else(|problem| panic!("{when}: {problem}"));
        ledger
    }

    /// How many of a product there are, if that is limited.
    pub async fn stock(&self, sku: &str) -> Option<u64> {
        let row = self.row(&format!("PRODUCT#{sku}"), "PRODUCT").await?;
        Some(row.get("stock")?.as_n().unwrap().parse().unwrap())
    }

    /// How many open orders the table counts for a caller.
    pub async fn open_orders(&self, caller: &Caller) -> u64 {
        let row = self.row(&format!("USER#{}", caller.id), "ORDERS").await;
        row.map_or(0, |row| row["openOrders"].as_n().unwrap().parse().unwrap())
    }

    /// A row of the table.
    pub async fn row(&self, pk: &str, sk: &str) -> Option<Row> {
        let table = self.table();
        let get = table.client().get_item().table_name(table.name()).consistent_read(true);
        let [pk, sk] = [pk, sk].map(|text| AttributeValue::S(text.to_owned()));
        get.key("pk", pk).key("sk", sk).send().await.unwrap().item
    }

    /// What the table has of an order.
    pub async fn order_row(&self, number: &str) -> OrderRow {
        OrderRow::of(&self.row(&format!("ORDER#{number}"), "ORDER").await.unwrap())
    }

    /// All orders of the table, but for that of the demo user.
    pub async fn order_rows(&self) -> Vec<Row> {
        let rows = self.rows_at("ORDER#", "ORDER").await.into_iter();
        rows.filter(|row| ![DEMO_ORDER, DEMO_PAID_ORDER].contains(&row["outTradeNo"].as_s().unwrap().as_str()))
            .collect()
    }

    /// The keys that stand for something.
    pub async fn claims(&self) -> usize {
        self.rows_at("USER#", "IDEMPOTENCY#").await.len()
    }

    /// The numbers for which WeChat Pay was asked for a prepay_id, each time.
    pub async fn prepaid_numbers(&self) -> Vec<String> {
        let calls = self.calls_of(PREPAY).await;
        calls.iter().map(|call| call["outTradeNo"].as_str().unwrap().to_owned()).collect()
    }

    /// What WeChat Pay has of an order.
    pub async fn order_at_wechat(&self, number: &str) -> Value {
        self.sandbox("GET", &format!("/orders/{number}"), Value::Null).await
    }

    /// `wx.requestPayment`: the errMsg.
    pub async fn request_payment(&self, payment: &Value) -> String {
        let answer = self.sandbox("POST", "/requestPayment", json!({ "payment": payment })).await;
        answer["errMsg"].as_str().unwrap().to_owned()
    }

    /// Somebody pays an order, and WeChat Pay does not tell.
    pub async fn pay_silently(&self, number: &str) {
        self.sandbox("POST", "/pay", json!({ "outTradeNo": number, "notify": false })).await;
    }

    /// Somebody closes an order on the merchant's platform.
    pub async fn close_at_wechat(&self, number: &str) {
        self.sandbox("POST", "/close", json!({ "outTradeNo": number })).await;
    }

    /// WeChat Pay tells of a payment once more: the status of the answer.
    pub async fn resend(&self, number: &str) -> u64 {
        let sent = self.sandbox("POST", "/notifications/resend", json!({ "outTradeNo": number })).await;
        sent["status"].as_u64().unwrap()
    }

    /// What is in quarantine: event type, reason, and the order's number, if it names one.
    pub async fn quarantine(&self) -> Vec<(String, String, Option<String>)> {
        let rows = self.rows_at("QUARANTINE", "EVENT#").await;
        let text = |row: &Row, name: &str| Some(row.get(name)?.as_s().unwrap().clone());
        let entry =
            |row: &Row| (text(row, "eventType").unwrap(), text(row, "reason").unwrap(), text(row, "outTradeNo"));
        rows.iter().map(entry).collect()
    }
}
