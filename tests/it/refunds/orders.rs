//! Of which orders there are refunds.

use serde_json::json;
use std::time::Duration;
use tests::logs;
use tests::notifications::Notice;
use tests::orders::QUERY;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

#[tokio::test]
async fn an_unknown_order_is_not_found() {
    let (world, _buyer) = World::start_untold().await;
    assert_eq!(world.refund("Nobody0123456789", 100, "return").await, "not_found");
    assert_eq!((world.count_of(REFUND).await, world.count_of(QUERY).await), (0, 0));
}

#[tokio::test]
async fn an_unpaid_order_is_asked_about_and_refused() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    assert_eq!(world.refund(&order, 100, "return").await, "refund_refused");
    assert_eq!((world.count_of(QUERY).await, world.count_of(REFUND).await), (1, 0));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create");
    assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)));
    // The same request is good once the order is paid.
    world.pay_silently(&order).await;
    world.advance(Duration::from_secs(3));
    assert_eq!(world.refund(&order, 100, "return").await, "PROCESSING");
}

#[tokio::test]
async fn an_order_that_is_closed_is_refused_and_stays_so() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.close_at_wechat(&order).await;
    // The first finds that out; the next one asks as well, because a payment may have come after all.
    for _ in 0..2 {
        assert_eq!(world.refund(&order, 100, "return").await, "refund_refused");
    }
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, CLOSED refund");
    assert_eq!((world.count_of(QUERY).await, world.count_of(REFUND).await), (2, 0));
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(200), 0));
}

#[tokio::test]
async fn a_payment_that_nobody_was_told_of_is_found_first() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    assert_eq!(world.refund(&order, 3900, "return").await, "PROCESSING");
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS refund, REFUND refund");
    assert_eq!((world.count_of(QUERY).await, world.count_of(REFUND).await), (1, 1));
    assert_eq!((world.amounts(&order).await, world.open_orders(&buyer).await), ((3900, 0), 0));
}

#[tokio::test]
async fn where_nobody_knows_whether_it_is_paid_nothing_is_held() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    for fault in [
        json!({ "status": 500, "code": "SYSTEM_ERROR", "times": 9 }),
        json!({ "tamper": "signature", "times": 9 }),
        json!({ "tamper": "amount" }),
        json!({ "tamper": "unknownState" }),
        json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 2 }),
    ] {
        world.fault(QUERY, fault.clone()).await;
        assert_eq!(world.refund(&order, 100, "return").await, "wechat_unavailable", "{fault}");
        assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (0, (0, 0)), "{fault}");
        world.advance(Duration::from_secs(3));
    }
    world.sandbox("DELETE", "/faults", json!(null)).await;
    assert_eq!(world.refund(&order, 100, "return").await, "PROCESSING");
}

#[tokio::test]
async fn what_was_paid_after_it_was_closed_is_refunded_like_anything() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    world.alter(&format!("ORDER#{order}"), "ORDER", "tradeState", "CLOSED").await;
    assert_eq!(Notice::of(&world, &order).await.send(&world).await.status, 204);
    assert!(world.order_row(&order).await.paid_after_closed);
    assert_eq!(world.refund(&order, 3900, "return").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 1);
    let story = "NOTPAY create, SUCCESS notify, REFUND refund";
    assert_eq!((world.order_row(&order).await.story().as_str(), world.amounts(&order).await), (story, (3900, 3900)));
}

#[tokio::test]
async fn an_order_of_a_former_merchant_is_misconfigured_and_nobody_is_asked() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 100, "before").await, "PROCESSING");
    world.alter(&format!("ORDER#{order}"), "ORDER", "mchId", "1900000099").await;
    let asked = (world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await);
    for request_id in ["before", "after"] {
        assert_eq!(world.refund(&order, 100, request_id).await, "misconfigured");
    }
    assert_eq!((world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await), asked);
    assert_eq!((world.amounts(&order).await, world.refunds_of(&order).await.len()), ((100, 0), 1));
    let lines = logs::with("a merchant who is configured no more");
    assert!(lines.iter().any(|line| line["function"] == "refund-order"));
}

#[tokio::test]
async fn that_somebody_has_just_asked_in_vain_does_not_make_it_unpaid() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    world.fault(QUERY, json!({ "status": 500, "times": 3 })).await;
    assert_eq!(buyer.status_of(&world, &order).await, "NOTPAY");
    assert_eq!(world.refund(&order, 100, "return").await, "PROCESSING");
}
