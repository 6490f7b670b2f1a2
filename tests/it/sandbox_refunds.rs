//! The sandbox's refunds: how they are made, what becomes of them, and how the merchant is told.

use serde_json::{Value, json};
use tests::http::{Client, Reply};
use tests::merchant::Message;
use tests::sandbox_shop::Shop;

const REFUNDS: &str = "/v3/refund/domestic/refunds";
const REFUND_ROUTE: &str = "/v3/refund/domestic/refunds/{out_refund_no}";
const ORDER: &str = "order-000001";

/// A shop with an order of 100 fen that is paid, and whose payment the merchant has been told of.
async fn paid_shop() -> Shop {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    shop.pay(ORDER).await;
    shop.inbox.wait_for(1).await;
    shop
}

/// The request for a refund.
fn wish(shop: &Shop, number: &str, fen: u64) -> Value {
    json!({
        "out_trade_no": ORDER,
        "out_refund_no": number,
        "reason": "退货",
        "notify_url": shop.inbox.url,
        "amount": { "refund": fen, "total": 100, "currency": "CNY" },
    })
}

async fn ask(shop: &Shop, wish: &Value) -> Message {
    shop.merchant.call(&shop.world, "POST", REFUNDS, &wish.to_string()).await
}

async fn refund(shop: &Shop, number: &str, fen: u64) -> Message {
    ask(shop, &wish(shop, number, fen)).await
}

async fn query(shop: &Shop, number: &str) -> Message {
    shop.merchant.call(&shop.world, "GET", &format!("{REFUNDS}/{number}"), "").await
}

async fn set(shop: &Shop, settings: Value) {
    shop.world.sandbox("PUT", "/refunds", settings).await;
}

async fn settle(shop: &Shop, number: &str, status: &str) -> Value {
    shop.world.sandbox("POST", "/refunds/settle", json!({ "outRefundNo": number, "status": status })).await
}

async fn order(shop: &Shop) -> Value {
    shop.world.sandbox("GET", &format!("/orders/{ORDER}"), Value::Null).await
}

/// A control that may refuse.
async fn control(shop: &Shop, path: &str, body: &Value) -> Reply {
    let url = format!("{}/sandbox{path}", shop.world.machine.sandbox_url().unwrap());
    Client::default().post(&url, &[], body).await
}

fn invalid() -> (u16, String) {
    (400, "INVALID_REQUEST".to_owned())
}

#[tokio::test]
async fn a_refund_is_accepted_succeeds_and_is_told() {
    let shop = paid_shop().await;
    let accepted = refund(&shop, "refund-1", 30).await;
    assert_eq!((accepted.status, shop.merchant.trusts(&accepted)), (200, true), "{:?}", accepted.json());
    let amount = json!({
        "total": 100, "refund": 30, "payer_total": 100, "payer_refund": 30, "settlement_refund": 30,
        "settlement_total": 100, "discount_refund": 0, "currency": "CNY",
    });
    let accepted = accepted.json();
    assert_eq!((&accepted["status"], &accepted["amount"]), (&json!("PROCESSING"), &amount));
    assert_eq!((&accepted["out_trade_no"], &accepted["success_time"]), (&json!(ORDER), &Value::Null));
    assert!(accepted["create_time"].as_str().unwrap().ends_with("+08:00"));

    let done = query(&shop, "refund-1").await;
    assert!(shop.merchant.trusts(&done));
    let done = done.json();
    assert_eq!((&done["status"], &done["refund_id"]), (&json!("SUCCESS"), &accepted["refund_id"]));
    assert!(done["success_time"].is_string());

    let told = shop.inbox.wait_for(2).await.remove(1);
    assert!(shop.merchant.trusts(&told));
    let envelope = told.json();
    assert_eq!(
        (&envelope["event_type"], &envelope["resource"]["original_type"], &envelope["summary"]),
        (&json!("REFUND.SUCCESS"), &json!("refund"), &json!("退款成功"))
    );
    let expected = json!({
        "mchid": "1900000001",
        "out_trade_no": ORDER,
        "transaction_id": accepted["transaction_id"],
        "out_refund_no": "refund-1",
        "refund_id": accepted["refund_id"],
        "refund_status": "SUCCESS",
        "success_time": done["success_time"],
        "user_received_account": done["user_received_account"],
        "amount": { "total": 100, "refund": 30, "payer_total": 100, "payer_refund": 30 },
    });
    assert_eq!(shop.merchant.open(&told), Some(expected));
    let delivery = shop.deliveries(2).await.remove(1);
    assert_eq!(
        (&delivery["eventType"], &delivery["outRefundNo"], &delivery["outTradeNo"]),
        (&json!("REFUND.SUCCESS"), &json!("refund-1"), &json!(ORDER))
    );
    let order = order(&shop).await;
    assert_eq!(
        (&order["state"], &order["refunded"], &order["refunds"][0]["status"]),
        (&json!("REFUND"), &json!(30), &json!("SUCCESS"))
    );
    let path = format!("/v3/pay/transactions/out-trade-no/{ORDER}?mchid=1900000001");
    assert_eq!(shop.merchant.call(&shop.world, "GET", &path, "").await.json()["trade_state"], "REFUND");
}

#[tokio::test]
async fn the_same_number_is_the_same_refund() {
    let shop = paid_shop().await;
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    let first = refund(&shop, "refund-1", 30).await.json();
    assert_eq!(refund(&shop, "refund-1", 30).await.json(), first);
    for other in [wish(&shop, "refund-1", 31), {
        let mut other = wish(&shop, "refund-1", 30);
        other["amount"]["total"] = 101.into();
        other
    }] {
        assert_eq!(ask(&shop, &other).await.refusal(), invalid());
    }
    let mut by_id = wish(&shop, "refund-1", 30);
    by_id.as_object_mut().unwrap().remove("out_trade_no");
    by_id["transaction_id"] = first["transaction_id"].clone();
    assert_eq!(ask(&shop, &by_id).await.json(), first);
    shop.order("order-000002").await;
    shop.pay("order-000002").await;
    let mut other = wish(&shop, "refund-1", 30);
    other["out_trade_no"] = "order-000002".into();
    assert_eq!(ask(&shop, &other).await.refusal(), invalid());
    let all = shop.world.sandbox("GET", "/refunds", Value::Null).await;
    let view = json!([{
        "outRefundNo": "refund-1", "outTradeNo": ORDER, "refundId": first["refund_id"], "refund": 30, "total": 100,
        "status": "PROCESSING", "byStaff": false, "timesRequested": 3,
    }]);
    assert_eq!((&all["refunds"], &all["settings"]["outcome"]), (&view, &json!("PROCESSING")));
}

#[tokio::test]
async fn no_more_than_the_payment_is_refunded() {
    let shop = paid_shop().await;
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    for (number, fen, status) in
        [("refund-1", 60, 200), ("refund-2", 41, 400), ("refund-3", 40, 200), ("refund-4", 1, 400)]
    {
        assert_eq!(refund(&shop, number, fen).await.status, status, "{number}");
    }
    assert_eq!(settle(&shop, "refund-1", "CLOSED").await["status"], "CLOSED");
    assert_eq!(shop.inbox.wait_for(2).await[1].json()["event_type"], "REFUND.CLOSED");
    assert_eq!(refund(&shop, "refund-1", 60).await.json()["status"], "CLOSED", "the number is used up");
    assert_eq!(refund(&shop, "refund-5", 60).await.status, 200);
    settle(&shop, "refund-3", "ABNORMAL").await;
    assert_eq!(shop.inbox.wait_for(3).await[2].json()["event_type"], "REFUND.ABNORMAL");
    assert_eq!(refund(&shop, "refund-6", 1).await.refusal(), invalid(), "what is abnormal is held");
    settle(&shop, "refund-3", "SUCCESS").await;
    assert_eq!(order(&shop).await["refunded"], 40);
    for (number, status, answer) in
        [("refund-3", "CLOSED", 400), ("refund-1", "SUCCESS", 400), ("none", "SUCCESS", 404)]
    {
        let settled = control(&shop, "/refunds/settle", &json!({ "outRefundNo": number, "status": status })).await;
        assert_eq!(settled.status, answer, "{number}");
    }
}

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
async fn a_coupon_has_its_part_of_a_refund() {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    shop.world.sandbox("POST", "/pay", json!({ "outTradeNo": ORDER, "payerTotal": 90 })).await;
    let amount = refund(&shop, "refund-1", 50).await.json()["amount"].clone();
    assert_eq!(
        (&amount["payer_total"], &amount["payer_refund"], &amount["discount_refund"]),
        (&json!(90), &json!(45), &json!(5))
    );
}

#[tokio::test]
async fn staff_refunds_and_the_merchant_is_told_or_not() {
    let shop = paid_shop().await;
    let staff = async |wish: Value| {
        let mut wish = wish;
        wish["outTradeNo"] = ORDER.into();
        shop.world.sandbox("POST", "/refunds", wish).await
    };
    let made = staff(json!({ "refundFen": 10 })).await;
    assert_eq!(
        (&made["byStaff"], &made["status"], &made["timesRequested"]),
        (&json!(true), &json!("SUCCESS"), &json!(0))
    );
    let told = shop.inbox.wait_for(2).await.remove(1);
    assert_eq!(shop.merchant.open(&told).unwrap()["out_refund_no"], made["outRefundNo"]);
    assert_eq!(query(&shop, made["outRefundNo"].as_str().unwrap()).await.json()["status"], "SUCCESS");

    staff(json!({ "refundFen": 10, "outRefundNo": "staff-1", "notify": "v2" })).await;
    let notice = shop.inbox.wait_for(3).await.remove(2);
    assert_eq!((notice.header("content-type"), notice.header("wechatpay-signature")), ("text/xml", ""));
    let xml = String::from_utf8(notice.body.clone()).unwrap();
    assert!(xml.starts_with("<xml><return_code>SUCCESS</return_code><appid>") && xml.contains("<req_info>"), "{xml}");
    let delivery = shop.deliveries(3).await.remove(2);
    assert_eq!((&delivery["eventType"], &delivery["outRefundNo"]), (&Value::Null, &json!("staff-1")));

    staff(json!({ "refundFen": 10, "outRefundNo": "staff-2", "status": "PROCESSING", "notify": "none" })).await;
    assert_eq!(settle(&shop, "staff-2", "SUCCESS").await["status"], "SUCCESS");
    assert_eq!(order(&shop).await["refunded"], 30);
    for (bad, status) in [
        (json!({ "outTradeNo": ORDER, "refundFen": 71 }), 400),
        (json!({ "outTradeNo": ORDER, "refundFen": 0 }), 400),
        (json!({ "outTradeNo": ORDER, "refundFen": 1, "outRefundNo": "staff-1" }), 400),
        (json!({ "outTradeNo": "order-000009", "refundFen": 1 }), 404),
    ] {
        assert_eq!(control(&shop, "/refunds", &bad).await.status, status, "{bad}");
    }
    assert_eq!(shop.inbox.messages().len(), 3);
}

#[tokio::test]
async fn notifications_of_refunds_are_retried_held_resent_and_forged() {
    let shop = Shop::open([204, 500, 401, 200]).await;
    shop.order(ORDER).await;
    shop.pay(ORDER).await;
    shop.inbox.wait_for(1).await;
    refund(&shop, "refund-1", 10).await;
    let messages = shop.inbox.wait_for(4).await;
    assert!(messages[1..].iter().all(|message| message.json()["id"] == messages[1].json()["id"]));

    shop.set(json!({ "hold": true, "duplicates": 1 })).await;
    refund(&shop, "refund-2", 10).await;
    refund(&shop, "refund-3", 10).await;
    assert_eq!(shop.inbox.messages().len(), 4);
    shop.set(json!({ "enabled": false })).await;
    let held = shop.inbox.messages().split_off(4);
    let number = |message| shop.merchant.open(message).unwrap()["out_refund_no"].clone();
    assert_eq!(held.iter().map(number).collect::<Vec<_>>(), ["refund-3", "refund-2"]);
    refund(&shop, "refund-4", 10).await;
    assert_eq!(shop.inbox.messages().len(), 6);
    let resent = shop.world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": "refund-4" })).await;
    assert_eq!((&resent["status"], shop.inbox.messages().len()), (&json!(204), 7));

    let forged = json!({ "outRefundNo": "refund-4", "tamper": "refund" });
    let forged = shop.world.sandbox("POST", "/notifications/forge", forged).await;
    let body: Value = serde_json::from_str(forged["body"].as_str().unwrap()).unwrap();
    let resource = tests::merchant::open(shop.merchant.text("apiV3Key"), &body["resource"]).unwrap();
    assert_eq!((&body["event_type"], &resource["amount"]["refund"]), (&json!("REFUND.SUCCESS"), &json!(11)));
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    refund(&shop, "refund-5", 10).await;
    for path in ["/notifications/forge", "/notifications/resend"] {
        assert_eq!(
            control(&shop, path, &json!({ "outRefundNo": "refund-5" })).await.status,
            400,
            "nothing to tell yet"
        );
        let two = json!({ "outRefundNo": "refund-4", "outTradeNo": ORDER });
        assert_eq!(control(&shop, path, &two).await.status, 400);
    }
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

#[tokio::test]
async fn of_refunds_at_the_same_time_no_more_is_accepted_than_was_paid() {
    let shop = paid_shop().await;
    let numbers: Vec<_> = (0..10).map(|number| format!("refund-{number}")).collect();
    let refunds = numbers.iter().map(|number| refund(&shop, number, 99));
    let answers = futures::future::join_all(refunds).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(order(&shop).await["refunded"], 99);
}
