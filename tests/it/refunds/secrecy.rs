//! Nothing that refunds and sweeps are made with, and nobody's openid, is logged, or said to staff.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::http::Reply;
use tests::notifications::Notice;
use tests::orders::QUERY;
use tests::pay_proxy::PayProxy;
use tests::refunds::{CLOSE, REFUND, REFUND_QUERY};
use tests::world::World;

use crate::orders::secrecy::Secrets;

/// What only staff and the payer know, long enough to be looked for.
const REASON: &str = "the payer's own reason for the return";

async fn world() -> (World, PayProxy, Caller, Secrets) {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let (buyer, mut secrets) = (world.untold().await, Secrets::of(&world));
    secrets.add_caller(&world, &buyer).await;
    secrets.kept.insert(REASON.to_owned());
    (world, proxy, buyer, secrets)
}

async fn refund(world: &World, order: &str, fen: u64, request_id: &str) -> Reply {
    let input = json!({ "outTradeNo": order, "refundFen": fen, "requestId": request_id, "reason": REASON });
    world.invoke("refund-order", &input).await
}

#[tokio::test]
async fn the_life_of_a_refund_leaves_nothing_in_the_log() {
    let (world, proxy, buyer, mut secrets) = world().await;
    let order = world.paid_order(&buyer).await;
    for (request_id, is_told) in [("told", true), ("asked", false)] {
        secrets.expect_unsaid(&refund(&world, &order, 900, request_id).await);
        secrets.expect_unsaid(&refund(&world, &order, 900, request_id).await);
        let rows = world.refunds_of(&order).await;
        let row = rows.iter().find(|row| row.request_id.as_deref() == Some(request_id)).unwrap();
        if is_told {
            let notice = Notice::forge(&world, json!({ "outRefundNo": row.number })).await;
            secrets.add_notice(&notice);
            assert_eq!(notice.send(&world).await.status, 204);
        } else {
            secrets.expect_unsaid(&world.invoke("order-sweeper", &json!({ "minAgeSecs": 0 })).await);
        }
    }
    let closed = buyer.buy(&world, "demo-mug").await;
    world.advance(Duration::from_secs(1800));
    secrets.expect_unsaid(&world.invoke("order-sweeper", &json!({})).await);
    assert_eq!(world.order_row(&closed).await.state, "CLOSED");
    assert_eq!(world.amounts(&order).await, (1800, 1800));
    secrets.add_sent(&proxy.take());
    secrets.expect_unlogged();
    for secret in &secrets.nowhere {
        assert!(!world.table_shows(secret).await, "{secret}");
    }
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_wechat_pay_fails() {
    let (world, proxy, buyer, mut secrets) = world().await;
    for (at, fault) in [
        json!({ "status": 400, "code": "PARAM_ERROR" }),
        json!({ "status": 401, "code": "SIGN_ERROR" }),
        json!({ "status": 403, "code": "NOT_ENOUGH" }),
        json!({ "status": 404 }),
        json!({ "status": 500, "code": "SYSTEM_ERROR" }),
        json!({ "emptyBody": true }),
        json!({ "tamper": "signature" }),
        json!({ "tamper": "serial" }),
        json!({ "tamper": "refund" }),
    ]
    .into_iter()
    .enumerate()
    {
        let order = world.paid_order(&buyer).await;
        world.sandbox("DELETE", "/faults", Value::Null).await;
        for path in [REFUND, REFUND_QUERY, QUERY, CLOSE] {
            let mut fault = fault.clone();
            if fault["tamper"] == "refund" && (path == QUERY || path == CLOSE) {
                continue;
            }
            (fault["path"], fault["times"]) = (path.into(), 9.into());
            world.sandbox("POST", "/faults", fault).await;
        }
        secrets.expect_unsaid(&refund(&world, &order, 900, &at.to_string()).await);
        secrets.expect_unsaid(&world.invoke("order-sweeper", &json!({ "minAgeSecs": 0 })).await);
    }
    secrets.add_sent(&proxy.take());
    secrets.expect_unlogged();
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_the_table_fails() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let (buyer, mut secrets) = (world.untold().await, Secrets::of(&world));
    secrets.add_caller(&world, &buyer).await;
    secrets.kept.insert(REASON.to_owned());
    let order = world.paid_order(&buyer).await;
    for operation in ["GetItem", "TransactWriteItems", "UpdateItem", "Query"] {
        for error in ["AccessDeniedException", "ValidationException", "ResourceNotFoundException"] {
            proxy.inject(operation, 99, Kind::error(error));
            secrets.expect_unsaid(&refund(&world, &order, 900, "return").await);
            secrets.expect_unsaid(&world.invoke("order-sweeper", &json!({ "minAgeSecs": 0 })).await);
            proxy.heal();
        }
    }
    let mut row = json!({ "pk": format!("ORDER#{order}"), "sk": "REFUND#odd", "refundStatus": REASON, "body": REASON });
    (row["sweepShard"], row["sweepAtMs"], row["createdAt"]) = (0.into(), 0.into(), 0.into());
    world.put(row).await;
    let swept = world.invoke("order-sweeper", &json!({ "minAgeSecs": 0 })).await;
    assert!(swept.json["failures"].as_u64() >= Some(1), "{:?}", swept.json);
    secrets.expect_unsaid(&swept);
    secrets.expect_unlogged();
}

#[tokio::test]
async fn what_staff_sends_is_not_logged() {
    let (world, _proxy, buyer, secrets) = world().await;
    let order = world.paid_order(&buyer).await;
    for input in [
        json!({ "outTradeNo": order, "refundFen": 0, "requestId": "return", "reason": REASON }),
        json!({ "outTradeNo": order, "refundFen": 1, "requestId": format!("{REASON}{REASON}"), "reason": REASON }),
        json!({ "outTradeNo": REASON, "refundFen": 1, "requestId": "return" }),
        json!({ "outTradeNo": order, "refundFen": 1, "requestId": "return", "reason": format!("{REASON}\n") }),
        json!({ "outTradeNo": order, "refundFen": REASON, "requestId": "return" }),
        json!({ REASON: 1 }),
        json!([REASON]),
        json!(REASON),
    ] {
        let reply = world.invoke("refund-order", &input).await;
        assert_eq!(reply.json["errorType"], "invalid_request", "{input}");
        world.invoke("order-sweeper", &input).await;
    }
    secrets.expect_unlogged();
}
