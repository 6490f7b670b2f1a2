//! Functions that are invoked directly.

use local::demo_order::DEMO_PAID_ORDER;
use local::sample;
use serde_json::{Value, json};
use shared::wechatpay::{OutRefundNo, OutTradeNo};
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::root;
use tests::world::World;

use super::expect_every_file;

#[tokio::test]
async fn every_event_of_token_refresher_gets_its_answer() {
    let (mini_program, official_account) = (MINI_PROGRAM, OFFICIAL_ACCOUNT);
    let refreshed = |tokens: &[(&str, &str)]| {
        let tokens = tokens.iter().map(|(app, kind)| json!({ "appId": app, "kind": kind, "expiresIn": 7200 }));
        json!({ "refreshed": tokens.collect::<Vec<_>>(), "failures": [] })
    };
    let all = refreshed(&[
        (mini_program, "access_token"),
        (official_account, "access_token"),
        (official_account, "wx_card"),
        (official_account, "jsapi"),
    ]);
    let one = refreshed(&[(mini_program, "access_token")]);
    check_direct(
        "token-refresher",
        &[
            ("scheduled", all.clone()),
            ("eventbridge-rule", all.clone()),
            ("eventbridge-scheduler", all),
            ("one-token", one.clone()),
            ("after-refusal", one),
            ("ticket", refreshed(&[(official_account, "wx_card")])),
            ("unknown-app", refused("invalid_request", "field `appId` is not an app of this backend")),
            ("malformed", refused("invalid_request", "field `kind` is not valid")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_order_sweeper_gets_its_answer() {
    let nothing = json!({ "checked": 0, "healed": 0, "closed": 0, "failures": 0 });
    check_direct(
        "order-sweeper",
        &[
            ("scheduled", nothing.clone()),
            ("eventbridge-scheduler", nothing.clone()),
            ("any-age", nothing),
            ("malformed", refused("invalid_request", "field `minAgeSecs` is not valid")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_refund_order_gets_its_answer() {
    let refund = |request_id: &str| {
        let order = OutTradeNo::try_from(DEMO_PAID_ORDER.to_owned()).unwrap();
        let number = OutRefundNo::of_request(&order, request_id);
        json!({ "outRefundNo": number.as_str(), "status": "PROCESSING" })
    };
    let reason = "field `reason` is 1 to 80 bytes, without emoji and control characters";
    let expected = [
        ("too-much", refused("refund_exceeds_paid", "that is more than is left of the payment")),
        ("valid", refund("return-1")),
        ("request-id-reused", refused("idempotency_key_reused", "the key was used with another request")),
        ("another-part", refund("return-2")),
        ("unpaid", refused("refund_refused", "the order is not paid")),
        ("unknown-order", refused("not_found", "there is no such thing")),
        ("not-an-integer", refused("invalid_request", "field `refundFen` is not valid")),
        ("nothing", refused("invalid_request", "field `refundFen` is from 1")),
        ("emoji-reason", refused("invalid_request", reason)),
    ];
    expect_every_file("refund-order", &expected);
    let world = World::start_embedded().await;
    for (case, expected) in &expected {
        invoke_direct(&world, "refund-order", case, expected).await;
    }
}

fn refused(code: &str, message: &str) -> Value {
    json!({ "errorType": code, "errorMessage": message })
}

/// Each event on a machine of its own.
async fn check_direct(function: &str, expected: &[(&str, Value)]) {
    expect_every_file(function, expected);
    for (case, expected) in expected {
        invoke_direct(&World::start_embedded().await, function, case, expected).await;
    }
}

async fn invoke_direct(world: &World, function: &str, case: &str, expected: &Value) {
    let event = sample::fresh(&root(), function, case, world.now()).unwrap();
    let result = world.instance(function).await.invoke(event.to_string().into_bytes(), world.now()).await;
    let outcome = result.map_or_else(|err| json!(err), |reply| serde_json::from_slice(&reply).unwrap());
    assert_eq!(&outcome, expected, "{case}");
}
