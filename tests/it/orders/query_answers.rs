//! `query-order` believes nothing that WeChat Pay has not signed about this very order.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::logs;
use tests::orders::{QUERY, cart, number, show};
use tests::world::World;

/// WeChat Pay is asked about an order at most once in this time.
const INTERVAL: Duration = Duration::from_secs(3);

/// A paid order that nobody here knows to be paid.
async fn paid(world: &World, caller: &Caller, key: &str) -> String {
    let number = number(&caller.order(world, key, &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&number).await;
    number
}

/// Once WeChat Pay answers as it should, the order is found to be paid.
async fn assert_heals(world: &World, caller: &Caller, number: &str, what: &str) {
    assert_eq!(world.order_row(number).await.story(), "NOTPAY create", "{what}");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.advance(INTERVAL);
    assert_eq!(caller.status_of(world, number).await, "SUCCESS", "{what}");
    assert_eq!(world.order_row(number).await.story(), "NOTPAY create, SUCCESS query", "{what}");
}

#[tokio::test]
async fn an_answer_that_is_not_verified_moves_nothing() {
    let world = World::start().await;
    let caller = world.caller().await;
    for tamper in ["signature", "body", "serial", "timestamp", "futureTimestamp", "nonce", "missing", "signtest"] {
        let number = paid(&world, &caller, tamper).await;
        let before = world.count_of(QUERY).await;
        world.fault(QUERY, json!({ "tamper": tamper, "times": 9 })).await;
        let reply = caller.query_order(&world, &number).await;
        assert_eq!((reply.status, &reply.json["status"]), (200, &json!("NOTPAY")), "{tamper}");
        assert_eq!(world.count_of(QUERY).await - before, 3, "{tamper}");
        show(&format!("answer, {tamper}"), "asked three times, the order stays as it is");
        assert_heals(&world, &caller, &number, tamper).await;
    }
    assert_eq!(world.quarantine().await, [], "nobody has signed it");
}

#[tokio::test]
async fn one_that_is_not_verified_costs_a_second_try() {
    let world = World::start().await;
    let caller = world.caller().await;
    for tamper in ["signature", "missing", "signtest", "outTradeNo"] {
        let number = paid(&world, &caller, tamper).await;
        world.fault(QUERY, json!({ "tamper": tamper })).await;
        assert_eq!(caller.status_of(&world, &number).await, "SUCCESS", "{tamper}");
    }
}

#[tokio::test]
async fn what_is_signed_and_does_not_match_goes_to_quarantine() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (tamper, reason) in
        [("amount", "amount.total"), ("currency", "amount.currency"), ("mchid", "mchid"), ("appid", "appid")]
    {
        let number = paid(&world, &caller, tamper).await;
        world.fault(QUERY, json!({ "tamper": tamper, "times": 9 })).await;
        assert_eq!(caller.status_of(&world, &number).await, "NOTPAY", "{tamper}");
        let kept = ("QUERY".to_owned(), reason.to_owned(), Some(number.clone()));
        assert!(world.quarantine().await.contains(&kept), "{tamper}: {:?}", world.quarantine().await);
        assert_eq!(logs::count_of("PaymentQuarantined", &number), 1, "{tamper}");
        show(&format!("answer, signed, another {tamper}"), "quarantine, the order stays as it is");
        let lines = logs::with(&number);
        let line = lines.iter().find(|line| line["message"] == "payment quarantined").unwrap();
        assert_eq!((&line["level"], &line["reason"]), (&json!("ERROR"), &json!(reason)), "{tamper}");
        assert_heals(&world, &caller, &number, tamper).await;
    }
    assert_eq!(world.quarantine().await.len(), 4);
}

#[tokio::test]
async fn a_repeat_of_create_order_believes_no_more_than_a_query() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    world.advance(INTERVAL);
    world.fault(QUERY, json!({ "tamper": "amount", "times": 9 })).await;
    // WeChat Pay takes no payment twice.
    let again = caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!(tests::orders::number(&again), number);
    let kept = ("QUERY".to_owned(), "amount.total".to_owned(), Some(number.clone()));
    assert_eq!(world.quarantine().await, [kept]);
    assert_heals(&world, &caller, &number, "amount").await;
}

#[tokio::test]
async fn an_answer_about_another_order_is_none() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    world.fault(QUERY, json!({ "tamper": "outTradeNo", "times": 9 })).await;
    assert_eq!(caller.status_of(&world, &number).await, "NOTPAY");
    assert_eq!((world.count_of(QUERY).await, world.quarantine().await.len()), (3, 0));
    assert_heals(&world, &caller, &number, "outTradeNo").await;
}

#[tokio::test]
async fn what_is_new_in_an_answer_breaks_nothing() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "fields").await;
    world.fault(QUERY, json!({ "tamper": "extraFields" })).await;
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
    let number = paid(&world, &caller, "state").await;
    world.fault(QUERY, json!({ "tamper": "unknownState" })).await;
    assert_eq!(caller.status_of(&world, &number).await, "NOTPAY");
    assert_heals(&world, &caller, &number, "unknownState").await;
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_wechat_pay_that_is_down_leaves_the_answer_to_the_table() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (at, fault) in [
        json!({ "status": 500 }),
        json!({ "status": 502, "code": "SERVICE_UNAVAILABLE" }),
        json!({ "status": 202 }),
        json!({ "status": 200 }),
        json!({ "status": 204 }),
        json!({ "status": 401, "code": "SIGN_ERROR" }),
        json!({ "status": 429, "code": "FREQUENCY_LIMITED" }),
        json!({ "status": 403, "code": "RULE_LIMIT" }),
        json!({ "emptyBody": true }),
        json!({ "drop": "before" }),
        json!({ "drop": "after" }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        fault["times"] = 9.into();
        let number = paid(&world, &caller, &at.to_string()).await;
        world.fault(QUERY, fault.clone()).await;
        let reply = caller.query_order(&world, &number).await;
        assert_eq!((reply.status, &reply.json["status"]), (200, &json!("NOTPAY")), "{fault}");
        assert_heals(&world, &caller, &number, &fault.to_string()).await;
    }
}

#[tokio::test]
async fn a_wechat_pay_that_hangs_is_given_up_before_lambda_gives_up_the_function() {
    let world = World::start().await;
    let caller = world.caller().await;
    for key in ["latencyMs", "answerLatencyMs"] {
        let number = paid(&world, &caller, key).await;
        world.fault(QUERY, json!({ key: 60_000, "times": 9 })).await;
        let event = caller.event(&[], &json!({ "outTradeNo": number }));
        let reply = world.reply_within("query-order", &event, Duration::from_secs(3)).await;
        assert_eq!((reply.status, &reply.json["status"]), (200, &json!("NOTPAY")), "{key}");
        assert_heals(&world, &caller, &number, key).await;
    }
}
