//! What an order may be.

use std::time::Duration;

use local::demo_order::DEMO_PAID_ORDER;
use serde_json::{Value, json};
use shared::clock::Timestamp;
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
        ("/time_expire", Some("2099-11-21T10:00:00".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00Z".into()), "/time_expire"),
        ("/time_expire", Some("2099-13-21T10:00:00Z".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00:00+08:00[Asia/Shanghai]".into()), "/time_expire"),
        ("/time_expire", Some("2099-11-21T10:00:00+08:00".into()), "/time_expire"),
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

#[tokio::test]
async fn the_time_of_its_end_may_be_in_any_form_of_rfc_3339() {
    let (world, merchant) = world().await;
    let end = Timestamp::from(world.now()) + Duration::from_secs(1800);
    let in_china = end.to_rfc3339_china();
    let in_utc = Timestamp::from_secs(end.as_secs() - 8 * 3600).to_rfc3339_china();
    let (china, utc) = (in_china.trim_end_matches("+08:00"), in_utc.trim_end_matches("+08:00"));
    for (at, time) in [
        in_china.clone(),
        format!("{utc}Z"),
        format!("{utc}+00:00"),
        format!("{utc}.000Z"),
        format!("{china}.123+08:00"),
        format!("{china}.123456789+08:00"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("order-{at:06}");
        let mut order = super::order();
        order["out_trade_no"] = number.as_str().into();
        order["time_expire"] = time.as_str().into();
        let made = prepay(&world, &merchant, &order.to_string()).await;
        assert_eq!(made.status, 200, "{time}: {:?}", made.json());
        let order = world.sandbox("GET", &format!("/orders/{number}"), Value::Null).await;
        assert_eq!(order["expiresAt"], in_china, "{time}");
    }
}

#[tokio::test]
async fn a_store_may_be_named_by_its_id_alone() {
    let (world, merchant) = world().await;
    let scene = json!({ "payer_client_ip": "14.23.150.211", "store_info": { "id": "0001" } });
    let made = prepay(&world, &merchant, &with("/scene_info", Some(scene))).await;
    assert_eq!(made.status, 200, "{:?}", made.json());
}
