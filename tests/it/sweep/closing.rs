//! Closing at WeChat Pay, and what it may say to that.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::logs;
use tests::orders::{PREPAY, QUERY, cart, number, show};
use tests::pay_proxy::PayProxy;
use tests::refunds::CLOSE;
use tests::world::World;

const ORDER_TTL: Duration = Duration::from_secs(1800);

/// An order whose time is over here, and not at WeChat Pay, which leaves a payment a minute at least: it was asked for
/// late, because the first request was lost.
async fn payable(world: &World, buyer: &Caller) -> String {
    let body = cart(&[("demo-mug", 1)]);
    world.fault(PREPAY, json!({ "drop": "before", "times": 3 })).await;
    assert_eq!(buyer.create_order(world, "key", &body).await.code(), "wechat_unavailable");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.advance(Duration::from_secs(59));
    let order = number(&buyer.order(world, "key", &body).await);
    world.advance(Duration::from_secs(2));
    order
}

async fn short_lived() -> (World, PayProxy, Caller) {
    let proxy = PayProxy::start().await;
    let world = World::start_with([("WECHATPAY_API_URLS", &*proxy.url), ("ORDER_TTL_SECS", "60")]).await;
    proxy.stand_before(&world);
    let buyer = world.untold().await;
    (world, proxy, buyer)
}

/// An order whose time is over.
async fn over(world: &World, buyer: &Caller) -> String {
    let order = buyer.buy(world, "demo-mug").await;
    world.advance(ORDER_TTL);
    order
}

async fn assert_open(world: &World, order: &str, case: &str) {
    assert_eq!(world.order_row(order).await.story(), "NOTPAY create", "{case}");
    let row = world.row(&format!("ORDER#{order}"), "ORDER").await.unwrap();
    assert!(row.contains_key("sweepAtMs"), "{case}: it is asked about again");
}

#[tokio::test]
async fn a_payment_between_question_and_close_is_a_payment() {
    let (world, proxy, buyer) = short_lived().await;
    let order = payable(&world, &buyer).await;
    proxy.hold("/close");
    let paid = async {
        proxy.holding().await;
        world.pay_silently(&order).await;
        proxy.release();
    };
    let (swept, ()) = tokio::join!(world.sweep_due(), paid);
    assert_eq!(swept, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS sweep");
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 0));
}

#[tokio::test]
async fn a_payment_that_is_told_while_it_is_closed_is_a_payment() {
    let (world, proxy, buyer) = short_lived().await;
    let order = payable(&world, &buyer).await;
    proxy.hold("/close");
    let paid = async {
        proxy.holding().await;
        world.pay_silently(&order).await;
        assert_eq!(world.resend(&order).await, 204);
        proxy.release();
    };
    let (swept, ()) = tokio::join!(world.sweep_due(), paid);
    assert_eq!((&swept["closed"], &swept["failures"]), (&json!(0), &json!(0)), "{swept}");
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify");
    assert!(!world.order_row(&order).await.paid_after_closed);
}

#[tokio::test]
async fn that_it_is_paid_counts_only_if_it_is_signed() {
    let (world, buyer) = World::start_untold().await;
    for code in ["ORDERPAID", "ORDER_PAID"] {
        let order = over(&world, &buyer).await;
        world.fault(CLOSE, json!({ "status": 400, "code": code })).await;
        assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }), "{code}");
        assert_open(&world, &order, code).await;
        world.advance(Duration::from_secs(60));
        assert_eq!(world.sweep_due().await["closed"], 1, "{code}");
    }
}

#[tokio::test]
async fn what_is_not_closed_for_sure_stays_open_and_is_tried_again() {
    let (world, buyer) = World::start_untold().await;
    for fault in [
        json!({ "status": 400, "code": "PARAM_ERROR" }),
        json!({ "status": 400, "code": "INVALID_REQUEST" }),
        json!({ "status": 400, "code": "MCH_NOT_EXISTS" }),
        json!({ "status": 401, "code": "SIGN_ERROR" }),
        json!({ "status": 403, "code": "TRADE_ERROR" }),
        json!({ "status": 403, "code": "RULE_LIMIT" }),
        json!({ "status": 404, "code": "ORDER_NOT_EXIST" }),
        json!({ "status": 404 }),
        json!({ "status": 429, "code": "FREQUENCY_LIMITED", "times": 3 }),
        json!({ "status": 500, "code": "SYSTEM_ERROR", "times": 3 }),
        json!({ "status": 502, "times": 3 }),
        json!({ "status": 202, "times": 3 }),
        json!({ "drop": "before", "times": 3 }),
    ] {
        let (order, case) = (over(&world, &buyer).await, fault.to_string());
        world.fault(CLOSE, fault).await;
        assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }), "{case}");
        show(&format!("close, {case}"), "a failure, tried again");
        assert_open(&world, &order, &case).await;
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(Duration::from_secs(60));
        assert_eq!(world.sweep_due().await["closed"], 1, "{case}");
    }
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(200), 0));
}

#[tokio::test]
async fn a_close_whose_answer_is_lost_or_not_signed_is_found_out_by_the_next_sweep() {
    let (world, buyer) = World::start_untold().await;
    for fault in [
        json!({ "drop": "after", "times": 3 }),
        json!({ "tamper": "signature", "times": 3 }),
        json!({ "tamper": "missing", "times": 3 }),
        json!({ "tamper": "serial", "times": 3 }),
        json!({ "tamper": "timestamp", "times": 3 }),
    ] {
        let (order, case) = (over(&world, &buyer).await, fault.to_string());
        world.fault(CLOSE, fault).await;
        assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }), "{case}");
        assert_open(&world, &order, &case).await;
        let closes = world.count_of(CLOSE).await;
        world.advance(Duration::from_secs(60));
        assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 1, "failures": 0 }), "{case}");
        assert_eq!(world.count_of(CLOSE).await, closes, "{case}: it says so itself");
    }
}

#[tokio::test]
async fn an_order_that_wechat_pay_has_forgotten_is_closed_when_its_time_is_over_and_not_before() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    let forgotten = json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 99 });
    world.fault(QUERY, forgotten.clone()).await;
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }));
    assert_open(&world, &order, "before its time").await;
    // Somebody has prepared it, so that it is unknown says nothing if a close says so as well.
    world.advance(ORDER_TTL);
    let mut of_close = forgotten;
    of_close["path"] = CLOSE.into();
    world.sandbox("POST", "/faults", of_close).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }));
    assert_open(&world, &order, "unknown to all").await;
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.fault(QUERY, json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 99 })).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 0, "closed": 1, "failures": 0 }));
    assert_eq!(world.order_at_wechat(&order).await["state"], "CLOSED");
}

#[tokio::test]
async fn an_order_that_never_reached_wechat_pay_is_closed_a_minute_after_its_time_whatever_the_close_says() {
    let (world, buyer) = World::start_untold().await;
    world.fault(PREPAY, json!({ "drop": "before", "times": 3 })).await;
    let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!(reply.code(), "wechat_unavailable");
    let order = world.order_rows().await[0]["outTradeNo"].as_s().unwrap().clone();
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 1));
    world.fault(CLOSE, json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 99 })).await;
    // A request for a prepay_id may still be under way.
    for (wait, case) in [(ORDER_TTL, "at its end"), (Duration::from_secs(59), "a minute later, but for a second")] {
        world.advance(wait);
        assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 0 }), "{case}");
        assert_open(&world, &order, case).await;
        assert_eq!(world.count_of(CLOSE).await, 0, "{case}");
    }
    world.advance(Duration::from_secs(1));
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 0, "closed": 1, "failures": 0 }));
    assert_eq!(
        (world.order_row(&order).await.story().as_str(), world.count_of(CLOSE).await),
        ("NOTPAY create, CLOSED sweep", 1)
    );
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(200), 0));
    // That end is not signed, so there is a word about it.
    let is_said = |line: &Value| line["message"] == "WeChat Pay did not close the order" && line["level"] == "WARN";
    assert_eq!(logs::with(&order).iter().filter(|line| is_said(line)).count(), 1);
    assert_eq!(world.sweep_all().await["checked"], 0);
}
