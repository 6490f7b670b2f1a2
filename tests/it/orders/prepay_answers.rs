//! Answers of WeChat Pay that say nothing: the order stays, and is gone on with by the same number and the same bytes.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tests::orders::{PREPAY, cart, number};
use tests::world::World;

/// After this, whoever asks for a prepay_id is taken for dead.
const LEASE: Duration = Duration::from_secs(4);

/// What may be wrong with the signature of an answer.
const TAMPERS: [&str; 8] =
    ["signature", "body", "serial", "timestamp", "futureTimestamp", "nonce", "missing", "signtest"];

fn faults() -> Vec<Value> {
    let tampers = TAMPERS.map(|tamper| json!({ "tamper": tamper }));
    let others = [
        json!({ "status": 500 }),
        json!({ "status": 502 }),
        json!({ "status": 503 }),
        json!({ "status": 200 }),
        json!({ "status": 202 }),
        json!({ "status": 204 }),
        json!({ "emptyBody": true }),
        json!({ "drop": "before" }),
        json!({ "drop": "after" }),
    ];
    tampers.into_iter().chain(others).collect()
}

#[tokio::test]
async fn one_of_them_costs_a_second_try() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "100")]).await;
    let caller = world.caller().await;
    for (at, fault) in faults().into_iter().enumerate() {
        let before = world.count_of(PREPAY).await;
        world.fault(PREPAY, fault.clone()).await;
        let order = caller.order(&world, &at.to_string(), &cart(&[("demo-sticker", 1)])).await;
        assert_eq!(world.prepaid_numbers().await.split_off(before), vec![number(&order); 2], "{fault}");
        assert_eq!(world.request_payment(&order["payment"]).await, "requestPayment:ok", "{fault}");
    }
}

#[tokio::test]
async fn when_there_is_no_end_of_them_a_later_repeat_goes_on() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "100")]).await;
    let caller = world.caller().await;
    let body = cart(&[("demo-mug", 1)]);
    for (at, mut fault) in faults().into_iter().enumerate() {
        let (key, before) = (at.to_string(), world.count_of(PREPAY).await);
        fault["times"] = 9.into();
        world.fault(PREPAY, fault.clone()).await;
        let reply = caller.create_order(&world, &key, &body).await;
        assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{fault}: {:?}", reply.json);
        assert_eq!(reply.header("retry-after"), "2");
        assert_eq!(world.count_of(PREPAY).await - before, 3, "{fault}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(LEASE);
        let order = caller.order(&world, &key, &body).await;
        let numbers: HashSet<_> = world.prepaid_numbers().await.split_off(before).into_iter().collect();
        assert_eq!(numbers, HashSet::from([number(&order)]), "{fault}");
    }
    let orders = u64::try_from(faults().len()).unwrap();
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&caller).await), (Some(200 - orders), orders));
}

#[tokio::test]
async fn every_try_of_every_instance_has_the_same_bytes_and_a_signature_of_its_own() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let caller = world.caller().await;
    world.fault(PREPAY, json!({ "tamper": "signature", "times": 3 })).await;
    let body = cart(&[("demo-mug", 1)]);
    assert_eq!(caller.create_order(&world, "key", &body).await.code(), "wechat_unavailable");
    // The table's prices and the time are others by now.
    world.put_product("demo-mug", 1, None).await;
    world.advance(Duration::from_secs(600));
    let event = caller.event(&[("idempotency-key", "key")], &body);
    let order = world.reply_within("create-order", &event, Duration::from_secs(10)).await.json;
    let sent = proxy.take();
    assert_eq!((sent.len(), order["totalFen"].as_u64()), (4, Some(3900)));
    // WeChat Pay and the sandbox compare fields, so only this test sees whether the bytes are the same.
    assert_eq!(sent.iter().map(|sent| &sent.body).collect::<HashSet<_>>().len(), 1);
    assert_eq!(sent.iter().map(|sent| sent.header("authorization")).collect::<HashSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_wechat_pay_that_hangs_is_given_up_before_lambda_gives_up_the_function() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    for (key, fault) in [("before", json!({ "latencyMs": 60_000 })), ("after", json!({ "answerLatencyMs": 60_000 }))] {
        let mut fault = fault;
        fault["times"] = 9.into();
        world.fault(PREPAY, fault).await;
        let before = world.count_of(PREPAY).await;
        let event = caller.event(&[("idempotency-key", key)], &body);
        let reply = world.reply_within("create-order", &event, Duration::from_secs(2)).await;
        assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{key}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(LEASE);
        let order = caller.order(&world, key, &body).await;
        let numbers: HashSet<_> = world.prepaid_numbers().await.split_off(before).into_iter().collect();
        assert_eq!(numbers, HashSet::from([number(&order)]), "{key}");
    }
}

#[tokio::test]
async fn a_parallel_duplicate_waits_for_a_slow_wechat_pay() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    world.fault(PREPAY, json!({ "latencyMs": 700 })).await;
    let (first, second) = tokio::join!(caller.order(&world, "key", &body), caller.order(&world, "key", &body));
    assert_eq!(first["outTradeNo"], second["outTradeNo"]);
    assert_eq!(first["payment"]["package"], second["payment"]["package"]);
    assert_eq!(world.count_of(PREPAY).await, 1);
}

#[tokio::test]
async fn a_duplicate_of_one_that_never_comes_back_is_busy_and_a_later_one_is_not() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    world.fault(PREPAY, json!({ "latencyMs": 60_000 })).await;
    let event = caller.event(&[("idempotency-key", "key")], &body);
    let instance = world.instance("create-order").await;
    let (now, dead) = (world.now(), event.to_string().into_bytes());
    let dead = tokio::spawn(async move { instance.invoke(dead, now).await });
    while world.count_of(PREPAY).await == 0 {
        tokio::task::yield_now().await;
    }
    dead.abort();
    let reply = world.reply_within("create-order", &event, Duration::from_secs(1)).await;
    assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "busy", "1"));
    world.advance(LEASE);
    let order = caller.order(&world, "key", &body).await;
    assert_eq!(world.prepaid_numbers().await, vec![number(&order); 2]);
}
