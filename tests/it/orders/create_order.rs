//! `create-order`: what an order costs, what WeChat Pay is told of it, and what the client gets for it.

use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::orders::{cart, number};
use tests::world::World;

#[tokio::test]
async fn an_order_is_made_paid_and_told_of() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 1250, None).await;
    let order = caller.order(&world, "key", &cart(&[("tea", 3)])).await;
    assert_eq!(order["totalFen"], 3750);
    let number = number(&order);
    assert!((6..=32).contains(&number.len()), "{number}");
    assert!(number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{number}");
    // The sandbox verifies paySign.
    assert_eq!(world.request_payment(&order["payment"]).await, "requestPayment:ok");
    while world.order_row(&number).await.state != "SUCCESS" {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify");
    let reply = caller.query_order(&world, &number).await.json;
    let transaction_id = world.order_at_wechat(&number).await["transactionId"].take();
    let paid_at = Timestamp::from(world.now()).to_rfc3339_china();
    let expected = json!({
        "outTradeNo": number, "status": "SUCCESS", "totalFen": 3750, "refundedFen": 0,
        "transactionId": transaction_id, "paidAt": paid_at,
    });
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn the_reply_is_what_wx_request_payment_takes_and_no_more() {
    let world = World::start().await;
    let caller = world.caller().await;
    let order = caller.order(&world, "key", &cart(&[("demo-sticker", 1)])).await;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&order), ["outTradeNo", "payment", "totalFen"]);
    let payment = &order["payment"];
    assert_eq!(names(payment), ["nonceStr", "package", "paySign", "signType", "timeStamp"]);
    assert_eq!(payment["timeStamp"], Timestamp::from(world.now()).as_secs().to_string());
    assert_eq!(payment["signType"], "RSA");
    assert!(payment["package"].as_str().unwrap().starts_with("prepay_id=wx"));
    assert!((16..=32).contains(&payment["nonceStr"].as_str().unwrap().len()));
    assert_eq!(world.request_payment(payment).await, "requestPayment:ok");
}

#[tokio::test]
async fn wechat_pay_is_told_our_prices_our_time_and_our_url() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let caller = world.caller().await;
    world.put_product("tea", 1250, None).await;
    world.put_product("cup", 99, Some(7)).await;
    let order = caller.order(&world, "key", &cart(&[("tea", 2), ("cup", 3)])).await;
    let sent = proxy.take();
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    let state = world.sandbox("GET", "/state", Value::Null).await;
    let expires_at = Timestamp::from(world.now()) + Duration::from_secs(1800);
    let expected = json!({
        "appid": MINI_PROGRAM,
        "mchid": "1900000001",
        "description": "商品 tea 等5件",
        "out_trade_no": order["outTradeNo"],
        "time_expire": expires_at.to_rfc3339_china(),
        "notify_url": format!("{}/pay-notify", world.machine.gateway_url()),
        "amount": { "total": 2797, "currency": "CNY" },
        "payer": { "openid": state["users"][&caller.person]["openids"][MINI_PROGRAM] },
    });
    assert_eq!((sent.line.as_str(), sent.json()), ("POST /v3/pay/transactions/jsapi", expected));
    assert_eq!((sent.header("accept"), sent.header("content-type")), ("application/json", "application/json"));
    assert!(!sent.header("user-agent").is_empty() && sent.header("wechatpay-serial").starts_with("PUB_KEY_ID_"));
}

#[tokio::test]
async fn the_time_to_pay_is_configured() {
    for secs in ["60", "7000"] {
        let world = World::start_with([("ORDER_TTL_SECS", secs)]).await;
        let caller = world.caller().await;
        let number = caller.buy(&world, "demo-sticker").await;
        let expires_at = Timestamp::from(world.now()) + Duration::from_secs(secs.parse().unwrap());
        assert_eq!(world.order_at_wechat(&number).await["expiresAt"], expires_at.to_rfc3339_china());
    }
}

#[tokio::test]
async fn an_order_keeps_the_prices_of_its_time() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 100, None).await;
    let before = caller.order(&world, "before", &cart(&[("tea", 1)])).await;
    world.put_product("tea", 200, None).await;
    let after = caller.order(&world, "after", &cart(&[("tea", 1)])).await;
    assert_eq!((&before["totalFen"], &after["totalFen"]), (&json!(100), &json!(200)));
    assert_eq!(caller.order(&world, "before", &cart(&[("tea", 1)])).await["totalFen"], 100);
    assert_eq!(world.order_at_wechat(&number(&before)).await["total"], 100);
}

#[tokio::test]
async fn fifty_products_are_one_order() {
    let world = World::start().await;
    let caller = world.caller().await;
    let skus: Vec<_> = (1..=50).map(|at| format!("p{at}")).collect();
    for sku in &skus {
        world.put_product(sku, 3, Some(9999)).await;
    }
    let lines: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 9999)).collect();
    let order = caller.order(&world, "key", &cart(&lines)).await;
    assert_eq!(order["totalFen"], 50 * 3 * 9999);
    for sku in &skus {
        assert_eq!(world.stock(sku).await, Some(0), "{sku}");
    }
    world.close_at_wechat(&number(&order)).await;
    assert_eq!(caller.status_of(&world, &number(&order)).await, "CLOSED");
    for sku in &skus {
        assert_eq!(world.stock(sku).await, Some(9999), "{sku}");
    }
}

#[tokio::test]
async fn what_a_product_is_called_does_not_keep_it_from_being_sold() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (sku, name) in [("emoji", "🍵"), ("long", &*"茶".repeat(200)), ("control", "a\u{0}\nb"), ("quote", "\"\\")] {
        let row = json!({ "pk": format!("PRODUCT#{sku}"), "sk": "PRODUCT", "sku": sku, "name": name, "priceFen": 1 });
        world.put(row).await;
        assert_eq!(caller.order(&world, sku, &cart(&[(sku, 1)])).await["totalFen"], 1);
    }
}

#[tokio::test]
async fn only_sessions_of_mini_programs_can_order() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let caller = world.log_in(&person, app_id).await;
        let reply = caller.create_order(&world, "key", &cart(&[("demo-sticker", 1)])).await;
        let expected = json!({ "code": "wrong_app_kind", "message": reply.json["message"] });
        assert_eq!(reply.without_id(), (400, expected), "{app_id}");
    }
    let nobody = tests::callers::Caller { token: "x".repeat(43), ..world.caller().await };
    let reply = nobody.create_order(&world, "key", &json!({})).await;
    assert_eq!((reply.status, reply.code()), (401, "session_invalid"));
    let reply = world.call("create-order", None, cart(&[("demo-sticker", 1)])).await;
    assert_eq!((reply.status, reply.code()), (401, "session_invalid"));
    assert_eq!((world.claims().await, world.prepaid_numbers().await.len()), (0, 0));
}

#[tokio::test]
async fn a_user_of_two_mini_programs_pays_in_the_one_that_the_session_is_of() {
    let apps = json!([
        { "appId": MINI_PROGRAM, "appSecret": "s", "kind": "mini-program" },
        { "appId": "wx9876543210fedcba", "appSecret": "s", "kind": "mini-program" },
    ]);
    let world = World::start_with([("WECHAT_APPS", &apps.to_string())]).await;
    let person = world.person(true.into()).await;
    let [first, second] =
        [world.log_in(&person, MINI_PROGRAM).await, world.log_in(&person, "wx9876543210fedcba").await];
    assert_eq!(first.id, second.id);
    let body = cart(&[("demo-sticker", 1)]);
    first.order(&world, "key", &body).await;
    // A prepay_id of the one app is no good in the other.
    assert_eq!(second.create_order(&world, "key", &body).await.code(), "idempotency_key_reused");
    let order = second.order(&world, "other", &body).await;
    assert_eq!(world.order_at_wechat(&number(&order)).await["appId"], "wx9876543210fedcba");
    assert_eq!(world.request_payment(&order["payment"]).await, "requestPayment:ok");
    while first.status_of(&world, &number(&order)).await != "SUCCESS" {
        world.advance(Duration::from_secs(3));
    }
}
