//! What an order may be.

use local::demo_order::DEMO_PAID_ORDER;
use serde_json::{Value, json};
use tests::apps::OFFICIAL_ACCOUNT;

use super::{NUMBER, by_number, prepay, with, world};

#[tokio::test]
async fn each_field_is_checked() {
    let (world, merchant) = world().await;
    let long = |length: usize| Some("商".repeat(length).into());
    for (pointer, value, field) in [
        ("/description", None, "/description"),
        ("/description", long(128), "/description"),
        ("/description", Some("🎉".into()), "/description"),
        ("/description", Some(Value::Null), "/description"),
        ("/attach", long(129), "/attach"),
        ("/openid", Some("o".into()), "/openid"),
        ("/amount/total", Some(0.into()), "/amount/total"),
        ("/amount/total", Some(2_147_483_648_u64.into()), "/amount/total"),
        ("/amount/total", Some(1.5.into()), "/amount/total"),
        ("/amount/total", Some("100".into()), "/amount/total"),
        ("/amount/currency", Some("USD".into()), "/amount/currency"),
        ("/amount", Some(json!([100])), "/amount"),
        ("/payer/openid", Some("oNobody".into()), "/payer/openid"),
        ("/payer/name", Some("x".into()), "/payer/name"),
        ("/out_trade_no", Some("short".into()), "/out_trade_no"),
        ("/out_trade_no", Some("0".repeat(33).into()), "/out_trade_no"),
        ("/out_trade_no", Some("order 0001".into()), "/out_trade_no"),
        ("/notify_url", Some("http://example.com/pay".into()), "/notify_url"),
        ("/notify_url", Some("https://example.com/pay?a=1".into()), "/notify_url"),
        ("/time_expire", Some("2026-11-21 10:00:00".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00:00Z".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00:00+00:00".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00:00.5+08:00".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21t10:00:00+08:00".into()), "/time_expire"),
        ("/scene_info", Some(json!({ "store_info": {} })), "/scene_info/store_info/id"),
        ("/detail", Some(json!({ "goods_detail": [{ "quantity": 1 }] })), "/detail/goods_detail/0/merchant_goods_id"),
        ("/limit_pay", Some(json!([1])), "/limit_pay/0"),
    ] {
        let refused = prepay(&world, &merchant, &with(pointer, value)).await;
        assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()), "{pointer} {:?}", refused.json());
        assert_eq!(refused.json()["detail"]["field"], field);
    }
    for (body, code) in [
        (with("/appid", Some("wxnobody".into())), "APPID_MCHID_NOT_MATCH"),
        (with("/appid", Some(OFFICIAL_ACCOUNT.into())), "APPID_MCHID_NOT_MATCH"),
        (with("/mchid", Some("1900000002".into())), "INVALID_REQUEST"),
        ("[]".to_owned(), "PARAM_ERROR"),
        ("{".to_owned(), "PARAM_ERROR"),
    ] {
        assert_eq!(prepay(&world, &merchant, &body).await.refusal(), (400, code.to_owned()), "{body}");
    }
    let no_mchid = by_number(NUMBER).replace("?mchid=1900000001", "");
    assert_eq!(merchant.call(&world, "GET", &no_mchid, "").await.refusal(), (400, "PARAM_ERROR".to_owned()));
    let orders = world.sandbox("GET", "/orders", Value::Null).await;
    let numbers: Vec<_> = orders["orders"].as_array().unwrap().iter().map(|order| &order["outTradeNo"]).collect();
    assert_eq!(numbers, [DEMO_PAID_ORDER], "none of them was made");
}
