//! Faults on request.

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::MINI_PROGRAM;

use super::{JSAPI, NUMBER, by_number, order, prepay, world};

#[tokio::test]
async fn faults_spoil_answers_and_calls_are_listed_by_their_route() {
    let (world, merchant) = world().await;
    let route = "/v3/pay/transactions/out-trade-no/{out_trade_no}";
    prepay(&world, &merchant, &order().to_string()).await;
    let query = async |fault: Value| {
        let mut fault = fault;
        fault["path"] = route.into();
        world.sandbox("POST", "/faults", fault).await;
        merchant.call(&world, "GET", &by_number(NUMBER), "").await
    };
    let refused = query(json!({ "code": "SYSTEM_ERROR", "status": 500 })).await;
    assert_eq!(refused.refusal(), (500, "SYSTEM_ERROR".to_owned()));
    let accepted = query(json!({ "status": 202 })).await;
    assert_eq!((accepted.status, accepted.body.len(), merchant.trusts(&accepted)), (202, 0, true));
    let accepted = query(json!({ "status": 202, "tamper": "missing" })).await;
    assert_eq!((accepted.status, accepted.header("wechatpay-signature")), (202, ""));
    let empty = query(json!({ "emptyBody": true })).await;
    assert_eq!((empty.status, empty.body.len(), merchant.trusts(&empty)), (200, 0, true));
    for tamper in ["signature", "body", "serial", "nonce", "missing", "signtest"] {
        let spoiled = query(json!({ "tamper": tamper })).await;
        assert_eq!((spoiled.status, spoiled.json()["trade_state"].as_str()), (200, Some("NOTPAY")), "{tamper}");
        assert!(!merchant.trusts(&spoiled), "{tamper}");
    }
    let now = Timestamp::from(world.now()).as_secs();
    for (tamper, time) in [("timestamp", now - 360), ("futureTimestamp", now + 360)] {
        let spoiled = query(json!({ "tamper": tamper })).await;
        assert_eq!((spoiled.header("wechatpay-timestamp"), merchant.trusts(&spoiled)), (&*time.to_string(), true));
    }
    for (tamper, pointer, value) in [
        ("amount", "/amount/total", json!(101)),
        ("currency", "/amount/currency", json!("USD")),
        ("mchid", "/mchid", json!("1900000002")),
        ("appid", "/appid", json!("wxffffffffffffffff")),
        ("outTradeNo", "/out_trade_no", json!("AnotherOrder00000000000000000001")),
        ("unknownState", "/trade_state", json!("SETTLING")),
        ("extraFields", "/new_text", json!("new")),
    ] {
        let spoiled = query(json!({ "tamper": tamper })).await;
        assert_eq!((spoiled.json().pointer(pointer), merchant.trusts(&spoiled)), (Some(&value), true), "{tamper}");
    }
    let calls = world.sandbox("GET", &format!("/calls?path={route}"), Value::Null).await;
    assert_eq!(calls["total"], 19);
    assert_eq!(
        (&calls["calls"][0]["outTradeNo"], &calls["calls"][0]["code"]),
        (&json!(NUMBER), &json!("SYSTEM_ERROR"))
    );
    let made = world.sandbox("GET", &format!("/calls?path={JSAPI}"), Value::Null).await;
    assert_eq!((&made["calls"][0]["outTradeNo"], &made["calls"][0]["appId"]), (&json!(NUMBER), &json!(MINI_PROGRAM)));
}

#[tokio::test]
async fn faults_that_cannot_be_are_refused() {
    let (world, _) = world().await;
    let query = "/v3/pay/transactions/out-trade-no/{out_trade_no}";
    for fault in [
        json!({ "path": "/v3/pay/transactions/out-trade-no/order-000001" }),
        json!({ "path": query, "errcode": -1 }),
        json!({ "path": query, "code": "SYSTEM_ERROR" }),
        json!({ "path": query, "tamper": "aad" }),
        json!({ "path": JSAPI, "tamper": "amount" }),
        json!({ "path": query, "tamper": "signature", "code": "SYSTEM_ERROR", "status": 500 }),
        json!({ "path": query, "tamper": "signature", "status": 400 }),
        json!({ "path": query, "tamper": "signature", "drop": "after" }),
        json!({ "path": query, "tamper": "signature", "drop": "before" }),
        json!({ "path": format!("{query}/close"), "tamper": "body" }),
        json!({ "path": "/sns/jscode2session", "tamper": "signature" }),
        json!({ "path": "/sns/jscode2session", "code": "SYSTEM_ERROR", "status": 500 }),
    ] {
        let url = format!("{}/sandbox/faults", world.machine.sandbox_url().unwrap());
        assert_eq!(tests::http::Client::default().post(&url, &[], &fault).await.status, 400, "{fault}");
    }
}
