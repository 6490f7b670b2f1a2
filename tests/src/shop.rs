//! A shop: products, and the events of those who buy them and of WeChat Pay.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo_order::DEMO_PAID_ORDER;
use local::functions::Instance;
use local::sample;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::http::Reply;
use crate::root;
use crate::world::{World, reply};

/// Where WeChat Pay is told of an order.
pub const PREPAY: &str = "/v3/pay/transactions/jsapi";
/// Where it is asked about one.
pub const QUERY: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}";

impl World {
    /// Puts a product into the table, or changes what is there.
    pub async fn put_product(&self, sku: &str, price_fen: u64, stock: Option<u64>) {
        let text = |text: String| AttributeValue::S(text);
        let number = |number: u64| AttributeValue::N(number.to_string());
        let mut row = HashMap::from([
            ("pk".to_owned(), text(format!("PRODUCT#{sku}"))),
            ("sk".to_owned(), text("PRODUCT".to_owned())),
            ("sku".to_owned(), text(sku.to_owned())),
            ("name".to_owned(), text(format!("商品 {sku}"))),
            ("priceFen".to_owned(), number(price_fen)),
        ]);
        row.extend(stock.map(|stock| ("stock".to_owned(), number(stock))));
        let table = self.table();
        table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
    }

    /// The orders that WeChat Pay knows, but for that of the demo user.
    pub async fn orders_at_wechat_pay(&self) -> Vec<Value> {
        let orders = self.sandbox("GET", "/orders", Value::Null).await;
        let orders = orders["orders"].as_array().unwrap().iter();
        orders.filter(|order| order["outTradeNo"] != DEMO_PAID_ORDER).cloned().collect()
    }

    /// A notification that WeChat Pay has signed, as an event of `pay-notify`.
    pub async fn notification(&self, wish: Value) -> Vec<u8> {
        let notification = self.sandbox("POST", "/notifications/forge", wish).await;
        let mut event = event("pay-notify", notification["body"].as_str().unwrap());
        for (name, value) in notification["headers"].as_object().unwrap() {
            event["headers"][name.to_lowercase()] = value.clone();
        }
        event.to_string().into_bytes()
    }

    /// What an instance replies to an event.
    pub async fn reply_of(&self, instance: &Instance, event: Vec<u8>) -> Reply {
        reply(&instance.invoke(event, self.now()).await.expect("a reply"))
    }
}

impl Caller {
    /// An order, as an event of `create-order`.
    pub fn order_event(&self, key: &str, items: &[(&str, u64)]) -> Vec<u8> {
        let items = items.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }));
        let mut event = event("create-order", &json!({ "items": Value::from_iter(items) }).to_string());
        event["headers"]["authorization"] = format!("Bearer {}", self.token).into();
        event["headers"]["idempotency-key"] = key.into();
        event.to_string().into_bytes()
    }

    /// A question about an order, as an event of `query-order`.
    pub fn query_event(&self, out_trade_no: &str) -> Vec<u8> {
        let mut event = event("query-order", &json!({ "outTradeNo": out_trade_no }).to_string());
        event["headers"]["authorization"] = format!("Bearer {}", self.token).into();
        event.to_string().into_bytes()
    }
}

/// An event of any function's, with nobody's session.
pub(crate) fn event(function: &str, body: &str) -> Value {
    let path = format!("/{function}");
    let mut event = sample::read(&root(), "user-info", "valid").unwrap();
    event["headers"].as_object_mut().unwrap().remove("authorization");
    event["headers"]["content-length"] = body.len().to_string().into();
    event["routeKey"] = format!("POST {path}").into();
    event["requestContext"]["routeKey"] = format!("POST {path}").into();
    event["requestContext"]["http"]["path"] = path.as_str().into();
    event["rawPath"] = path.into();
    event["body"] = body.into();
    event
}
