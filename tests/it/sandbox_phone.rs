//! The phone of the sandbox takes what a mini program gives it.

use serde_json::{Value, json};
use tests::orders::cart;
use tests::world::World;

#[tokio::test]
async fn it_takes_the_whole_reply_of_create_order() {
    let world = World::start().await;
    let caller = world.caller().await;
    let order = caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    let paid = world.sandbox("POST", "/requestPayment", order.clone()).await;
    assert_eq!(paid, json!({ "errMsg": "requestPayment:ok" }));
    let number = order["outTradeNo"].as_str().unwrap();
    let order = world.sandbox("GET", &format!("/orders/{number}"), Value::Null).await;
    assert_eq!((&order["state"], &order["timesPaid"]), (&json!("SUCCESS"), &json!(1)));
}
