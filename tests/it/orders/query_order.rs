//! `query-order`: whose orders, and when WeChat Pay is asked about them.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::OFFICIAL_ACCOUNT;
use tests::orders::{QUERY, cart, number};
use tests::world::World;

/// WeChat Pay is asked about an order at most once in this time.
const INTERVAL: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_unpaid_order_is_told_as_it_was_made() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = number(&caller.order(&world, "key", &cart(&[("demo-mug", 2)])).await);
    let reply = caller.query_order(&world, &number).await;
    let expected = json!({
        "outTradeNo": number, "status": "NOTPAY", "totalFen": 7800, "refundedFen": 0,
        "transactionId": null, "paidAt": null,
    });
    assert_eq!((reply.status, reply.json), (200, expected));
}

#[tokio::test]
async fn only_ones_own_orders_are_found() {
    let world = World::start().await;
    let (caller, other) = (world.caller().await, world.caller().await);
    let number = caller.buy(&world, "demo-sticker").await;
    let not_found = json!({ "code": "not_found", "message": "there is no such thing" });
    for unknown in [number.to_lowercase(), "A".repeat(32), "A".repeat(6)] {
        assert_eq!(caller.query_order(&world, &unknown).await.without_id(), (404, not_found.clone()), "{unknown}");
    }
    // Somebody else's looks as if it were not there, and nobody is asked about it.
    assert_eq!(other.query_order(&world, &number).await.without_id(), (404, not_found));
    assert_eq!(world.count_of(QUERY).await, 0);
    let reply = world.call("query-order", None, json!({ "outTradeNo": number })).await;
    assert_eq!((reply.status, reply.code()), (401, "session_invalid"));
    // A user may look from another app.
    let elsewhere = world.log_in(&caller.person, &caller.app_id).await;
    assert_eq!(elsewhere.status_of(&world, &number).await, "NOTPAY");
    let stranger = world.log_in(&caller.person, OFFICIAL_ACCOUNT).await;
    assert_eq!(stranger.query_order(&world, &number).await.code(), "not_found");
}

#[tokio::test]
async fn a_request_that_has_not_the_form_of_one_names_the_field() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (body, field) in [
        (json!({}), "outTradeNo"),
        (json!({ "outTradeNo": null }), "outTradeNo"),
        (json!({ "outTradeNo": 7 }), "outTradeNo"),
        (json!({ "outTradeNo": "" }), "outTradeNo"),
        (json!({ "outTradeNo": "short" }), "outTradeNo"),
        (json!({ "outTradeNo": "x".repeat(33) }), "outTradeNo"),
        (json!({ "outTradeNo": "../../refunds" }), "outTradeNo"),
        (json!({ "outTradeNo": "abcdef?mchid=1" }), "outTradeNo"),
        (json!({ "outTradeNo": "abcdef\r\n" }), "outTradeNo"),
        (json!({ "outTradeNo": "订单订单订单" }), "outTradeNo"),
        (json!({ "outTradeNo": "abcdef", "openid": "o" }), "openid"),
        (json!(["abcdef"]), "object"),
    ] {
        let reply = caller.call(&world, "query-order", body.clone()).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid_request"), "{body}");
        assert!(reply.json["message"].as_str().unwrap().contains(field), "{body}: {:?}", reply.json);
    }
}

#[tokio::test]
async fn a_payment_that_nobody_told_of_is_found_by_asking() {
    let world = World::start().await;
    let caller = world.caller().await;
    let order = caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    let number = number(&order);
    world.sandbox("PUT", "/notifications", json!({ "enabled": false })).await;
    assert_eq!(world.request_payment(&order["payment"]).await, "requestPayment:ok");
    let paid_at = Timestamp::from(world.now()).to_rfc3339_china();
    world.advance(Duration::from_secs(100));
    let reply = caller.query_order(&world, &number).await.json;
    let transaction_id = world.order_at_wechat(&number).await["transactionId"].take();
    let expected = json!({
        "outTradeNo": number, "status": "SUCCESS", "totalFen": 3900, "refundedFen": 0,
        "transactionId": transaction_id, "paidAt": paid_at,
    });
    assert_eq!(reply, expected);
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS query");
    assert_eq!((world.open_orders(&caller).await, world.stock("demo-mug").await), (0, Some(199)));
    // A notification that comes after all changes nothing, and what is paid is not asked about.
    world.advance(INTERVAL);
    assert_eq!(world.resend(&number).await, 204);
    assert_eq!(caller.query_order(&world, &number).await.json, expected);
    assert_eq!((world.count_of(QUERY).await, world.open_orders(&caller).await), (1, 0));
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS query");
}

#[tokio::test]
async fn a_coupon_that_pays_a_part_makes_it_no_less_paid() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (at, pays) in [0, 1, 3899].into_iter().enumerate() {
        let order = caller.order(&world, &at.to_string(), &cart(&[("demo-mug", 1)])).await;
        let wish = json!({ "outTradeNo": order["outTradeNo"], "payerTotal": pays, "notify": false });
        world.sandbox("POST", "/pay", wish).await;
        assert_eq!(caller.status_of(&world, &number(&order)).await, "SUCCESS", "{pays}");
    }
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn of_twenty_that_ask_at_once_one_asks_wechat_pay() {
    let world = World::start().await;
    let caller = world.caller().await;
    let (number, other) = (caller.buy(&world, "demo-sticker").await, caller.buy(&world, "demo-sticker").await);
    for round in 1..4 {
        let replies = join_all((0..20).map(|_| caller.status_of(&world, &number))).await;
        assert!(replies.iter().all(|status| status == "NOTPAY"));
        assert_eq!(world.count_of(QUERY).await, round);
        world.advance(INTERVAL - Duration::from_secs(1));
        caller.status_of(&world, &number).await;
        assert_eq!(world.count_of(QUERY).await, round, "too early");
        world.advance(Duration::from_secs(1));
    }
    // For each order.
    caller.status_of(&world, &other).await;
    assert_eq!(world.count_of(QUERY).await, 4);
}

#[tokio::test]
async fn a_close_is_found_by_asking() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = number(&caller.order(&world, "key", &cart(&[("demo-mug", 2)])).await);
    world.close_at_wechat(&number).await;
    let reply = caller.query_order(&world, &number).await.json;
    assert_eq!(
        (&reply["status"], &reply["transactionId"], &reply["paidAt"]),
        (&json!("CLOSED"), &Value::Null, &Value::Null)
    );
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, CLOSED query");
    assert_eq!((world.open_orders(&caller).await, world.stock("demo-mug").await), (0, Some(200)));
}

#[tokio::test]
async fn an_order_past_its_time_stays_notpay_until_wechat_pay_says_otherwise() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    world.advance(Duration::from_secs(6 * 86_400));
    assert_eq!(caller.status_of(&world, &number).await, "NOTPAY");
    // WeChat Pay itself closes after seven days. The session has ended by then.
    world.advance(Duration::from_secs(86_400));
    let again = world.log_in(&caller.person, &caller.app_id).await;
    assert_eq!(again.status_of(&world, &number).await, "CLOSED");
    assert_eq!(world.stock("demo-mug").await, Some(200));
}

#[tokio::test]
async fn an_order_that_wechat_pay_does_not_know_stays_as_it_is() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    for code in ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"] {
        world.fault(QUERY, json!({ "status": 404, "code": code, "times": 9 })).await;
        assert_eq!(caller.status_of(&world, &number).await, "NOTPAY", "{code}");
        world.advance(INTERVAL);
    }
    // Nothing final follows from one answer that is not signed.
    world.fault(QUERY, json!({ "status": 404, "code": "ORDER_NOT_EXIST" })).await;
    world.pay_silently(&number).await;
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
}
