//! How refunds end: closed ones give their amount back, abnormal ones hold it, and what is missing is topped up.

use serde_json::json;
use tests::logs;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

#[tokio::test]
async fn a_closed_refund_gives_its_amount_back_and_needs_a_new_request() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "CLOSED" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 3900, "first").await, "PROCESSING");
    assert_eq!(world.amounts(&order).await, (3900, 0));
    assert_eq!(world.sweep_all().await["healed"], 1);
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund, PROCESSING refund, CLOSED sweep", false));
    assert_eq!(world.amounts(&order).await, (0, 0));
    // The same request is that refund, which has ended.
    let asked = (world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await);
    assert_eq!(world.refund(&order, 3900, "first").await, "CLOSED");
    assert_eq!((world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await), asked);
    world.refunds_become(json!({})).await;
    assert_eq!(world.refund(&order, 3900, "second").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 1);
    assert_eq!(world.amounts(&order).await, (3900, 3900));
    // There was a refund, whatever became of it.
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND refund");
}

#[tokio::test]
async fn an_abnormal_refund_holds_its_amount_and_calls_somebody_each_time() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "ABNORMAL" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 3000, "return").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    assert_eq!(logs::count_of("RefundAbnormal", &number), 0);
    // Told, asked about by a sweep, and by a repeat.
    assert_eq!(world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": number })).await["status"], 204);
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 0 }));
    assert_eq!(world.refund(&order, 3000, "return").await, "ABNORMAL");
    assert_eq!(logs::count_of("RefundAbnormal", &number), 3);
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund, PROCESSING refund, ABNORMAL notify", true));
    assert_eq!(
        (world.amounts(&order).await, world.refund(&order, 901, "more").await),
        ((3000, 0), "refund_exceeds_paid".to_owned())
    );
    // A person has helped it on.
    world.settle_silently(&number, "SUCCESS").await;
    assert_eq!(world.sweep_all().await["healed"], 1);
    let row = world.refund_row(&order).await;
    assert_eq!((row.state.as_str(), row.is_swept, world.amounts(&order).await), ("SUCCESS", false, (3000, 3000)));
    assert_eq!(logs::count_of("RefundAbnormal", &number), 3);
}

#[tokio::test]
async fn an_abnormal_refund_that_is_closed_gives_its_amount_back() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "ABNORMAL" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 3000, "return").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 0);
    assert_eq!(world.amounts(&order).await, (3000, 0));
    world.settle_silently(&world.refund_row(&order).await.number, "CLOSED").await;
    assert_eq!(world.refund(&order, 3000, "return").await, "CLOSED");
    assert_eq!(world.amounts(&order).await, (0, 0));
}

#[tokio::test]
async fn what_the_merchant_has_not_is_held_until_there_is_enough() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "balanceFen": 2999 })).await;
    let order = world.paid_order(&buyer).await;
    let input = json!({ "outTradeNo": order, "refundFen": 3000, "requestId": "return" });
    for _ in 0..2 {
        let reply = world.invoke("refund-order", &input).await.json;
        assert_eq!(reply["errorType"], "misconfigured");
        let message = reply["errorMessage"].as_str().unwrap();
        assert!(message.contains("balance") && message.contains("requestId"), "{message}");
    }
    let number = world.refund_row(&order).await.number;
    assert_eq!((world.refund_row(&order).await.state.as_str(), world.amounts(&order).await), ("RESERVED", (3000, 0)));
    assert_eq!(world.refund(&order, 901, "another").await, "refund_exceeds_paid");
    // Another refund that there is enough for goes first.
    assert_eq!(world.refund(&order, 900, "small").await, "PROCESSING");
    // Nobody asks for it but who decides about it.
    let asked = world.count_of(REFUND).await;
    assert_eq!(world.sweep_all().await["failures"], 0);
    assert_eq!(world.count_of(REFUND).await, asked);
    world.refunds_become(json!({ "balanceFen": 3000 })).await;
    assert_eq!(world.refund(&order, 3000, "return").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 1);
    assert_eq!(world.amounts(&order).await, (3900, 3900));
    assert!(world.refunds_of(&order).await.iter().any(|row| row.number == number && row.state == "SUCCESS"));
}

#[tokio::test]
async fn nothing_is_given_back_twice() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "CLOSED" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 1000, "closed").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    assert_eq!(world.refund(&order, 2000, "under-way").await, "PROCESSING");
    for _ in 0..3 {
        let told = world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": number })).await;
        assert_eq!(told["status"], 204);
        assert_eq!(world.refund(&order, 1000, "closed").await, "CLOSED");
        world.sweep_all().await;
    }
    assert_eq!(world.amounts(&order).await, (2000, 0));
}
