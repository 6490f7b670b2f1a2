//! The sandbox's refunds: how they are made, what becomes of them, and how the merchant is told.

mod made;
mod refused;
mod told;

use serde_json::{Value, json};
use tests::http::{Client, Reply};
use tests::merchant::Message;
use tests::sandbox_shop::Shop;

const REFUNDS: &str = "/v3/refund/domestic/refunds";
const REFUND_ROUTE: &str = "/v3/refund/domestic/refunds/{out_refund_no}";
const ORDER: &str = "order-000001";

/// A shop with an order of 100 fen that is paid, and whose payment the merchant has been told of.
async fn paid_shop() -> Shop {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    shop.pay(ORDER).await;
    shop.inbox.wait_for(1).await;
    shop
}

/// The request for a refund.
fn wish(shop: &Shop, number: &str, fen: u64) -> Value {
    json!({
        "out_trade_no": ORDER,
        "out_refund_no": number,
        "reason": "退货",
        "notify_url": shop.inbox.url,
        "amount": { "refund": fen, "total": 100, "currency": "CNY" },
    })
}

async fn ask(shop: &Shop, wish: &Value) -> Message {
    shop.merchant.call(&shop.world, "POST", REFUNDS, &wish.to_string()).await
}

async fn refund(shop: &Shop, number: &str, fen: u64) -> Message {
    ask(shop, &wish(shop, number, fen)).await
}

async fn query(shop: &Shop, number: &str) -> Message {
    shop.merchant.call(&shop.world, "GET", &format!("{REFUNDS}/{number}"), "").await
}

async fn set(shop: &Shop, settings: Value) {
    shop.world.sandbox("PUT", "/refunds", settings).await;
}

async fn settle(shop: &Shop, number: &str, status: &str) -> Value {
    shop.world.sandbox("POST", "/refunds/settle", json!({ "outRefundNo": number, "status": status })).await
}

async fn order(shop: &Shop) -> Value {
    shop.world.sandbox("GET", &format!("/orders/{ORDER}"), Value::Null).await
}

/// A control that may refuse.
async fn control(shop: &Shop, path: &str, body: &Value) -> Reply {
    let url = format!("{}/sandbox{path}", shop.world.machine.sandbox_url().unwrap());
    Client::default().post(&url, &[], body).await
}

fn invalid() -> (u16, String) {
    (400, "INVALID_REQUEST".to_owned())
}
