//! `pay-notify`: what WeChat Pay tells is taken once, however it comes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use local::sample;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::notifications::Notice;
use tests::orders::{QUERY, cart, number};
use tests::root;
use tests::world::{World, reply};

/// An order that was paid, of which nobody has told yet.
async fn paid(world: &World, caller: &Caller, key: &str) -> String {
    let number = number(&caller.order(world, key, &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&number).await;
    number
}

#[tokio::test]
async fn a_payment_is_taken_and_answered_with_nothing() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let reply = Notice::of(&world, &number).await.send(&world).await;
    assert_eq!((reply.status, reply.body), (204, Vec::new()));
    let row = world.order_row(&number).await;
    assert_eq!(row.story(), "NOTPAY create, SUCCESS notify");
    assert_eq!(row.transaction_id.unwrap(), world.order_at_wechat(&number).await["transactionId"]);
    assert_eq!((world.open_orders(&caller).await, world.stock("demo-mug").await), (0, Some(199)));
    // It never calls out, and neither does a query of what is paid.
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
    let calls = world.sandbox("GET", "/calls", Value::Null).await;
    let to_pay =
        calls["calls"].as_array().unwrap().iter().filter(|call| call["path"].as_str().unwrap().starts_with("/v3/"));
    assert_eq!(to_pay.count(), 1, "the order's own");
}

#[tokio::test]
async fn of_twenty_copies_at_once_one_changes_something() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let notice = Notice::of(&world, &number).await;
    let replies = join_all((0..20).map(|_| notice.send(&world))).await;
    assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify");
    assert_eq!(world.open_orders(&caller).await, 0);
    for _ in 0..3 {
        assert_eq!(notice.send(&world).await.status, 204);
    }
    // Encrypted and signed anew, it is the same.
    assert_eq!(Notice::of(&world, &number).await.send(&world).await.status, 204);
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify");
    assert_eq!((world.open_orders(&caller).await, world.quarantine().await.len()), (0, 0));
}

#[tokio::test]
async fn a_query_at_the_same_moment_is_one_payment_too() {
    let world = World::start().await;
    let caller = world.caller().await;
    for at in 0..5 {
        let number = paid(&world, &caller, &at.to_string()).await;
        let notice = Notice::of(&world, &number).await;
        let queries = join_all((0..5).map(|_| caller.query_order(&world, &number)));
        let (told, asked) = tokio::join!(join_all((0..5).map(|_| notice.send(&world))), queries);
        assert!(told.iter().all(|reply| reply.status == 204) && asked.iter().all(|reply| reply.status == 200));
        let row = world.order_row(&number).await;
        assert_eq!((row.state.as_str(), row.history.len()), ("SUCCESS", 2), "{}", row.story());
        assert_eq!(world.open_orders(&caller).await, 0);
    }
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn the_content_type_says_nothing() {
    let world = World::start().await;
    let caller = world.caller().await;
    let content_types = ["application/json; charset=utf-8", "text/plain", "text/xml", "application/octet-stream", "x"];
    for (at, content_type) in content_types.into_iter().enumerate() {
        let number = paid(&world, &caller, &at.to_string()).await;
        assert_eq!(Notice::of(&world, &number).await.send_as(&world, content_type).await.status, 204, "{content_type}");
        assert_eq!(world.order_row(&number).await.state, "SUCCESS", "{content_type}");
    }
}

#[tokio::test]
async fn the_gateway_may_write_headers_and_body_in_its_own_way() {
    let world = World::start().await;
    let caller = world.caller().await;
    let instance = world.instance("pay-notify").await;
    let as_it_is = |event: Value| event;
    let in_base64 = |mut event: Value| {
        event["body"] = STANDARD.encode(event["body"].as_str().unwrap()).into();
        event["isBase64Encoded"] = true.into();
        event
    };
    let shouting = |mut event: Value| {
        let headers = event["headers"].as_object().unwrap().iter();
        let headers: Value = headers.map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
        event["headers"] = headers;
        event
    };
    let as_sent = |mut event: Value| {
        let headers = event["headers"].as_object().unwrap().iter();
        let headers: Value =
            headers.map(|(name, value)| (name.replace("wechatpay-", "Wechatpay-"), value.clone())).collect();
        event["headers"] = headers;
        event
    };
    let untyped = |mut event: Value| {
        event["headers"].as_object_mut().unwrap().remove("wechatpay-signature-type").unwrap();
        event
    };
    let ways: [(&str, &dyn Fn(Value) -> Value); 5] = [
        ("as it is", &as_it_is),
        ("in base64", &in_base64),
        ("shouting", &shouting),
        ("as sent", &as_sent),
        ("without a type of signature", &untyped),
    ];
    for (way, write) in ways {
        let number = paid(&world, &caller, &way.replace(' ', "-")).await;
        let event = write(Notice::of(&world, &number).await.event());
        let reply = reply(&instance.invoke(event.to_string().into(), world.now()).await.unwrap());
        assert_eq!((reply.status, reply.body), (204, Vec::new()), "{way}");
        assert_eq!(world.order_row(&number).await.state, "SUCCESS", "{way}");
    }
}

#[tokio::test]
async fn what_was_not_there_yet_may_be_in_it() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let wish = json!({ "outTradeNo": number, "tamper": "extraFields" });
    assert_eq!(Notice::forge(&world, wish).await.send(&world).await.status, 204);
    assert_eq!(world.order_row(&number).await.state, "SUCCESS");
}

#[tokio::test]
async fn a_coupon_that_pays_a_part_makes_it_no_less_paid() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await);
    world.sandbox("POST", "/pay", json!({ "outTradeNo": number, "payerTotal": 0, "notify": false })).await;
    assert_eq!(Notice::of(&world, &number).await.send(&world).await.status, 204);
    assert_eq!((world.order_row(&number).await.state.as_str(), world.quarantine().await.len()), ("SUCCESS", 0));
}

/// On AWS another method comes by a function URL alone: the API has no route for it.
#[tokio::test]
async fn another_method_is_refused_in_the_form_of_wechat_pay() {
    let world = World::start().await;
    let instance = world.instance("pay-notify").await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let mut event = sample::read(&root(), "pay-notify", "tampered").unwrap();
        event["requestContext"]["http"]["method"] = method.into();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply = reply(&result);
        assert_eq!((reply.status, reply.json), (405, json!({ "code": "FAIL", "message": "use POST" })), "{method}");
    }
    assert_eq!(world.count_of(QUERY).await, 0);
}
