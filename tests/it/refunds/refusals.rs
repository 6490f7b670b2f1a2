//! Each refusal of WeChat Pay's, what becomes of the amount, and what a repeat does.
//! Source: WeChat Pay v3, "Refund" and "Query a refund", error codes.

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::orders::show;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

/// Refusals that leave nothing behind, and what staff is told.
const FINAL: [(u16, &str, &str); 24] = [
    (400, "PARAM_ERROR", "refund_refused"),
    (400, "INVALID_REQUEST", "refund_refused"),
    (400, "APPID_MCHID_NOT_MATCH", "misconfigured"),
    (400, "MCH_NOT_EXISTS", "misconfigured"),
    (400, "ORDER_CLOSED", "refund_refused"),
    (400, "TRADE_OVERDUE", "refund_refused"),
    (400, "REFUND_FEE_MISMATCH", "refund_refused"),
    (400, "", "refund_refused"),
    (401, "SIGN_ERROR", "misconfigured"),
    (403, "NO_AUTH", "misconfigured"),
    (403, "NOAUTH", "misconfigured"),
    (403, "USER_ACCOUNT_ABNORMAL", "refund_refused"),
    (403, "ACCOUNTERROR", "refund_refused"),
    (403, "REQUEST_BLOCKED", "misconfigured"),
    (403, "RULE_LIMIT", "rate_limited"),
    (403, "RULELIMIT", "rate_limited"),
    (403, "TRADE_ERROR", "refund_refused"),
    (403, "", "refund_refused"),
    (404, "MCH_NOT_EXISTS", "misconfigured"),
    (404, "RESOURCE_NOT_EXISTS", "refund_refused"),
    (404, "ORDER_NOT_EXIST", "refund_refused"),
    (404, "", "refund_refused"),
    (405, "", "refund_refused"),
    (409, "SOMETHING_NEW", "refund_refused"),
];

/// Refusals after which the amount is held, and what staff is told.
const HELD: [(u16, &str, &str); 5] = [
    (403, "NOT_ENOUGH", "misconfigured"),
    (403, "NOTENOUGH", "misconfigured"),
    (429, "FREQUENCY_LIMITED", "rate_limited"),
    (429, "RATELIMIT_EXCEEDED", "rate_limited"),
    (429, "", "rate_limited"),
];

/// What says nothing: WeChat Pay is asked again.
const OPEN: [(u16, &str); 9] = [
    (202, ""),
    (500, "SYSTEM_ERROR"),
    (500, "SYSTEMERROR"),
    (500, "BANKERROR"),
    (500, "OPENID_MISMATCH"),
    (500, "INVALID_TRANSACTIONID"),
    (500, ""),
    (502, ""),
    (503, "SERVICE_UNAVAILABLE"),
];

async fn start() -> (World, Caller) {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    (world, buyer)
}

fn fault(status: u16, code: &str, times: u32) -> Value {
    let mut fault = json!({ "status": status, "times": times });
    if !code.is_empty() {
        fault["code"] = code.into();
    }
    fault
}

/// Nothing is left of a request, and the same one is good afterwards.
async fn assert_released(world: &World, order: &str, case: &str) {
    assert_eq!((world.refunds_of(order).await, world.amounts(order).await), (vec![], (0, 0)), "{case}");
    assert_eq!(world.order_row(order).await.state, "SUCCESS", "{case}");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.refund(order, 3900, "return").await, "PROCESSING", "{case}");
    assert_eq!(world.amounts(order).await, (3900, 0), "{case}");
}

/// The amount is held for the same request, which is good afterwards, and no other is.
async fn assert_held(world: &World, order: &str, case: &str) {
    let row = world.refund_row(order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund", true), "{case}");
    assert_eq!(world.amounts(order).await, (3900, 0), "{case}");
    assert_eq!(world.order_row(order).await.state, "SUCCESS", "{case}");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.refund(order, 1, "another").await, "refund_exceeds_paid", "{case}");
    assert_eq!(world.refund(order, 3900, "return").await, "PROCESSING", "{case}");
    assert_eq!(world.refund_row(order).await.number, row.number, "{case}");
    assert_eq!((world.amounts(order).await, world.refunds_at_wechat(order).await.len()), ((3900, 0), 1), "{case}");
}

#[tokio::test]
async fn a_final_refusal_leaves_nothing_behind() {
    let (world, buyer) = start().await;
    for (status, code, expected) in FINAL {
        let (order, case) = (world.paid_order(&buyer).await, format!("{status} {code}"));
        let before = (world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await);
        world.fault(REFUND, fault(status, code, 1)).await;
        assert_eq!(world.refund(&order, 3900, "return").await, expected, "{case}");
        let asked = (world.count_of(REFUND).await - before.0, world.count_of(REFUND_QUERY).await - before.1);
        assert_eq!(asked, (1, 1), "{case}: asked once, and queried before anything else");
        show(&format!("refund, {case}"), &format!("{expected}, released"));
        assert_released(&world, &order, &case).await;
    }
}

#[tokio::test]
async fn what_may_be_good_later_is_held() {
    let (world, buyer) = start().await;
    for (status, code, expected) in HELD {
        let (order, case) = (world.paid_order(&buyer).await, format!("{status} {code}"));
        world.fault(REFUND, fault(status, code, 9)).await;
        let before = world.count_of(REFUND).await;
        for _ in 0..2 {
            assert_eq!(world.refund(&order, 3900, "return").await, expected, "{case}");
        }
        assert_eq!(world.count_of(REFUND).await - before, 2, "{case}: once for each request");
        show(&format!("refund, {case}"), &format!("{expected}, held"));
        assert_held(&world, &order, &case).await;
    }
}

#[tokio::test]
async fn what_says_nothing_is_asked_three_times_and_held() {
    let (world, buyer) = start().await;
    for (status, code) in OPEN {
        let (order, case) = (world.paid_order(&buyer).await, format!("{status} {code}"));
        let before = (world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await);
        world.fault(REFUND, fault(status, code, 9)).await;
        assert_eq!(world.refund(&order, 3900, "return").await, "wechat_unavailable", "{case}");
        let asked = (world.count_of(REFUND).await - before.0, world.count_of(REFUND_QUERY).await - before.1);
        assert_eq!(asked, (3, 3), "{case}: a query after each");
        show(&format!("refund, {case}"), "wechat_unavailable, held");
        assert_held(&world, &order, &case).await;
    }
}

#[tokio::test]
async fn what_says_nothing_once_costs_a_second_try() {
    let (world, buyer) = start().await;
    for (status, code) in OPEN {
        let (order, case) = (world.paid_order(&buyer).await, format!("{status} {code}"));
        world.fault(REFUND, fault(status, code, 1)).await;
        assert_eq!(world.refund(&order, 3900, "return").await, "PROCESSING", "{case}");
        assert_eq!(world.amounts(&order).await, (3900, 0), "{case}");
    }
}

#[tokio::test]
async fn a_refusal_releases_nothing_before_the_query_has_said_so() {
    let (world, buyer) = start().await;
    for (status, code) in [
        (401, "SIGN_ERROR"),
        (403, "NO_AUTH"),
        (404, "MCH_NOT_EXISTS"),
        (404, ""),
        (429, "FREQUENCY_LIMITED"),
        (500, "SYSTEM_ERROR"),
        (202, ""),
    ] {
        let (order, case) = (world.paid_order(&buyer).await, format!("{status} {code}"));
        world.fault(REFUND, fault(400, "PARAM_ERROR", 1)).await;
        let mut of_query = fault(status, code, 9);
        of_query["path"] = REFUND_QUERY.into();
        world.sandbox("POST", "/faults", of_query).await;
        assert_eq!(world.refund(&order, 3900, "return").await, "wechat_unavailable", "{case}");
        assert_held(&world, &order, &case).await;
    }
}

#[tokio::test]
async fn wechat_pay_s_own_refusals_are_taken_as_they_are() {
    let (world, buyer) = start().await;
    // More than WeChat Pay has left of it: staff was there first, and nobody here was told.
    let order = world.paid_order(&buyer).await;
    world.staff_refund(&order, 3000, json!({})).await;
    assert_eq!(world.refund(&order, 901, "return").await, "refund_refused");
    assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)));
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    // Too late.
    let order = world.paid_order(&buyer).await;
    world.advance(std::time::Duration::from_secs(366 * 86_400));
    assert_eq!(world.refund(&order, 900, "return").await, "refund_refused");
    assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)));
}

#[tokio::test]
async fn refunds_of_an_order_that_come_too_soon_are_held_for_later() {
    let (world, buyer) = start().await;
    world.refunds_become(json!({ "outcome": "PROCESSING", "apartSecs": 60 })).await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 1000, "first").await, "PROCESSING");
    assert_eq!(world.refund(&order, 1000, "second").await, "rate_limited");
    assert_eq!(world.amounts(&order).await, (2000, 0));
    world.advance(std::time::Duration::from_secs(60));
    assert_eq!(world.refund(&order, 1000, "second").await, "PROCESSING");
    assert_eq!((world.amounts(&order).await, world.refunds_at_wechat(&order).await.len()), ((2000, 0), 2));
}
