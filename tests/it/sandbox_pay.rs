//! The sandbox is WeChat Pay: orders, queries, closing, and what it refuses.

use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::merchant::{Merchant, Message, is_signed, public_key};
use tests::world::World;

const JSAPI: &str = "/v3/pay/transactions/jsapi";
const NUMBER: &str = "order-000001";

fn by_number(number: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{number}?mchid=1900000001")
}

fn close(number: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{number}/close")
}

/// An order of the demo user's, as small as it can be.
fn order() -> Value {
    json!({
        "appid": MINI_PROGRAM,
        "mchid": "1900000001",
        "description": "商品",
        "out_trade_no": NUMBER,
        "notify_url": "http://127.0.0.1:1/pay-notify",
        "amount": { "total": 100, "currency": "CNY" },
        "payer": { "openid": "oDemoUserOfTheLocalMachine_0" },
    })
}

/// The order with another value at a JSON pointer, or without it.
fn with(pointer: &str, value: Option<Value>) -> String {
    let (mut order, (parent, name)) = (order(), pointer.rsplit_once('/').unwrap());
    let parent = order.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    order.to_string()
}

async fn world() -> (World, Merchant) {
    let world = World::start().await;
    let merchant = Merchant::of(&world);
    (world, merchant)
}

async fn prepay(world: &World, merchant: &Merchant, body: &str) -> Message {
    merchant.call(world, "POST", JSAPI, body).await
}

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
        "amount": { "total": 100, "currency": "CNY" },
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
    assert_eq!(id.len(), 28);
    let by_id = format!("/v3/pay/transactions/id/{id}?mchid=1900000001");
    assert_eq!(merchant.call(&world, "GET", &by_id, "").await.json(), paid);
}

#[tokio::test]
async fn the_same_bytes_again_are_the_same_order_and_others_are_refused() {
    let (world, merchant) = world().await;
    let body = order().to_string();
    let first = prepay(&world, &merchant, &body).await.json();
    assert_eq!(prepay(&world, &merchant, &body).await.json(), first);
    for changed in [with("/amount/total", Some(101.into())), format!("{body} ")] {
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
        let time = jiff_time(Timestamp::from(world.now()) + Duration::from_secs(secs));
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

/// RFC 3339 in Beijing.
fn jiff_time(time: Timestamp) -> String {
    const DAY: u64 = 86_400;
    let beijing = time.as_secs() + 8 * 3600;
    // Days since 0000-03-01. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let days = beijing / DAY + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute, second) = (beijing % DAY / 3600, beijing % 3600 / 60, beijing % 60);
    format!("{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+08:00", year + era * 400)
}

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
    assert_eq!(orders, json!({ "orders": [] }), "none of them was made");
}

#[tokio::test]
async fn a_request_has_to_be_signed_byte_for_byte() {
    let (world, merchant) = world().await;
    let (path, body, now) = (by_number("nobody"), "", Timestamp::from(world.now()));
    let good = merchant.authorization("GET", &path, body, now);
    let send = async |authorization: &str, accept: &str, agent: &str| {
        let headers = [("accept", accept), ("user-agent", agent), ("authorization", authorization)];
        merchant.send("GET", &path, &headers, body).await
    };
    // Twice: a failover sends the same signed request to another host.
    for _ in 0..2 {
        assert_eq!(send(&good, "*/*", "test").await.refusal(), (404, "ORDER_NOT_EXIST".to_owned()));
    }
    for (accept, agent) in [("", "test"), ("*/*", "")] {
        let refused = send(&good, accept, agent).await;
        assert_eq!(refused.refusal(), (400, "INVALID_REQUEST".to_owned()));
        assert_eq!(refused.json()["message"], "Http头缺少Accept或User-Agent");
    }
    let later = |secs: u64| merchant.authorization("GET", &path, body, now + Duration::from_secs(secs));
    let earlier = Timestamp::from_secs(now.as_secs() - 301);
    for bad in [
        String::new(),
        good.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SHA256-RSA2049"),
        good.replace("mchid=\"1900000001\"", "mchid=\"1900000002\""),
        good.replace(merchant.text("serialNo"), &merchant.text("serialNo").to_lowercase()),
        good.replace(&format!("timestamp=\"{}\"", now.as_secs()), &format!("timestamp=\"{}\"", now.as_secs() + 1)),
        good.replace("mchid=", "mchid=\"1900000001\",mchid="),
        later(301),
        merchant.authorization("GET", &path, body, earlier),
        merchant.authorization("POST", &path, body, now),
        merchant.authorization("GET", &path.replace("?mchid=1900000001", ""), body, now),
        merchant.authorization("GET", &path, " ", now),
    ] {
        let refused = send(&bad, "*/*", "test").await;
        assert_eq!(refused.refusal(), (401, "SIGN_ERROR".to_owned()), "{bad}");
        assert_eq!((refused.header("wechatpay-signature"), refused.header("request-id")), ("", ""));
    }
    assert_eq!(send(&later(300), "*/*", "test").await.status, 404);
}

#[tokio::test]
async fn who_names_no_public_key_gets_the_signature_of_a_certificate() {
    let (world, merchant) = world().await;
    prepay(&world, &merchant, &order().to_string()).await;
    let path = by_number(NUMBER);
    let authorization = merchant.authorization("GET", &path, "", world.now().into());
    let headers = [("accept", "*/*"), ("authorization", authorization.as_str())];
    let answer = merchant.send("GET", &path, &headers, "").await;
    assert_eq!((answer.status, answer.header("wechatpay-serial").len()), (200, 40));
    assert!(!is_signed(&public_key(merchant.text("publicKey")), &answer));
}

#[tokio::test]
async fn there_is_nothing_else_under_v3() {
    let (world, merchant) = world().await;
    for (method, path, status) in [
        ("GET", "/v3/certificates", 404),
        ("POST", "/v3/refund/domestic/refunds", 404),
        ("GET", JSAPI, 405),
        ("POST", &by_number(NUMBER), 405),
    ] {
        let answer = merchant.call(&world, method, path, "").await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{method} {path}");
    }
}

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
        json!({ "path": format!("{query}/close"), "tamper": "body" }),
        json!({ "path": "/sns/jscode2session", "tamper": "signature" }),
        json!({ "path": "/sns/jscode2session", "code": "SYSTEM_ERROR", "status": 500 }),
    ] {
        let url = format!("{}/sandbox/faults", world.machine.sandbox_url().unwrap());
        assert_eq!(tests::http::Client::default().post(&url, &[], &fault).await.status, 400, "{fault}");
    }
}
