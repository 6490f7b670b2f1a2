//! When an order and a refund are asked about.

use std::time::Duration;

use serde_json::{Value, json};
use tests::orders::QUERY;
use tests::refunds::REFUND_QUERY;
use tests::world::World;

/// The minutes after the beginning at which a sweep, one every minute, asks; and all that it takes it asks about.
async fn asked(world: &World, path: &str, minutes: u64) -> Vec<u64> {
    let mut times = Vec::new();
    for minute in 1..=minutes {
        world.advance(Duration::from_secs(60));
        let before = world.count_of(path).await;
        let swept = world.sweep_due().await;
        let count = world.count_of(path).await - before;
        assert_eq!(swept["checked"], count, "minute {minute}: {swept}");
        times.extend((count > 0).then_some(minute));
    }
    times
}

#[tokio::test]
async fn an_order_is_asked_about_by_the_documented_schedule() {
    let world = World::start_with([("ORDER_TTL_SECS", "7000")]).await;
    let buyer = world.untold().await;
    buyer.buy(&world, "demo-mug").await;
    assert_eq!(world.sweep_due().await["checked"], 0, "not before a minute");
    assert_eq!(asked(&world, QUERY, 60).await, [1, 3, 5, 10, 30, 60]);
    assert_eq!(world.count_of(QUERY).await, 6);
}

#[tokio::test]
async fn a_refund_is_asked_about_every_minute_and_later_more_rarely() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 100, "return").await, "PROCESSING");
    assert_eq!(world.sweep_due().await["checked"], 0, "not before a minute");
    assert_eq!(asked(&world, REFUND_QUERY, 45).await, [1, 2, 3, 4, 5, 10, 20, 40]);
}

#[tokio::test]
async fn who_says_how_old_gets_all_that_are_so_old_whatever_the_schedule_says() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let paid = world.paid_order(&buyer).await;
    buyer.buy(&world, "demo-mug").await;
    world.advance(Duration::from_secs(30));
    buyer.buy(&world, "demo-mug").await;
    let sweep = async |secs: Value| world.direct("order-sweeper", &json!({ "minAgeSecs": secs })).await;
    for (secs, checked) in [(json!(31), 0), (json!(30), 1), (json!(0), 2), (json!(0), 2), (Value::Null, 0)] {
        assert_eq!(sweep(secs.clone()).await.unwrap()["checked"], checked, "{secs}");
    }
    // No age is asked of refunds.
    assert_eq!(world.refund(&paid, 100, "return").await, "PROCESSING");
    assert_eq!(sweep(json!(1_000_000)).await.unwrap()["checked"], 1);
    assert_eq!(sweep(json!(u64::MAX)).await.unwrap()["checked"], 1);
    for secs in [json!(-1), json!(0.5), json!("60"), json!([60])] {
        assert_eq!(sweep(secs.clone()).await, Err("invalid_request".to_owned()), "{secs}");
    }
    for input in [json!({ "minAge": 1 }), json!([]), json!("x"), json!({ "outTradeNo": paid })] {
        assert_eq!(world.direct("order-sweeper", &input).await, Err("invalid_request".to_owned()), "{input}");
    }
}

#[tokio::test]
async fn what_eventbridge_sends_is_a_sweep_of_what_is_due() {
    let (world, buyer) = World::start_untold().await;
    buyer.buy(&world, "demo-mug").await;
    let event = json!({ "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {} });
    assert_eq!(world.direct("order-sweeper", &event).await.unwrap()["checked"], 0);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.direct("order-sweeper", &event).await.unwrap()["checked"], 1);
}

#[tokio::test]
async fn a_question_of_the_buyer_s_is_none_of_the_sweep_s() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.advance(Duration::from_secs(60));
    assert_eq!(buyer.status_of(&world, &order).await, "NOTPAY");
    assert_eq!(world.sweep_due().await["checked"], 1);
    // Nor is it the buyer's who was just asked for.
    let before = world.count_of(QUERY).await;
    assert_eq!(buyer.status_of(&world, &order).await, "NOTPAY");
    assert_eq!(world.count_of(QUERY).await, before);
}
