//! The phone of the sandbox takes what a mini program gives it.

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::MINI_PROGRAM;
use tests::merchant::payment_message;
use tests::orders::cart;
use tests::sandbox_shop::Shop;
use tests::world::World;

#[tokio::test]
async fn it_takes_no_time_that_is_far_away() {
    let shop = Shop::open([]).await;
    let prepay_id = shop.order("order-000001").await;
    let now = Timestamp::from(shop.world.now()).as_secs();
    for (time, is_taken) in [
        ((now - 86_401).to_string(), false),
        ((now + 86_401).to_string(), false),
        (format!("+{now}"), false),
        (format!("{now}.0"), false),
        (String::new(), false),
        ((now - 86_400).to_string(), true),
    ] {
        let package = format!("prepay_id={prepay_id}");
        let signature = shop.merchant.sign(&payment_message(MINI_PROGRAM, &time, "nonce", &package));
        let payment = json!({
            "timeStamp": time, "nonceStr": "nonce", "package": package, "signType": "RSA", "paySign": signature,
        });
        let expected = if is_taken { "requestPayment:ok" } else { "requestPayment:fail parameter error: timeStamp" };
        assert_eq!(shop.request(json!({ "payment": payment })).await, expected, "{time}");
    }
}

#[tokio::test]
async fn prepay_ids_expire_by_the_sandboxs_clock() {
    let shop = Shop::open([]).await;
    let prepay_id = shop.order("order-000001").await;
    let payment = shop.payment(&prepay_id);
    shop.world.sandbox("POST", "/clock", json!({ "advanceSecs": 7200 })).await;
    let refused = shop.request(json!({ "payment": payment })).await;
    assert_eq!(refused, "requestPayment:fail 支付验证签名失败: prepay_id无效或已过期");
}

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
