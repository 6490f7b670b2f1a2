//! The sandbox's people pay, and its WeChat Pay tells the merchant.

use std::os::unix::fs::PermissionsExt as _;

use axum::http::HeaderMap;
use local::pay_keys::PayKeys;
use local::sample;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::merchant::Message;
use tests::root;
use tests::sandbox_shop::Shop;

#[tokio::test]
async fn a_payment_is_told_until_it_is_heard() {
    let shop = Shop::open([500, 404, 302, 201, 200]).await;
    let prepay_id = shop.order("order-000001").await;
    assert_eq!(shop.request(json!({ "payment": shop.payment(&prepay_id), "user": "demo" })).await, "requestPayment:ok");
    let deliveries = shop.deliveries(5).await;
    let statuses: Vec<_> = deliveries.iter().map(|delivery| delivery["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [500, 404, 302, 201, 200]);
    let messages = shop.inbox.messages();
    for message in &messages {
        assert!(shop.merchant.trusts(message));
        assert_eq!(message.json()["id"], messages[0].json()["id"]);
        assert_eq!(shop.merchant.open(message), shop.merchant.open(&messages[0]));
    }
    let query = "/v3/pay/transactions/out-trade-no/order-000001?mchid=1900000001";
    let mut transaction = shop.merchant.call(&shop.world, "GET", query, "").await.json();
    // Only an answer has what is empty.
    assert_eq!(transaction.as_object_mut().unwrap().remove("promotion_detail"), Some(json!([])));
    assert_eq!(shop.merchant.open(&messages[0]), Some(transaction.clone()));
    let envelope = messages[0].json();
    assert_eq!(envelope["id"].as_str().unwrap().len(), 36);
    assert_eq!(
        (&envelope["event_type"], &envelope["resource_type"]),
        (&json!("TRANSACTION.SUCCESS"), &json!("encrypt-resource"))
    );
    let resource = &envelope["resource"];
    assert_eq!(
        (&resource["algorithm"], &resource["associated_data"]),
        (&json!("AEAD_AES_256_GCM"), &json!("transaction"))
    );
    let order = shop.world.sandbox("GET", "/orders/order-000001", Value::Null).await;
    assert_eq!((&order["state"], &order["timesPaid"]), (&json!("SUCCESS"), &json!(1)));
    assert_eq!(
        (&order["transactionId"], &order["notifications"]),
        (&transaction["transaction_id"], &json!(deliveries))
    );
}

#[tokio::test]
async fn a_phone_takes_only_what_the_merchant_has_signed() {
    let shop = Shop::open([]).await;
    let prepay_id = shop.order("order-000001").await;
    let good = shop.payment(&prepay_id);
    for (name, value) in [
        ("timeStamp", json!("1")),
        ("nonceStr", json!("other")),
        ("package", json!("prepay_id=wx00000000000000000000000000000000000")),
        ("package", json!(prepay_id)),
        ("signType", json!("MD5")),
        ("paySign", json!("AAAA")),
        ("timeStamp", json!(1_554_208_460)),
        ("paySign", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let answer = shop.request(json!({ "payment": bad })).await;
        assert!(answer.starts_with("requestPayment:fail "), "{name}: {answer}");
    }
    let other_app = shop.merchant.payment("wxother", &prepay_id, shop.world.now().into());
    assert!(shop.request(json!({ "payment": other_app })).await.starts_with("requestPayment:fail "));
    let somebody = shop.world.person(Value::Null).await;
    let answer = shop.request(json!({ "payment": good, "user": somebody })).await;
    assert!(answer.starts_with("requestPayment:fail "), "{answer}");
    assert_eq!(shop.request(json!({ "payment": good, "outcome": "cancel" })).await, "requestPayment:fail cancel");
    assert!(shop.request(json!({ "payment": good, "outcome": "fail" })).await.starts_with("requestPayment:fail "));
    assert_eq!(shop.world.sandbox("GET", "/orders/order-000001", Value::Null).await["timesPaid"], 0);

    assert_eq!(shop.request(json!({ "payment": good })).await, "requestPayment:ok");
    assert_eq!(shop.request(json!({ "payment": good })).await, "requestPayment:fail 该订单已支付");
    let late = shop.order("order-000002").await;
    shop.world.advance(std::time::Duration::from_secs(2 * 3600));
    let answer = shop.request(json!({ "payment": shop.payment(&late) })).await;
    assert!(answer.starts_with("requestPayment:fail "), "{answer}");
}

#[tokio::test]
async fn notifications_come_twice_and_after_probes() {
    let shop = Shop::open([401]).await;
    shop.set(json!({ "duplicates": 2, "signtestEvery": 1 })).await;
    shop.order("order-000001").await;
    shop.pay("order-000001").await;
    let messages = shop.inbox.wait_for(4).await;
    let probe = &messages[0];
    assert!(probe.header("wechatpay-signature").starts_with("WECHATPAY/SIGNTEST/"));
    assert!(!shop.merchant.trusts(probe));
    assert!(messages[1..].iter().all(|message| shop.merchant.trusts(message)));
    let deliveries = shop.deliveries(4).await;
    assert_eq!((&deliveries[0]["isProbe"], &deliveries[0]["status"]), (&json!(true), &json!(401)));
    let real = |delivery: &Value| delivery["isProbe"] == false && delivery["eventId"] == deliveries[0]["eventId"];
    assert_eq!((deliveries.len(), deliveries[1..].iter().all(real)), (4, true));
}

#[tokio::test]
async fn notifications_are_held_turned_round_lost_and_switched_off() {
    let shop = Shop::open([]).await;
    let numbers = ["order-000001", "order-000002", "order-000003", "order-000004"];
    for number in numbers {
        shop.order(number).await;
    }
    shop.set(json!({ "hold": true, "dropEvery": 2 })).await;
    for number in &numbers[..3] {
        shop.pay(number).await;
    }
    assert_eq!(shop.inbox.messages().len(), 0);
    shop.set(json!({ "enabled": false })).await;
    assert_eq!(shop.numbers(&shop.inbox.messages()), ["order-000003", "order-000001"]);
    shop.pay(numbers[3]).await;
    assert_eq!(shop.inbox.messages().len(), 2);
    let resent = shop.world.sandbox("POST", "/notifications/resend", json!({ "outTradeNo": numbers[3] })).await;
    assert_eq!(resent["status"], 204);
    let last = shop.inbox.messages().remove(2);
    assert_eq!(last.json()["id"], resent["eventId"]);
}

/// A forged notification, as it would come.
async fn forge(shop: &Shop, wish: Value) -> Message {
    let forged = shop.world.sandbox("POST", "/notifications/forge", wish).await;
    let mut headers = HeaderMap::new();
    for (name, value) in forged["headers"].as_object().unwrap() {
        let name = axum::http::HeaderName::try_from(name).unwrap();
        headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    Message { status: 0, headers, body: forged["body"].as_str().unwrap().as_bytes().to_vec() }
}

#[tokio::test]
async fn a_forged_notification_has_the_one_thing_wrong() {
    let shop = Shop::open([]).await;
    shop.order("order-000001").await;
    shop.pay("order-000001").await;
    let good = forge(&shop, json!({ "outTradeNo": "order-000001" })).await;
    assert!(shop.merchant.trusts(&good));
    assert_eq!(shop.merchant.open(&good).unwrap()["out_trade_no"], "order-000001");
    for (tamper, trusted, opens) in [
        ("signature", false, true),
        ("body", false, true),
        ("serial", false, true),
        ("nonce", false, true),
        ("missing", false, true),
        ("signtest", false, true),
        ("timestamp", true, true),
        ("amount", true, true),
        ("aad", true, false),
        ("key", true, false),
        ("algorithm", true, true),
    ] {
        let forged = forge(&shop, json!({ "outTradeNo": "order-000001", "tamper": tamper })).await;
        let outcome = (shop.merchant.trusts(&forged), shop.merchant.open(&forged).is_some());
        assert_eq!(outcome, (trusted, opens), "{tamper}");
    }
    let refund = json!({
        "resource": { "refund_status": "SUCCESS", "amount": { "total": 100 } },
        "eventType": "REFUND.SUCCESS",
        "originalType": "refund",
        "timestampOffsetSecs": -301,
    });
    let forged = forge(&shop, refund).await;
    let time = Timestamp::from(shop.world.now()).as_secs() - 301;
    assert_eq!((forged.header("wechatpay-timestamp"), shop.merchant.trusts(&forged)), (&*time.to_string(), true));
    let envelope = forged.json();
    assert_eq!((&envelope["event_type"], &envelope["summary"]), (&json!("REFUND.SUCCESS"), &json!("退款成功")));
    assert_eq!(envelope["resource"]["original_type"], "refund");
    assert_eq!(shop.merchant.open(&forged).unwrap()["refund_status"], "SUCCESS");
}

#[tokio::test]
async fn a_sample_event_cannot_be_tampered_with_in_vain() {
    let shop = Shop::open([]).await;
    let now = shop.world.now();
    let mut event = sample::fresh(&root(), "pay-notify", "valid", now).unwrap();
    event["sample"] = json!({ "tamper": "amount" });
    let err = sample::sign(event, shop.world.machine.pay_keys(), now).unwrap_err();
    assert_eq!(err.to_string(), "`tamper` of the event changes nothing: what is encrypted can say it itself");
}

/// A sample event of `pay-notify`, as it comes to this merchant.
fn sample_of(shop: &Shop, case: &str) -> Message {
    let event = sample::fresh(&root(), "pay-notify", case, shop.world.now()).unwrap();
    let event = sample::sign(event, shop.world.machine.pay_keys(), shop.world.now()).unwrap();
    assert_eq!(event.get("sample"), None);
    let mut headers = HeaderMap::new();
    for (name, value) in event["headers"].as_object().unwrap() {
        let name = axum::http::HeaderName::from_lowercase(name.as_bytes()).unwrap();
        headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    let message = Message { status: 0, headers, body: event["body"].as_str().unwrap().as_bytes().to_vec() };
    assert_eq!(message.header("content-length"), message.body.len().to_string());
    message
}

#[tokio::test]
async fn the_sample_events_are_signed_by_the_machine_that_runs() {
    let shop = Shop::open([]).await;
    let now = Timestamp::from(shop.world.now()).as_secs();
    for (case, trusted, time, pointer, value) in [
        ("valid", true, now, "/amount/total", json!(100)),
        ("unknown-order", true, now, "/out_trade_no", json!("noOrder0000000000000000000000001")),
        ("wrong-amount", true, now, "/amount/total", json!(1)),
        ("refund", true, now, "/refund_status", json!("SUCCESS")),
        ("signtest", false, now, "/amount/total", json!(100)),
        ("stale", true, now - 360, "/amount/total", json!(100)),
        ("tampered", false, now, "/amount/total", json!(100)),
    ] {
        let message = sample_of(&shop, case);
        assert_eq!(
            (shop.merchant.trusts(&message), message.header("wechatpay-timestamp")),
            (trusted, &*time.to_string())
        );
        assert_eq!(shop.merchant.open(&message).unwrap().pointer(pointer), Some(&value), "{case}");
    }
    let xml = sample_of(&shop, "not-json");
    assert!(shop.merchant.trusts(&xml) && xml.body.starts_with(b"<xml>"));
    assert_eq!(sample::cases(&root(), "pay-notify").len(), 8);
}

#[tokio::test]
async fn the_keys_are_written_for_sample_events_and_for_nobody_else() {
    let shop = Shop::open([]).await;
    let name = format!("wechat-functions-{}.json", shared::random::base64url::<12>());
    let path = std::env::temp_dir().join(name);
    shop.world.machine.write_pay_keys(path.clone()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    let keys = PayKeys::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    let now = shop.world.now();
    let event = sample::fresh(&root(), "pay-notify", "valid", now).unwrap();
    let signed = sample::sign(event, &keys, now).unwrap();
    assert_eq!(signed["headers"]["wechatpay-serial"], shop.merchant.config["publicKeyId"]);
    assert!(PayKeys::read(&path).is_err());
}
