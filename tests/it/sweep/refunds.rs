//! Refunds that are under way are asked about until they end.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::logs;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

#[tokio::test]
async fn refunds_and_orders_are_counted_together() {
    let (world, buyer) = World::start_untold().await;
    let [unpaid, untold] = [buyer.buy(&world, "demo-mug").await, buyer.buy(&world, "demo-mug").await];
    world.pay_silently(&untold).await;
    let mut refunded = Vec::new();
    for status in ["SUCCESS", "CLOSED", "ABNORMAL", "PROCESSING"] {
        let order = world.paid_order(&buyer).await;
        world.refunds_become(json!({ "outcome": status })).await;
        assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING", "{status}");
        refunded.push((order, status));
    }
    world.advance(Duration::from_secs(1800));
    assert_eq!(world.sweep_due().await, json!({ "checked": 6, "healed": 3, "closed": 1, "failures": 0 }));
    for (order, status) in &refunded {
        assert_eq!(world.refund_row(order).await.state, *status);
    }
    assert_eq!(world.order_row(&unpaid).await.state, "CLOSED");
    assert_eq!(world.order_row(&untold).await.state, "SUCCESS");
    world.advance(Duration::from_secs(3600));
    assert_eq!(world.sweep_due().await, json!({ "checked": 2, "healed": 0, "closed": 0, "failures": 0 }));
    assert_eq!(world.count_of(REFUND).await, 4, "a sweep asks for none");
}

#[tokio::test]
async fn an_abnormal_refund_calls_somebody_whenever_it_is_asked_about() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "ABNORMAL" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    for told in 1..=3 {
        world.advance(Duration::from_secs(3600));
        assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 0 }));
        assert_eq!(logs::count_of("RefundAbnormal", &number), told);
    }
    // It has an alarm of its own, however long it lasts.
    world.advance(Duration::from_secs(6 * DAY));
    assert_eq!(world.sweep_due().await["failures"], 0);
    assert_eq!((logs::count_of("RefundAbnormal", &number), logs::count_of("Stuck", &number)), (4, 0));
    assert_eq!(world.refund_row(&order).await.story, "RESERVED refund, PROCESSING refund, ABNORMAL sweep");
    assert_eq!(world.amounts(&order).await, (900, 0));
}

#[tokio::test]
async fn a_refund_that_is_processing_for_five_days_raises_an_alarm_once_a_turn() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    let open = json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 0 });
    for (passed, stuck) in [(HOUR, 0), (4 * DAY, 0), (DAY - HOUR - 1, 0), (HOUR, 1), (HOUR, 2)] {
        world.advance(Duration::from_secs(passed));
        assert_eq!(world.sweep_due().await, open, "{passed}");
        assert_eq!(logs::count_of("Stuck", &number), stuck, "{passed}");
        // Until its next turn it is not said again.
        assert_eq!(world.sweep_due().await["checked"], 0, "{passed}");
    }
    world.settle_silently(&number, "SUCCESS").await;
    world.advance(Duration::from_secs(HOUR));
    assert_eq!(world.sweep_due().await["healed"], 1);
    assert_eq!(logs::count_of("Stuck", &number), 2);
}

#[tokio::test]
async fn the_days_of_a_refund_are_counted_from_when_it_was_last_asked_for() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    // The merchant's balance is topped up six days later.
    world.fault(REFUND, json!({ "status": 403, "code": "NOT_ENOUGH" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "misconfigured");
    world.advance(Duration::from_secs(6 * DAY));
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    assert_eq!(world.sweep_due().await["checked"], 1);
    assert_eq!(logs::count_of("Stuck", &number), 0);
    world.advance(Duration::from_secs(5 * DAY));
    assert_eq!(world.sweep_due().await["checked"], 1);
    assert_eq!(logs::count_of("Stuck", &number), 1);
}

#[tokio::test]
async fn a_refund_that_fails_stands_in_nobodys_way() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let buyer = world.untold().await;
    let order = world.paid_order(&buyer).await;
    // Of one order, so of one shard.
    for at in 0..5 {
        assert_eq!(world.refund(&order, 100, &format!("return-{at}")).await, "PROCESSING");
    }
    let rows = world.refunds_of(&order).await;
    let failing = &rows[0].number;
    proxy.refuse(Some(failing));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 5, "healed": 4, "closed": 0, "failures": 1 }));
    assert_eq!(world.amounts(&order).await, (500, 400));
    proxy.refuse(None);
    assert_eq!(world.sweep_due().await["checked"], 0);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await["healed"], 1);
    assert_eq!(world.amounts(&order).await, (500, 500));
}

#[tokio::test]
async fn that_it_is_asked_too_often_ends_the_run() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    for at in 0..5 {
        assert_eq!(world.refund(&order, 100, &format!("return-{at}")).await, "PROCESSING");
    }
    world.advance(Duration::from_secs(60));
    world.fault(REFUND_QUERY, json!({ "status": 429, "code": "FREQUENCY_LIMITED", "times": 99 })).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }));
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 4, "healed": 4, "closed": 0, "failures": 0 }));
}

#[tokio::test]
async fn of_sweeps_at_once_one_asks_about_each_refund() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    for at in 0..20 {
        assert_eq!(world.refund(&order, 195, &format!("return-{at}")).await, "PROCESSING");
    }
    world.advance(Duration::from_secs(60));
    let swept = join_all((0..4).map(|_| world.sweep_due())).await;
    let sum = |count: &str| swept.iter().map(|swept| swept[count].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("checked"), sum("healed"), sum("failures")), (20, 20, 0), "{swept:?}");
    assert_eq!((world.count_of(REFUND_QUERY).await, world.amounts(&order).await), (20, (3900, 3900)));
}
