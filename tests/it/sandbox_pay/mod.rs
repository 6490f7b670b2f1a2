//! The sandbox is WeChat Pay: orders, queries, closing, and what it refuses.

mod faults;
mod fields;
mod orders;
mod signatures;

use serde_json::{Value, json};
use tests::apps::MINI_PROGRAM;
use tests::merchant::{Merchant, Message};
use tests::world::World;

const JSAPI: &str = "/v3/pay/transactions/jsapi";
const NUMBER: &str = "order-000001";

fn by_number(number: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{number}?mchid=1900000001")
}

fn close(number: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{number}/close")
}

/// An order of the demo user's, as small as it can be.
fn order() -> Value {
    json!({
        "appid": MINI_PROGRAM,
        "mchid": "1900000001",
        "description": "商品",
        "out_trade_no": NUMBER,
        "notify_url": "http://127.0.0.1:1/pay-notify",
        "amount": { "total": 100, "currency": "CNY" },
        "payer": { "openid": "oDemoUserOfTheLocalMachine_0" },
    })
}

/// The order with another value at a JSON pointer, or without it.
fn with(pointer: &str, value: Option<Value>) -> String {
    let (mut order, (parent, name)) = (order(), pointer.rsplit_once('/').unwrap());
    let parent = order.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    order.to_string()
}

/// A world with its merchant.
async fn world() -> (World, Merchant) {
    let world = World::start().await;
    let merchant = Merchant::of(&world);
    (world, merchant)
}

async fn prepay(world: &World, merchant: &Merchant, body: &str) -> Message {
    merchant.call(world, "POST", JSAPI, body).await
}
