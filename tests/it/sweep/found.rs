//! What a sweep finds out, and when an order's time is over, closes.

use std::time::Duration;

use serde_json::json;
use tests::orders::{QUERY, cart, number};
use tests::refund_rows::number_of;
use tests::refunds::CLOSE;
use tests::world::World;

const ORDER_TTL: Duration = Duration::from_secs(1800);

#[tokio::test]
async fn a_payment_that_nobody_was_told_of_is_found() {
    let (world, buyer) = World::start_untold().await;
    let [paid, open] = [buyer.buy(&world, "demo-mug").await, buyer.buy(&world, "demo-mug").await];
    world.pay_silently(&paid).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 2, "healed": 1, "closed": 0, "failures": 0 }));
    assert_eq!(world.order_row(&paid).await.story(), "NOTPAY create, SUCCESS sweep");
    assert_eq!(world.order_row(&open).await.story(), "NOTPAY create");
    assert_eq!((world.open_orders(&buyer).await, world.stock("demo-mug").await), (1, Some(198)));
    // Paid is the end of it, and the notification that comes after all changes nothing.
    assert_eq!(world.resend(&paid).await, 204);
    assert_eq!(world.sweep_all().await["checked"], 1);
    assert_eq!(world.order_row(&paid).await.story(), "NOTPAY create, SUCCESS sweep");
    let row = world.row(&format!("ORDER#{paid}"), "ORDER").await.unwrap();
    assert!(!row.contains_key("sweepShard") && !row.contains_key("sweepAtMs"));
}

#[tokio::test]
async fn an_order_that_nobody_paid_is_closed_there_and_here_and_gives_everything_back() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "1")]).await;
    let buyer = world.untold().await;
    let order = number(&buyer.order(&world, "key", &cart(&[("demo-mug", 3)])).await);
    assert_eq!(buyer.create_order(&world, "next", &cart(&[("demo-mug", 1)])).await.code(), "rate_limited");
    world.advance(ORDER_TTL - Duration::from_secs(1));
    assert_eq!(world.sweep_due().await["closed"], 0);
    world.advance(Duration::from_secs(1));
    let asked = world.count_of(QUERY).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 1, "failures": 0 }));
    assert_eq!((world.count_of(QUERY).await - asked, world.count_of(CLOSE).await), (1, 1), "asked first");
    assert_eq!(world.order_at_wechat(&order).await["state"], "CLOSED");
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, CLOSED sweep");
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(200), 0));
    assert_eq!(world.sweep_all().await["checked"], 0);
    assert_eq!(buyer.create_order(&world, "key", &cart(&[("demo-mug", 3)])).await.code(), "order_closed");
    buyer.order(&world, "next", &cart(&[("demo-mug", 1)])).await;
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 1));
}

#[tokio::test]
async fn an_order_that_was_paid_just_before_its_end_is_paid() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    world.advance(ORDER_TTL + Duration::from_secs(3600));
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    assert_eq!((world.count_of(CLOSE).await, world.stock("demo-mug").await), (0, Some(199)));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS sweep");
}

#[tokio::test]
async fn an_order_that_is_closed_or_refunded_at_wechat_pay_is_so_here() {
    let (world, buyer) = World::start_untold().await;
    let [closed, refunded] = [buyer.buy(&world, "demo-mug").await, buyer.buy(&world, "demo-mug").await];
    world.close_at_wechat(&closed).await;
    world.pay_silently(&refunded).await;
    world.staff_refund(&refunded, 100, json!({})).await;
    assert_eq!(world.sweep_all().await, json!({ "checked": 2, "healed": 1, "closed": 1, "failures": 0 }));
    assert_eq!(world.order_row(&closed).await.story(), "NOTPAY create, CLOSED sweep");
    assert_eq!(world.order_row(&refunded).await.story(), "NOTPAY create, REFUND sweep");
    assert_eq!((world.count_of(CLOSE).await, world.stock("demo-mug").await), (0, Some(199)));
    // How much of it came back, only whoever is told of the refund knows.
    assert_eq!(world.amounts(&refunded).await, (0, 0));
}

#[tokio::test]
async fn an_order_whose_prepay_never_got_an_answer_is_found_in_each_case() {
    let (world, buyer) = World::start_untold().await;
    for (drop, checked) in [("before", 0), ("after", 1)] {
        world.fault(tests::orders::PREPAY, json!({ "drop": drop, "times": 3 })).await;
        let reply = buyer.create_order(&world, drop, &cart(&[("demo-mug", 1)])).await;
        assert_eq!(reply.code(), "wechat_unavailable", "{drop}");
        assert_eq!(world.orders_at_wechat_pay().await.len(), checked, "{drop}");
    }
    world.sandbox("DELETE", "/faults", json!(null)).await;
    world.advance(Duration::from_secs(60));
    // There is nothing to do: who has ordered may come back.
    assert_eq!(world.sweep_due().await, json!({ "checked": 2, "healed": 0, "closed": 0, "failures": 0 }));
    assert_eq!(world.count_of(CLOSE).await, 0);
    let retried = number(&buyer.order(&world, "before", &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&retried).await;
    world.advance(ORDER_TTL);
    let swept = world.sweep_due().await;
    assert_eq!(swept, json!({ "checked": 2, "healed": 1, "closed": 1, "failures": 0 }));
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 0));
}

#[tokio::test]
async fn an_order_that_wechat_pay_never_knew_is_closed_when_nobody_can_make_it_any_more() {
    let (world, buyer) = World::start_untold().await;
    world.fault(tests::orders::PREPAY, json!({ "drop": "before", "times": 3 })).await;
    let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!(reply.code(), "wechat_unavailable");
    // At the end of its time a request may still be under way.
    world.advance(ORDER_TTL);
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 0 }));
    assert_eq!((world.count_of(CLOSE).await, world.stock("demo-mug").await), (0, Some(199)));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 1, "failures": 0 }));
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(200), 0));
    let rows = world.order_rows().await;
    assert!(rows.iter().all(|row| !row.contains_key("sweepAtMs")), "{rows:?}");
    assert_eq!(number_of(&rows[0], "heldFen"), 0);
}
