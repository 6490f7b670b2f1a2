//! What one answer leaves open, and where a refund is the first that anybody hears.

use std::time::Duration;

use serde_json::{Value, json};
use tests::logs;
use tests::orders::QUERY;
use tests::refund_rows::RefundRow;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

#[tokio::test]
async fn an_order_that_was_closed_here_and_paid_all_the_same_is_refunded() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    // As if it had been closed on the word of somebody who was wrong.
    world.alter(&format!("ORDER#{order}"), "ORDER", "tradeState", "CLOSED").await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS refund, REFUND refund");
    assert_eq!(logs::count_of("PaidAfterClosed", &order), 1);
}

#[tokio::test]
async fn a_merchant_who_is_refused_whatever_it_asks_is_told_why_and_nothing_is_lost() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    for (status, code, told) in [(401, "SIGN_ERROR", "misconfigured"), (403, "NO_AUTH", "misconfigured")] {
        let order = world.paid_order(&buyer).await;
        for path in [REFUND, REFUND_QUERY] {
            world.fault_too(path, json!({ "status": status, "code": code, "times": 9 })).await;
        }
        assert_eq!(world.refund(&order, 900, "return").await, told, "{code}");
        assert_eq!(world.amounts(&order).await, (900, 0), "{code}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING", "{code}");
        assert_eq!(world.refunds_at_wechat(&order).await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_refusal_while_an_earlier_request_is_on_its_way_is_looked_at_twice() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    // The first request arrives, and WeChat Pay does not know it yet.
    let unknown = json!({ "status": 404, "code": "RESOURCE_NOT_EXISTS", "times": 2 });
    world.fault(REFUND, json!({ "drop": "after", "times": 1 })).await;
    world.fault_too(REFUND, json!({ "status": 400, "code": "INVALID_REQUEST", "times": 1 })).await;
    world.fault_too(REFUND_QUERY, unknown).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!(world.amounts(&order).await, (900, 0));
    assert_eq!(world.refunds_at_wechat(&order).await.len(), 1);
    assert_eq!(world.count_of(REFUND_QUERY).await, 3);
}

#[tokio::test]
async fn what_wechat_pay_does_not_know_is_held_until_somebody_asks_again_and_somebody_is_called() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING", "balanceFen": 0 })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "misconfigured");
    let RefundRow { number, .. } = world.refund_row(&order).await;
    for (minutes, failures, stuck) in [(30, 0, 0), (30, 1, 1), (7 * 24 * 60, 1, 2)] {
        world.advance(Duration::from_secs(minutes * 60));
        assert_eq!(world.sweep_all().await["failures"], failures, "{minutes}");
        assert_eq!(logs::with(&number).iter().filter(|line| line["message"] == "stuck").count(), stuck);
        assert_eq!(world.amounts(&order).await, (900, 0));
    }
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!(world.refund_row(&order).await.number, number);
}

#[tokio::test]
async fn what_got_no_answer_does_not_wait_for_its_regular_time() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.advance(Duration::from_secs(10 * 60));
    world.pay_silently(&order).await;
    world.fault(QUERY, json!({ "status": 500, "times": 3 })).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }));
    assert_eq!(world.sweep_due().await["checked"], 0);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
}
