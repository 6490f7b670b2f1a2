//! Orders that WeChat Pay refuses and does not have: they end at once, and everything comes back.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::logs;
use tests::orders::{PREPAY, QUERY, cart, number};
use tests::world::World;

/// After this, a request for a prepay_id is taken for dead.
const LEASE: Duration = Duration::from_secs(4);

/// Refusals after which WeChat Pay takes the order never, and our status and code.
const REFUSALS: [(u16, &str, u16, &str); 10] = [
    (400, "PARAM_ERROR", 500, "internal"),
    (400, "INVALID_REQUEST", 500, "internal"),
    (400, "APPID_MCHID_NOT_MATCH", 500, "misconfigured"),
    (400, "MCH_NOT_EXISTS", 500, "misconfigured"),
    (404, "MCH_NOT_EXISTS", 500, "misconfigured"),
    (401, "SIGN_ERROR", 500, "misconfigured"),
    (403, "NO_AUTH", 500, "misconfigured"),
    (403, "NOAUTH", 500, "misconfigured"),
    (403, "NOT_ENOUGH", 500, "misconfigured"),
    (403, "REQUEST_BLOCKED", 500, "misconfigured"),
];

/// Checks that the shop has what it has without any order.
async fn assert_all_is_back(world: &World, buyer: &Caller, when: &str) {
    assert_eq!((world.stock("demo-mug").await, world.open_orders(buyer).await), (Some(200), 0), "{when}");
}

/// The one order of the table: its number.
async fn only_order(world: &World) -> String {
    let rows = world.order_rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0]["outTradeNo"].as_s().unwrap().clone()
}

#[tokio::test]
async fn an_order_that_wechat_pay_refuses_and_does_not_know_ends_and_the_key_serves_again() {
    for (status, code, ours, expected) in REFUSALS {
        let case = format!("{status} {code}");
        let (world, buyer) = World::start_untold().await;
        world.fault(PREPAY, json!({ "status": status, "code": code })).await;
        let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 3)])).await;
        assert_eq!((reply.status, reply.code()), (ours, expected), "{case}");
        assert_all_is_back(&world, &buyer, &case).await;
        let ended = only_order(&world).await;
        assert_eq!(world.order_row(&ended).await.story(), "NOTPAY create, CLOSED create", "{case}");
        // It took more than one answer that is not signed.
        assert_eq!((world.count_of(PREPAY).await, world.count_of(QUERY).await), (1, 2), "{case}");
        let lines = logs::with(&ended);
        let line = lines.iter().find(|line| line["message"] == "an order that WeChat Pay refuses has ended");
        assert!(line.is_some_and(|line| line["cause"].as_str().unwrap().contains(code)), "{case}: {lines:?}");
        // At once, with the same key, and also for something else.
        let order = buyer.order(&world, "key", &cart(&[("demo-mug", 2)])).await;
        assert_ne!(number(&order), ended, "{case}");
        assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(198), 1), "{case}");
        assert_eq!(buyer.order(&world, "key", &cart(&[("demo-mug", 2)])).await["outTradeNo"], order["outTradeNo"]);
        assert_eq!(buyer.status_of(&world, &ended).await, "CLOSED", "{case}");
    }
}

#[tokio::test]
async fn refused_orders_leave_everybody_else_and_the_same_user_what_they_need() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "2")]).await;
    let buyer = world.untold().await;
    world.put_product("last", 100, Some(1)).await;
    world.fault(PREPAY, json!({ "status": 403, "code": "NO_AUTH", "times": 9 })).await;
    for at in 0..4 {
        let reply = buyer.create_order(&world, &format!("key-{at}"), &cart(&[("last", 1)])).await;
        assert_eq!(reply.code(), "misconfigured", "{at}");
    }
    world.sandbox("DELETE", "/faults", Value::Null).await;
    let other = world.caller().await;
    other.order(&world, "key", &cart(&[("last", 1)])).await;
    assert_eq!((world.stock("last").await, world.open_orders(&buyer).await), (Some(0), 0));
}

#[tokio::test]
async fn orders_that_are_refused_for_the_payers_sake_keep_their_places_so_that_their_number_is_limited() {
    for code in ["USER_ACCOUNT_ABNORMAL", "ACCOUNTERROR"] {
        let world = World::start_with([("MAX_OPEN_ORDERS", "2")]).await;
        let buyer = world.untold().await;
        world.fault(PREPAY, json!({ "status": 403, "code": code, "times": 9 })).await;
        for (key, expected) in [("1", "user_blocked"), ("2", "user_blocked"), ("3", "rate_limited")] {
            let reply = buyer.create_order(&world, key, &cart(&[("demo-mug", 1)])).await;
            assert_eq!(reply.code(), expected, "{code} {key}");
        }
        assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(198), 2), "{code}");
        assert_eq!(world.count_of(QUERY).await, 0, "{code}");
    }
}

#[tokio::test]
async fn where_it_is_not_certain_that_there_is_none_the_order_stays_with_its_number() {
    for query in [
        json!({ "status": 500, "code": "SYSTEM_ERROR", "times": 9 }),
        json!({ "status": 401, "code": "SIGN_ERROR", "times": 9 }),
        json!({ "status": 404, "code": "RESOURCE_NOT_EXISTS", "times": 9 }),
        json!({ "status": 404, "times": 9 }),
        json!({ "status": 429, "code": "FREQUENCY_LIMITED", "times": 9 }),
        json!({ "drop": "before", "times": 9 }),
    ] {
        let (world, buyer) = World::start_untold().await;
        world.fault(PREPAY, json!({ "status": 401, "code": "SIGN_ERROR" })).await;
        world.fault_too(QUERY, query.clone()).await;
        let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
        assert_eq!((reply.status, reply.code()), (500, "misconfigured"), "{query}");
        let kept = only_order(&world).await;
        assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 1), "{query}");
        assert_eq!(world.order_row(&kept).await.story(), "NOTPAY create", "{query}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(LEASE);
        let order = buyer.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
        assert_eq!(number(&order), kept, "{query}");
    }
}

#[tokio::test]
async fn an_order_that_an_earlier_request_has_made_there_does_not_end_by_a_refusal() {
    for (fault, becomes, code, story) in [
        (None, "NOTPAY", "misconfigured", "NOTPAY create"),
        (Some("/pay"), "SUCCESS", "order_paid", "NOTPAY create, SUCCESS query"),
        (Some("/close"), "CLOSED", "order_closed", "NOTPAY create, CLOSED query"),
    ] {
        let (world, buyer) = World::start_untold().await;
        // The order is made, and the answer is lost.
        world.fault(PREPAY, json!({ "drop": "after", "times": 9 })).await;
        let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
        assert_eq!(reply.code(), "wechat_unavailable");
        let order = only_order(&world).await;
        match fault {
            Some("/pay") => world.pay_silently(&order).await,
            Some(_) => world.close_at_wechat(&order).await,
            None => {}
        }
        world.advance(LEASE);
        world.fault(PREPAY, json!({ "status": 403, "code": "NO_AUTH" })).await;
        let reply = buyer.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
        assert_eq!(reply.code(), code, "{becomes}");
        assert_eq!(world.order_row(&order).await.story(), story);
        assert_eq!(only_order(&world).await, order);
        // What is unpaid there can be paid when the merchant's account is mended.
        if fault.is_none() {
            world.advance(LEASE);
            assert_eq!(number(&buyer.order(&world, "key", &cart(&[("demo-mug", 1)])).await), order);
        }
    }
}
