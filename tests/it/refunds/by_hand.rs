//! A refund that WeChat Pay refuses because staff has made one on the merchant platform, whose notification
//! was lost.

use serde_json::{Value, json};
use tests::notifications::Notice;
use tests::orders::QUERY;
use tests::refunds::{REFUND, REFUND_QUERY, refund_event};
use tests::world::World;

#[tokio::test]
async fn a_refusal_because_nothing_is_left_finds_the_refund_that_was_made_by_hand() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 3900, json!({})).await;
    let reply = world.invoke("refund-order", &refund_event(&order, 900, "return")).await.json;
    assert_eq!(reply["errorType"], "refund_refused");
    let message = "WeChat Pay refused the refund: INVALID_REQUEST; the order has a refund that was made elsewhere";
    assert_eq!(reply["errorMessage"], message);
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND refund");
    assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)));
    assert_eq!(world.count_of(QUERY).await, 1);
    // There is nothing more to find out.
    let reply = world.invoke("refund-order", &refund_event(&order, 900, "return")).await.json;
    assert_eq!(reply["errorMessage"], "WeChat Pay refused the refund: INVALID_REQUEST");
    assert_eq!(buyer.status_of(&world, &order).await, "REFUND");
    assert_eq!(world.count_of(QUERY).await, 1);
}

#[tokio::test]
async fn a_refund_of_our_own_is_not_said_to_be_made_elsewhere() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    // WeChat Pay has made it, and does not tell.
    world.fault(REFUND, json!({ "drop": "after", "times": 9 })).await;
    world.fault_too(REFUND_QUERY, json!({ "status": 500, "times": 9 })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.fault(REFUND, json!({ "status": 403, "code": "TRADE_ERROR" })).await;
    let reply = world.invoke("refund-order", &refund_event(&order, 3000, "more")).await.json;
    let message = "WeChat Pay refused the refund: TRADE_ERROR; the order has a refund already";
    assert_eq!((&reply["errorType"], &reply["errorMessage"]), (&json!("refund_refused"), &json!(message)));
    assert_eq!((world.order_row(&order).await.state.as_str(), world.amounts(&order).await), ("REFUND", (900, 0)));
}

#[tokio::test]
async fn after_a_refusal_and_a_good_answer_about_the_order_no_other_question_follows_that_day() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "status": 400, "code": "PARAM_ERROR" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "refund_refused");
    assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
    assert_eq!(world.count_of(QUERY).await, 1);
}

#[tokio::test]
async fn every_refusal_of_a_refund_asks_about_its_order_and_none_of_the_merchant_does() {
    let (world, buyer) = World::start_untold().await;
    for (status, code, asks) in [
        (400, "PARAM_ERROR", 1),
        (400, "INVALID_REQUEST", 1),
        (400, "TRADE_OVERDUE", 1),
        (403, "TRADE_ERROR", 1),
        (404, "RESOURCE_NOT_EXISTS", 1),
        (409, "SOMETHING_NEW", 1),
        (401, "SIGN_ERROR", 0),
        (403, "NO_AUTH", 0),
        (403, "RULE_LIMIT", 0),
        (403, "NOT_ENOUGH", 0),
        (429, "FREQUENCY_LIMITED", 0),
    ] {
        let order = world.paid_order(&buyer).await;
        let before = world.count_of(QUERY).await;
        world.fault(REFUND, json!({ "status": status, "code": code })).await;
        world.refund(&order, 900, "return").await;
        assert_eq!(world.count_of(QUERY).await - before, asks, "{code}");
        assert_eq!(world.order_row(&order).await.state, "SUCCESS", "{code}");
    }
}

#[tokio::test]
async fn without_an_answer_about_the_order_the_refusal_is_the_same() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 3900, json!({})).await;
    for fault in [
        json!({ "status": 500, "times": 9 }),
        json!({ "tamper": "signature", "times": 9 }),
        json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 9 }),
    ] {
        world.fault(QUERY, fault.clone()).await;
        assert_eq!(world.refund(&order, 900, "return").await, "refund_refused", "{fault}");
        assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)), "{fault}");
        assert_eq!(world.order_row(&order).await.state, "SUCCESS", "{fault}");
    }
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.refund(&order, 900, "return").await, "refund_refused");
    assert_eq!(world.order_row(&order).await.state, "REFUND");
}

#[tokio::test]
async fn an_order_whose_refund_is_known_is_not_asked_about() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let staff = world.staff_refund(&order, 1000, json!({})).await;
    let told = world.refund_of(&order, &staff, 1000, "SUCCESS").await;
    assert_eq!(Notice::telling_refund(&world, &told).await.send(&world).await.status, 204);
    world.staff_refund(&order, 2900, json!({})).await;
    assert_eq!(world.refund(&order, 2900, "rest").await, "refund_refused");
    assert_eq!((world.count_of(QUERY).await, world.amounts(&order).await), (0, (1000, 1000)));
}
