//! `create-order` and `query-order` over a DynamoDB that behaves as AWS's does under load.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::json;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::orders::{cart, number};
use tests::world::World;

/// Longer than anybody waits for somebody who has begun.
const LEASE: Duration = Duration::from_secs(4);

fn inject(proxy: &DynamoDbProxy, kind: &Kind, operations: &[&'static str]) {
    for operation in operations {
        proxy.inject(operation, 1, kind.clone());
    }
}

#[tokio::test]
async fn throttles_and_lost_answers_are_waited_out() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    world.put_product("tea", 100, Some(100)).await;
    let kinds = [
        Kind::error("ThrottlingException"),
        Kind::error("ProvisionedThroughputExceededException"),
        Kind::Refuse(StatusCode::SERVICE_UNAVAILABLE, json!({})),
        Kind::LoseAnswer,
    ];
    for (at, kind) in kinds.iter().enumerate() {
        let caller = world.caller().await;
        inject(&proxy, kind, &["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems"]);
        // The write of the prepay_id.
        proxy.inject_after("UpdateItem", 1, 1, kind.clone());
        let first = number(&caller.order(&world, "key", &cart(&[("tea", 2)])).await);
        let row = world.row(&format!("ORDER#{first}"), "ORDER").await.unwrap();
        assert!(row.contains_key("prepayId"), "{kind:?}");
        world.close_at_wechat(&first).await;
        inject(&proxy, kind, &["GetItem", "TransactWriteItems"]);
        assert_eq!(caller.status_of(&world, &first).await, "CLOSED", "{kind:?}");
        assert_eq!(world.order_row(&first).await.story(), "NOTPAY create, CLOSED query", "{kind:?}");
        proxy.heal();
        caller.buy(&world, "tea").await;
        assert_eq!(world.stock("tea").await, Some(99 - u64::try_from(at).unwrap()), "{kind:?}");
        assert_eq!(world.open_orders(&caller).await, 1, "{kind:?}");
    }
    assert_eq!(world.prepaid_numbers().await.len(), 2 * kinds.len());
}

#[tokio::test]
async fn ten_at_once_over_a_table_in_conflict_are_one_order() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    for (key, kind) in [("conflict", Kind::cancelled(&["TransactionConflict"; 4])), ("lost", Kind::LoseAnswer)] {
        proxy.inject("TransactWriteItems", 2, kind.clone());
        let body = cart(&[("demo-mug", 1)]);
        let replies = join_all((0..10).map(|_| caller.create_order(&world, key, &body))).await;
        let numbers: HashSet<_> = replies.iter().map(|reply| reply.json["outTradeNo"].to_string()).collect();
        assert_eq!(numbers.len(), 1, "{kind:?}: {replies:?}");
    }
    assert_eq!((world.order_rows().await.len(), world.stock("demo-mug").await), (2, Some(198)));
}

#[tokio::test]
async fn a_table_that_stays_busy_is_503_before_lambda_gives_up_the_function() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-mug", 1)]);
    // What is done when it is found out, so that a repeat goes on from there.
    for (operation, after) in [("GetItem", 0), ("UpdateItem", 0), ("BatchGetItem", 0), ("TransactWriteItems", 0)] {
        for kind in [Kind::error("ThrottlingException"), Kind::Hang] {
            let what = format!("{operation} {kind:?}");
            let key: String = what.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).take(40).collect();
            let event = caller.event(&[("idempotency-key", &key)], &body);
            proxy.inject_after(operation, after, u32::MAX, kind);
            let reply = world.reply_within("create-order", &event, Duration::from_secs(1)).await;
            assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "busy", "1"), "{what}");
            proxy.heal();
            world.advance(LEASE);
            let number = number(&caller.order(&world, &key, &body).await);
            world.pay_silently(&number).await;
            assert_eq!(world.resend(&number).await, 204, "{what}");
        }
    }
    assert_eq!((world.order_rows().await.len(), world.stock("demo-mug").await), (8, Some(192)));
}

#[tokio::test]
async fn a_prepay_id_that_cannot_be_kept_pays_all_the_same() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-mug", 1)]);
    // The claim is the first of its kind.
    proxy.inject_after("UpdateItem", 1, 1, Kind::error("ValidationException"));
    let first = caller.order(&world, "key", &body).await;
    let row = world.row(&format!("ORDER#{}", number(&first)), "ORDER").await.unwrap();
    assert!(!row.contains_key("prepayId"));
    assert_eq!(world.request_payment(&first["payment"]).await, "requestPayment:ok");
}

#[tokio::test]
async fn a_query_over_a_table_that_stays_busy_tells_what_it_has_read_or_is_503() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    for (operation, status, code) in
        [("GetItem", 503, "busy"), ("UpdateItem", 200, ""), ("TransactWriteItems", 200, "")]
    {
        for kind in [Kind::error("ThrottlingException"), Kind::Hang] {
            let what = format!("{operation} {kind:?}");
            let number = caller.buy(&world, "demo-mug").await;
            world.pay_silently(&number).await;
            let event = caller.event(&[], &json!({ "outTradeNo": number }));
            proxy.inject(operation, u32::MAX, kind);
            let reply = world.reply_within("query-order", &event, Duration::from_secs(1)).await;
            assert_eq!((reply.status, reply.code()), (status, code), "{what}");
            assert!(reply.status != 200 || reply.json["status"] == "NOTPAY", "{what}");
            proxy.heal();
            world.advance(LEASE);
            assert_eq!(caller.status_of(&world, &number).await, "SUCCESS", "{what}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_about_whose_turn_it_is_to_ask_costs_one_turn() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    world.pay_silently(&number).await;
    proxy.inject("UpdateItem", 1, Kind::LoseAnswer);
    caller.status_of(&world, &number).await;
    world.advance(LEASE);
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
}

#[tokio::test]
async fn a_table_that_refuses_us_is_misconfigured() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let order = caller.order(&world, "order", &cart(&[("demo-mug", 1)])).await;
    for operation in ["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems"] {
        proxy.inject(operation, 1, Kind::error("AccessDeniedException"));
        let reply = caller.create_order(&world, operation, &cart(&[("demo-mug", 1)])).await;
        assert_eq!((reply.status, reply.code()), (500, "misconfigured"), "{operation}");
    }
    world.pay_silently(&number(&order)).await;
    for operation in ["GetItem", "UpdateItem", "TransactWriteItems"] {
        // Somebody has to hear of it: nothing heals meanwhile.
        proxy.inject_after(operation, u32::from(operation == "GetItem"), 1, Kind::error("AccessDeniedException"));
        let reply = caller.query_order(&world, &number(&order)).await;
        assert_eq!((reply.status, reply.code()), (500, "misconfigured"), "{operation}");
        world.advance(LEASE);
    }
    assert_eq!(caller.status_of(&world, &number(&order)).await, "SUCCESS");
}
