//! Refunds that are refused, and answers that are spoilt.

use serde_json::{Value, json};

use super::{ORDER, REFUND_ROUTE, REFUNDS, ask, control, invalid, order, paid_shop, query, refund, set, settle, wish};

#[tokio::test]
async fn what_a_refund_may_not_be_is_refused() {
    let shop = paid_shop().await;
    let changed = |pointer: &str, value: Value| {
        let mut wish = wish(&shop, "refund-1", 30);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        wish.pointer_mut(parent).unwrap()[name] = value;
        wish
    };
    for (pointer, value) in [
        ("/reason", json!("退".repeat(81))),
        ("/reason", json!("🎉")),
        ("/reason", Value::Null),
        ("/new", json!("x")),
        ("/out_refund_no", json!("")),
        ("/out_refund_no", json!("r".repeat(65))),
        ("/out_refund_no", json!("a b")),
        ("/out_refund_no", json!("a/b")),
        ("/transaction_id", json!("42000000000000000000000000")),
        ("/notify_url", json!("http://example.com/pay-notify")),
        ("/notify_url", json!("https://example.com/?a=1")),
        ("/funds_account", json!("UNAVAILABLE")),
        ("/amount/refund", json!(0)),
        ("/amount/refund", json!(1.5)),
        ("/amount/total", json!("100")),
        ("/amount/currency", json!("USD")),
        ("/amount/from", json!([{ "account": "AVAILABLE" }])),
        ("/goods_detail", json!([{ "merchant_goods_id": "mug" }])),
    ] {
        let refused = ask(&shop, &changed(pointer, value.clone())).await;
        assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()), "{pointer} {value}");
        assert_eq!(refused.header("wechatpay-signature"), "");
    }
    let mut nameless = wish(&shop, "refund-1", 30);
    nameless.as_object_mut().unwrap().remove("out_trade_no");
    assert_eq!(ask(&shop, &nameless).await.refusal(), (400, "PARAM_ERROR".to_owned()));
    let unknown = (404, "RESOURCE_NOT_EXISTS".to_owned());
    assert_eq!(ask(&shop, &changed("/out_trade_no", json!("order-000009"))).await.refusal(), unknown);
    assert_eq!(query(&shop, "refund-1").await.refusal(), unknown);
    shop.order("order-000002").await;
    assert_eq!(ask(&shop, &changed("/out_trade_no", json!("order-000002"))).await.refusal(), invalid(), "not paid");
    assert_eq!(ask(&shop, &changed("/amount/total", json!(101))).await.refusal(), invalid());
    assert_eq!(refund(&shop, "refund-1", 101).await.refusal(), invalid());
    assert_eq!(order(&shop).await["refunds"], json!([]), "none of them was made");
    assert_eq!(refund(&shop, "a_-|*@Z9", 1).await.status, 200);
    assert_eq!(query(&shop, "a_-%7C*@Z9").await.status, 200);
}

#[tokio::test]
async fn an_order_has_fifty_refunds_apart_from_each_other_and_within_a_year() {
    let shop = paid_shop().await;
    set(&shop, json!({ "apartSecs": 60 })).await;
    assert_eq!(refund(&shop, "refund-0", 1).await.status, 200);
    assert_eq!(refund(&shop, "refund-1", 1).await.refusal(), (429, "FREQUENCY_LIMITED".to_owned()));
    assert_eq!(refund(&shop, "refund-0", 1).await.status, 200, "the same again is none");
    shop.world.sandbox("POST", "/clock", json!({ "advanceSecs": 60 })).await;
    assert_eq!(refund(&shop, "refund-1", 1).await.status, 200);
    set(&shop, json!({ "outcome": "CLOSED" })).await;
    for number in 2..50 {
        assert_eq!(refund(&shop, &format!("refund-{number}"), 1).await.status, 200);
    }
    assert_eq!(refund(&shop, "refund-50", 1).await.refusal(), invalid());

    let shop = paid_shop().await;
    shop.world.sandbox("POST", "/clock", json!({ "advanceSecs": 365 * 86_400 })).await;
    assert_eq!(refund(&shop, "refund-1", 1).await.status, 200);
    shop.world.sandbox("POST", "/clock", json!({ "advanceSecs": 1 })).await;
    assert_eq!(refund(&shop, "refund-2", 1).await.refusal(), invalid());
}

#[tokio::test]
async fn a_refund_waits_for_the_merchants_money() {
    let shop = paid_shop().await;
    set(&shop, json!({ "balanceFen": 50, "outcome": "PROCESSING" })).await;
    assert_eq!(refund(&shop, "refund-1", 51).await.refusal(), (403, "NOT_ENOUGH".to_owned()));
    assert_eq!(query(&shop, "refund-1").await.status, 404);
    assert_eq!(refund(&shop, "refund-2", 30).await.status, 200);
    assert_eq!(refund(&shop, "refund-3", 30).await.refusal(), (403, "NOT_ENOUGH".to_owned()), "20 are left");
    settle(&shop, "refund-2", "CLOSED").await;
    assert_eq!(shop.world.sandbox("GET", "/refunds", Value::Null).await["settings"]["balanceFen"], 50);
    set(&shop, json!({})).await;
    assert_eq!(refund(&shop, "refund-1", 51).await.status, 200, "the same number after a top-up");
}

#[tokio::test]
async fn faults_spoil_refunds_and_calls_are_listed() {
    let shop = paid_shop().await;
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    let fault = async |path: &str, fault: Value| {
        let mut fault = fault;
        fault["path"] = path.into();
        shop.world.sandbox("POST", "/faults", fault).await;
    };
    fault(REFUNDS, json!({ "code": "USER_ACCOUNT_ABNORMAL", "status": 403 })).await;
    assert_eq!(refund(&shop, "refund-1", 10).await.refusal(), (403, "USER_ACCOUNT_ABNORMAL".to_owned()));
    assert_eq!(query(&shop, "refund-1").await.status, 404, "nothing was done");
    for (tamper, pointer, value) in [
        ("amount", "/amount/total", json!(101)),
        ("refund", "/amount/refund", json!(11)),
        ("currency", "/amount/currency", json!("USD")),
        ("outTradeNo", "/out_trade_no", json!("AnotherOrder00000000000000000001")),
        ("outRefundNo", "/out_refund_no", json!("anotherRefund00000000000000000001")),
        ("unknownState", "/status", json!("SETTLING")),
        ("extraFields", "/new_text", json!("new")),
    ] {
        fault(REFUNDS, json!({ "tamper": tamper })).await;
        fault(REFUND_ROUTE, json!({ "tamper": tamper })).await;
        for answer in [refund(&shop, "refund-1", 10).await, query(&shop, "refund-1").await] {
            assert_eq!(
                (answer.json().pointer(pointer), shop.merchant.trusts(&answer)),
                (Some(&value), true),
                "{tamper}"
            );
        }
    }
    for (path, tamper) in
        [(REFUNDS, "mchid"), (REFUND_ROUTE, "aad"), ("/v3/pay/transactions/id/{transaction_id}", "refund")]
    {
        assert_eq!(control(&shop, "/faults", &json!({ "path": path, "tamper": tamper })).await.status, 400, "{tamper}");
    }
    let calls = shop.world.sandbox("GET", &format!("/calls?path={REFUND_ROUTE}"), Value::Null).await;
    assert_eq!((&calls["total"], &calls["calls"][0]["outRefundNo"]), (&json!(8), &json!("refund-1")));
    let calls = shop.world.sandbox("GET", &format!("/calls?path={REFUNDS}"), Value::Null).await;
    let call = &calls["calls"][0];
    assert_eq!((&call["outRefundNo"], &call["outTradeNo"]), (&json!("refund-1"), &json!(ORDER)));
}
