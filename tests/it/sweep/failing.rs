//! What fails is counted, stands in nobody's way, and is tried again.

use std::time::Duration;

use serde_json::{Value, json};
use tests::logs;
use tests::orders::QUERY;
use tests::refund_rows::number_of;
use tests::refunds::{CLOSE, REFUND_QUERY};
use tests::world::World;

/// Two orders of one shard, the one that is asked about first before the other.
async fn neighbours(world: &World, numbers: &[String]) -> [String; 2] {
    let mut of_shard: Vec<Option<&String>> = vec![None; 16];
    for number in numbers {
        let row = world.row(&format!("ORDER#{number}"), "ORDER").await.unwrap();
        let shard = usize::try_from(number_of(&row, "sweepShard")).unwrap();
        if let Some(first) = of_shard[shard].replace(number) {
            return [first.clone(), number.clone()];
        }
    }
    panic!("of 17 orders no two are in one of 16 shards");
}

#[tokio::test]
async fn an_order_that_fails_stands_in_nobodys_way() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let buyer = world.untold().await;
        for _ in 0..5 {
            numbers.push(buyer.buy(&world, "demo-mug").await);
            world.advance(Duration::from_secs(1));
        }
    }
    let [first, second] = neighbours(&world, &numbers).await;
    for number in [&first, &second] {
        world.pay_silently(number).await;
    }
    proxy.refuse(Some(&first));
    world.advance(Duration::from_secs(60));
    let swept = world.sweep_due().await;
    assert_eq!(swept, json!({ "checked": 20, "healed": 1, "closed": 0, "failures": 1 }));
    assert_eq!(world.order_row(&second).await.state, "SUCCESS");
    assert_eq!(world.order_row(&first).await.state, "NOTPAY");
    // It is not asked about all the time, and in time it is.
    proxy.refuse(None);
    assert_eq!(world.sweep_due().await["checked"], 0);
    world.advance(Duration::from_secs(120));
    assert_eq!(world.sweep_due().await["healed"], 1);
    assert_eq!(world.order_row(&first).await.story(), "NOTPAY create, SUCCESS sweep");
}

#[tokio::test]
async fn what_does_not_match_is_for_a_person_and_the_order_stays() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    for tamper in ["amount", "currency", "mchid", "appid", "unknownState", "outTradeNo", "signature"] {
        world.fault(QUERY, json!({ "tamper": tamper, "times": 9 })).await;
        assert_eq!(
            world.sweep_all().await,
            json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }),
            "{tamper}"
        );
        assert_eq!(world.order_row(&order).await.story(), "NOTPAY create", "{tamper}");
    }
    let mut reasons: Vec<_> = world.quarantine().await.into_iter().map(|(_, reason, _)| reason).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["amount.currency", "amount.total", "appid", "mchid"]);
    // Whatever does not match is not closed, either.
    world.fault(QUERY, json!({ "tamper": "amount", "times": 9 })).await;
    world.advance(Duration::from_secs(1800));
    assert_eq!(world.sweep_due().await["failures"], 1);
    assert_eq!((world.count_of(CLOSE).await, world.order_row(&order).await.state.as_str()), (0, "NOTPAY"));
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.sweep_all().await["healed"], 1);
}

#[tokio::test]
async fn a_refund_that_does_not_match_is_for_a_person_and_stays() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    for tamper in ["amount", "currency", "refund", "outTradeNo", "unknownState", "outRefundNo", "signature"] {
        world.fault(REFUND_QUERY, json!({ "tamper": tamper, "times": 9 })).await;
        assert_eq!(
            world.sweep_all().await,
            json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }),
            "{tamper}"
        );
        assert_eq!(world.refund_row(&order).await.state, "PROCESSING", "{tamper}");
    }
    let mut reasons: Vec<_> = world.quarantine().await.into_iter().map(|(_, reason, _)| reason).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["amount.currency", "amount.refund", "amount.total", "out_trade_no"]);
    // What was accepted is not unknown all at once: nobody lets go of it.
    world.fault(REFUND_QUERY, json!({ "status": 404, "code": "RESOURCE_NOT_EXISTS", "times": 9 })).await;
    assert_eq!(world.sweep_all().await["failures"], 1);
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!(world.amounts(&order).await, (900, 0));
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.sweep_all().await["healed"], 1);
}

#[tokio::test]
async fn a_former_merchant_s_are_counted_and_nobody_is_asked() {
    let (world, buyer) = World::start_untold().await;
    let (open, paid) = (buyer.buy(&world, "demo-mug").await, world.paid_order(&buyer).await);
    assert_eq!(world.refund(&paid, 900, "return").await, "PROCESSING");
    for order in [&open, &paid] {
        world.alter(&format!("ORDER#{order}"), "ORDER", "mchId", "1900000099").await;
    }
    world.advance(Duration::from_secs(1800));
    assert_eq!(world.sweep_due().await, json!({ "checked": 2, "healed": 0, "closed": 0, "failures": 2 }));
    assert_eq!(
        (world.count_of(QUERY).await, world.count_of(REFUND_QUERY).await, world.count_of(CLOSE).await),
        (0, 0, 0)
    );
    assert_eq!(world.order_row(&open).await.state, "NOTPAY");
}

#[tokio::test]
async fn what_has_not_ended_an_hour_after_it_should_have_calls_somebody() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.fault(CLOSE, json!({ "status": 403, "code": "TRADE_ERROR", "times": 99 })).await;
    for (passed, stuck) in [(1800, 0), (3599, 0), (1, 1), (3600, 2)] {
        world.advance(Duration::from_secs(passed));
        assert_eq!(world.sweep_all().await["failures"], 1, "{passed}");
        assert_eq!(logs::count_of("Stuck", &order), stuck, "{passed}");
    }
    assert!(logs::count_of("SweepFailed", &order) >= 4);
}

#[tokio::test]
async fn a_rule_that_is_broken_by_one_order_ends_no_run_and_the_order_is_not_asked_about_sooner() {
    let (world, buyer) = World::start_untold().await;
    for _ in 0..5 {
        buyer.buy(&world, "demo-mug").await;
    }
    world.advance(Duration::from_secs(600));
    world.fault(QUERY, json!({ "status": 403, "code": "RULE_LIMIT", "times": 1 })).await;
    assert_eq!(world.sweep_due().await, json!({ "checked": 5, "healed": 0, "closed": 0, "failures": 1 }));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await["checked"], 0);
}

#[tokio::test]
async fn that_it_is_asked_too_often_ends_the_run() {
    for fault in [
        json!({ "status": 429, "code": "FREQUENCY_LIMITED" }),
        json!({ "status": 429, "code": "RATELIMIT_EXCEEDED" }),
        json!({ "status": 429 }),
    ] {
        let world = World::start_with([("MAX_OPEN_ORDERS", "100")]).await;
        let (buyer, case) = (world.untold().await, fault.to_string());
        for _ in 0..48 {
            buyer.buy(&world, "demo-sticker").await;
        }
        let mut all = fault;
        all["times"] = 9999.into();
        world.fault(QUERY, all).await;
        world.advance(Duration::from_secs(60));
        let swept = world.sweep_due().await;
        // Of each shard one was under way.
        let checked = swept["checked"].as_u64().unwrap();
        assert!((1..=16).contains(&checked) && swept["failures"] == checked, "{case}: {swept}");
        // The rest is the next run's.
        world.sandbox("DELETE", "/faults", Value::Null).await;
        assert_eq!(world.sweep_due().await["checked"], 48 - checked, "{case}");
    }
}
