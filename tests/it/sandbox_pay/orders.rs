//! Orders are made, paid, queried and closed.

use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::MINI_PROGRAM;

use super::{NUMBER, by_number, close, order, prepay, with, world};

#[tokio::test]
async fn an_order_is_made_paid_and_queried() {
    let (world, merchant) = world().await;
    let made = prepay(&world, &merchant, &order().to_string()).await;
    assert_eq!(made.status, 200, "{:?}", made.json());
    assert!(merchant.trusts(&made));
    assert!(!made.header("request-id").is_empty());
    let prepay_id = made.json()["prepay_id"].as_str().unwrap().to_owned();
    assert_eq!(prepay_id.len(), 36);

    let unpaid = merchant.call(&world, "GET", &by_number(NUMBER), "").await;
    assert!(merchant.trusts(&unpaid));
    let expected = json!({
        "appid": MINI_PROGRAM,
        "mchid": "1900000001",
        "out_trade_no": NUMBER,
        "trade_state": "NOTPAY",
        "trade_state_desc": "订单未支付",
        "amount": { "total": 100, "payer_currency": "CNY" },
        "promotion_detail": [],
        "scene_info": { "device_id": "" },
    });
    assert_eq!(unpaid.json(), expected);

    let payment = merchant.payment(MINI_PROGRAM, &prepay_id, world.now().into());
    let paid = world.sandbox("POST", "/requestPayment", json!({ "payment": payment, "payerTotal": 90 })).await;
    assert_eq!(paid, json!({ "errMsg": "requestPayment:ok" }));
    let paid = merchant.call(&world, "GET", &by_number(NUMBER), "").await;
    assert!(merchant.trusts(&paid));
    let (paid, id) = (paid.json(), paid.json()["transaction_id"].as_str().unwrap().to_owned());
    assert_eq!((&paid["trade_state"], &paid["trade_type"]), (&json!("SUCCESS"), &json!("JSAPI")));
    let amount = json!({ "total": 100, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY" });
    assert_eq!((&paid["amount"], &paid["promotion_detail"][0]["amount"]), (&amount, &json!(10)));
    assert_eq!(paid["payer"], json!({ "openid": "oDemoUserOfTheLocalMachine_0" }));
    assert!(paid["success_time"].as_str().unwrap().ends_with("+08:00"), "{paid}");
    assert_eq!((&paid["attach"], paid.get("scene_info")), (&json!(""), None));
    assert_eq!(id.len(), 28);
    let by_id = format!("/v3/pay/transactions/id/{id}?mchid=1900000001");
    assert_eq!(merchant.call(&world, "GET", &by_id, "").await.json(), paid);
}

/// The same JSON with its names in the opposite order, at every depth.
fn turned(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let fields: Vec<_> =
        fields.iter().rev().map(|(name, value)| format!("{}:{}", json!(name), turned(value))).collect();
    format!("{{{}}}", fields.join(","))
}

#[tokio::test]
async fn the_same_fields_again_are_the_same_order_and_others_are_refused() {
    let (world, merchant) = world().await;
    let body = order().to_string();
    let first = prepay(&world, &merchant, &body).await.json();
    assert_eq!(prepay(&world, &merchant, &body).await.json(), first);
    // Neither the order of the names nor blanks are part of it.
    for same in [turned(&order()), format!("{body} "), body.replace("\":", "\" : ")] {
        assert_ne!(same, body);
        assert_eq!(prepay(&world, &merchant, &same).await.json(), first, "{same}");
    }
    for changed in [with("/amount/total", Some(101.into())), with("/attach", Some("".into()))] {
        let refused = prepay(&world, &merchant, &changed).await;
        assert_eq!(refused.refusal(), (400, "INVALID_REQUEST".to_owned()), "{changed}");
        assert_eq!(refused.header("wechatpay-signature"), "");
    }
    world.advance(Duration::from_secs(2 * 3600));
    let renewed = prepay(&world, &merchant, &body).await.json();
    assert!(renewed["prepay_id"].is_string() && renewed != first, "{renewed}");

    world.sandbox("POST", "/pay", json!({ "outTradeNo": NUMBER, "notify": false })).await;
    assert_eq!(prepay(&world, &merchant, &body).await.refusal(), (400, "ORDERPAID".to_owned()));
    let closing = json!({ "mchid": "1900000001" }).to_string();
    let refused = merchant.call(&world, "POST", &close(NUMBER), &closing).await;
    assert_eq!(refused.refusal(), (400, "ORDERPAID".to_owned()));
}

#[tokio::test]
async fn what_is_closed_stays_closed() {
    let (world, merchant) = world().await;
    let body = order().to_string();
    let prepay_id = prepay(&world, &merchant, &body).await.json()["prepay_id"].as_str().unwrap().to_owned();
    let closing = json!({ "mchid": "1900000001" }).to_string();
    for _ in 0..2 {
        let closed = merchant.call(&world, "POST", &close(NUMBER), &closing).await;
        assert_eq!((closed.status, closed.body.len()), (204, 0));
        assert!(merchant.trusts(&closed));
    }
    assert_eq!(prepay(&world, &merchant, &body).await.refusal(), (400, "ORDER_CLOSED".to_owned()));
    assert_eq!(merchant.call(&world, "GET", &by_number(NUMBER), "").await.json()["trade_state"], "CLOSED");
    let payment = merchant.payment(MINI_PROGRAM, &prepay_id, world.now().into());
    let paid = world.sandbox("POST", "/requestPayment", json!({ "payment": payment })).await;
    assert!(paid["errMsg"].as_str().unwrap().starts_with("requestPayment:fail "), "{paid}");

    // A number that had no order is used up.
    let early = merchant.call(&world, "POST", &close("order-000002"), &closing).await;
    assert_eq!(early.status, 204);
    let refused = prepay(&world, &merchant, &with("/out_trade_no", Some("order-000002".into()))).await;
    assert_eq!(refused.refusal(), (400, "ORDER_CLOSED".to_owned()));
    let unknown = merchant.call(&world, "GET", &by_number("order-000002"), "").await;
    assert_eq!(unknown.refusal(), (404, "ORDER_NOT_EXIST".to_owned()));
    assert_eq!(unknown.header("wechatpay-signature"), "");
}

#[tokio::test]
async fn an_order_past_its_time_cannot_be_paid_and_stays_open_for_a_week() {
    let (world, merchant) = world().await;
    let time = |secs: u64| {
        let time = (Timestamp::from(world.now()) + Duration::from_secs(secs)).to_rfc3339_china();
        with("/time_expire", Some(time.into()))
    };
    let too_late = prepay(&world, &merchant, &time(8 * 86_400)).await;
    assert_eq!(too_late.refusal(), (400, "PARAM_ERROR".to_owned()));
    let body = time(1800);
    let prepay_id = prepay(&world, &merchant, &body).await.json()["prepay_id"].as_str().unwrap().to_owned();
    let pay = async |outcome: &str| {
        let payment = merchant.payment(MINI_PROGRAM, &prepay_id, world.now().into());
        let wish = json!({ "payment": payment, "outcome": outcome });
        world.sandbox("POST", "/requestPayment", wish).await["errMsg"].as_str().unwrap().to_owned()
    };
    world.advance(Duration::from_secs(1799));
    assert_eq!(pay("cancel").await, "requestPayment:fail cancel");
    world.advance(Duration::from_secs(1));
    assert_eq!(pay("ok").await, "requestPayment:fail 订单已过期");
    let state = async || merchant.call(&world, "GET", &by_number(NUMBER), "").await.json()["trade_state"].clone();
    assert_eq!(state().await, "NOTPAY");
    assert_eq!(prepay(&world, &merchant, &body).await.refusal(), (400, "INVALID_REQUEST".to_owned()));
    world.advance(Duration::from_secs(7 * 86_400));
    assert_eq!(state().await, "CLOSED");
}
