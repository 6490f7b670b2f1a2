//! `query-order` of orders that are paid: a refund that staff made on the merchant platform, and
//! whose notification was lost.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::orders::QUERY;
use tests::refunds::REFUND;
use tests::world::World;

/// WeChat Pay is asked about a paid order at most once in this time.
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_refund_by_hand_whose_notification_is_lost_is_found_a_day_later() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 1000, json!({})).await;
    world.advance(DAY - SECOND);
    assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
    assert_eq!(world.count_of(QUERY).await, 0, "too early");
    world.advance(SECOND);
    let reply = buyer.query_order(&world, &order).await.json;
    // How much it was, no query of an order tells.
    assert_eq!((&reply["status"], &reply["refundedFen"]), (&json!("REFUND"), &json!(0)));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND query");
    assert_eq!((world.amounts(&order).await, world.quarantine().await), ((0, 0), vec![]));
    // There is nothing more to find out.
    world.advance(DAY);
    assert_eq!(buyer.status_of(&world, &order).await, "REFUND");
    assert_eq!(world.count_of(QUERY).await, 1);
}

#[tokio::test]
async fn a_question_about_a_paid_order_that_gets_no_answer_is_asked_again_after_an_hour() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 3900, json!({})).await;
    world.advance(DAY);
    for _ in 0..2 {
        world.fault(QUERY, json!({ "status": 500, "code": "SYSTEM_ERROR", "times": 9 })).await;
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        let asked = world.count_of(QUERY).await;
        world.advance(HOUR - SECOND);
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
        assert_eq!(world.count_of(QUERY).await, asked, "too early");
        world.advance(SECOND);
    }
    assert_eq!(buyer.status_of(&world, &order).await, "REFUND");
}

#[tokio::test]
async fn a_paid_order_is_asked_about_until_wechat_pay_refunds_no_more() {
    for (days, asks) in [(396, 1), (397, 0)] {
        let (world, buyer) = World::start_untold().await;
        let order = world.paid_order(&buyer).await;
        world.advance(DAY * days);
        // The session has ended long ago.
        let buyer = world.log_in(&buyer.person, &buyer.app_id).await;
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS", "{days}");
        assert_eq!(world.count_of(QUERY).await, asks, "{days}");
    }
}

#[tokio::test]
async fn of_twenty_that_ask_for_a_paid_order_one_a_day_asks_wechat_pay() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    for day in 1..4 {
        world.advance(DAY - SECOND);
        buyer.status_of(&world, &order).await;
        assert_eq!(world.count_of(QUERY).await, day - 1, "too early");
        world.advance(SECOND);
        let replies = join_all((0..20).map(|_| buyer.status_of(&world, &order))).await;
        assert!(replies.iter().all(|status| status == "SUCCESS"));
        assert_eq!(world.count_of(QUERY).await, day);
    }
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify");
}

#[tokio::test]
async fn what_is_not_signed_or_does_not_match_leaves_a_paid_order_as_it_is() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 3900, json!({})).await;
    for (at, fault) in [
        json!({ "status": 500, "code": "SYSTEM_ERROR", "times": 9 }),
        json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 9 }),
        json!({ "tamper": "signature", "times": 9 }),
        json!({ "tamper": "amount" }),
        json!({ "tamper": "unknownState" }),
    ]
    .into_iter()
    .enumerate()
    {
        world.advance(DAY);
        let before = world.count_of(QUERY).await;
        world.fault(QUERY, fault.clone()).await;
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS", "{fault}");
        assert!(world.count_of(QUERY).await > before, "{fault}");
        assert_eq!(world.quarantine().await.len(), usize::from(at >= 3), "{fault}");
    }
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.advance(DAY);
    assert_eq!(buyer.status_of(&world, &order).await, "REFUND");
}

#[tokio::test]
async fn after_a_refund_that_was_refused_the_next_question_goes_to_wechat_pay_at_once() {
    let (world, buyer) = World::start_untold().await;
    for (code, refusal) in [("INVALID_REQUEST", "refund_refused"), ("NO_AUTH", "misconfigured")] {
        let order = world.paid_order(&buyer).await;
        world.staff_refund(&order, 3900, json!({})).await;
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
        // WeChat Pay does not say just then how the order stands.
        world.fault(REFUND, json!({ "status": 403, "code": code })).await;
        world.fault_too(QUERY, json!({ "status": 500, "times": 3 })).await;
        assert_eq!(world.refund(&order, 3900, "return").await, refusal);
        assert_eq!(world.order_row(&order).await.state, "SUCCESS");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        assert_eq!(buyer.status_of(&world, &order).await, "REFUND", "{code}");
        assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND query");
    }
    // Once: what is told then is good for a day again.
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "status": 403, "code": "REQUEST_BLOCKED" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "misconfigured");
    let before = world.count_of(QUERY).await;
    for _ in 0..3 {
        assert_eq!(buyer.status_of(&world, &order).await, "SUCCESS");
    }
    assert_eq!(world.count_of(QUERY).await, before + 1);
}
