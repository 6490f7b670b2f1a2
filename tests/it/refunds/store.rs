//! What the table does to refunds under load, and when it is not there.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::notifications::Notice;
use tests::refunds::REFUND;
use tests::world::World;

async fn start() -> (World, DynamoDbProxy, Caller, World) {
    let (world, proxy, behind) = World::start_with_proxy().await;
    let buyer = world.untold().await;
    (world, proxy, buyer, behind)
}

/// What goes by if it is waited for.
fn passing() -> Vec<Kind> {
    vec![
        Kind::LoseAnswer,
        Kind::error("ProvisionedThroughputExceededException"),
        Kind::error("ThrottlingException"),
        Kind::error("RequestLimitExceeded"),
        Kind::Refuse(StatusCode::INTERNAL_SERVER_ERROR, json!({})),
        Kind::cancelled(&["TransactionConflict", "None"]),
        Kind::cancelled(&["None", "TransactionConflict"]),
    ]
}

#[tokio::test]
async fn conflicts_throttles_and_lost_answers_cost_time_and_nothing_else() {
    let (world, proxy, buyer, _behind) = start().await;
    for kind in passing() {
        for after in 0..3 {
            let (order, case) = (world.paid_order(&buyer).await, format!("{after} {kind:?}"));
            proxy.inject_after("TransactWriteItems", after, 1, kind.clone());
            if !matches!(kind, Kind::Refuse(_, ref body) if !body["CancellationReasons"].is_null()) {
                proxy.inject("GetItem", 1, kind.clone());
            }
            let outcome = world.refund(&order, 900, "return").await;
            assert_eq!(outcome, "PROCESSING", "{case}");
            proxy.heal();
            let refunds = world.refunds_at_wechat(&order).await;
            assert_eq!((refunds.len(), refunds[0]["timesRequested"].as_u64()), (1, Some(1)), "{case}");
            assert_eq!(world.amounts(&order).await, (900, 0), "{case}");
            world.assert_adds_up(&[], &case).await;
        }
    }
}

#[tokio::test]
async fn a_release_whose_answer_is_lost_is_one_release() {
    let (world, proxy, buyer, _behind) = start().await;
    for kind in passing() {
        let (order, case) = (world.paid_order(&buyer).await, format!("{kind:?}"));
        assert_eq!(world.refund(&order, 1000, "kept").await, "PROCESSING", "{case}");
        world.fault(REFUND, json!({ "status": 403, "code": "NO_AUTH" })).await;
        proxy.inject_after("TransactWriteItems", 1, 1, kind);
        assert_eq!(world.refund(&order, 900, "return").await, "misconfigured", "{case}");
        proxy.heal();
        assert_eq!(world.amounts(&order).await, (1000, 0), "{case}");
        world.assert_adds_up(&[], &case).await;
    }
}

#[tokio::test]
async fn where_the_table_refuses_nobody_is_asked_for_money() {
    let (world, proxy, buyer, _behind) = start().await;
    let order = world.paid_order(&buyer).await;
    for (operation, error, code) in [
        ("GetItem", "AccessDeniedException", "misconfigured"),
        ("GetItem", "ResourceNotFoundException", "misconfigured"),
        ("TransactWriteItems", "AccessDeniedException", "misconfigured"),
        ("TransactWriteItems", "ResourceNotFoundException", "misconfigured"),
        ("TransactWriteItems", "ValidationException", "internal"),
    ] {
        proxy.inject(operation, 99, Kind::error(error));
        assert_eq!(world.refund(&order, 900, "return").await, code, "{operation} {error}");
        proxy.heal();
    }
    assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (0, (0, 0)));
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
}

#[tokio::test]
async fn what_wechat_pay_has_taken_is_held_when_the_table_is_gone_afterwards() {
    let (world, proxy, buyer, _behind) = start().await;
    for after in [1, 2] {
        let (order, case) = (world.paid_order(&buyer).await, format!("after {after}"));
        proxy.inject_after("TransactWriteItems", after, 99, Kind::error("AccessDeniedException"));
        assert_eq!(world.refund(&order, 900, "return").await, "misconfigured", "{case}");
        proxy.heal();
        assert_eq!(
            (world.refund_row(&order).await.state.as_str(), world.amounts(&order).await),
            ("RESERVED", (900, 0))
        );
        assert_eq!(world.refund(&order, 900, "return").await, "SUCCESS", "{case}");
        let refunds = world.refunds_at_wechat(&order).await;
        assert_eq!((refunds.len(), refunds[0]["timesRequested"].as_u64()), (1, Some(1)), "{case}");
        world.assert_adds_up(&[], &case).await;
    }
}

#[tokio::test]
async fn a_result_that_is_told_while_the_table_fails_is_told_again() {
    let (world, proxy, buyer, _behind) = start().await;
    // The order is moved on, and then the refund begins here.
    for after in [0, 1] {
        for kind in [Kind::error("AccessDeniedException"), Kind::LoseAnswer, Kind::cancelled(&["TransactionConflict"])]
        {
            let (order, case) = (world.paid_order(&buyer).await, format!("{after} {kind:?}"));
            let staff = world.staff_refund(&order, 900, json!({ "notify": "v3" })).await;
            let notice = Notice::forge(&world, json!({ "outRefundNo": staff })).await;
            proxy.inject_after("TransactWriteItems", after, 1, kind.clone());
            let first = notice.send(&world).await.status;
            proxy.heal();
            let is_refused = matches!(&kind, Kind::Refuse(_, body) if body["CancellationReasons"].is_null());
            assert_eq!(first, if is_refused { 500 } else { 204 }, "{case}");
            assert_eq!(notice.send(&world).await.status, 204, "{case}");
            assert_eq!(world.refund_row(&order).await.story, "SUCCESS notify", "{case}");
            assert_eq!(world.amounts(&order).await, (900, 900), "{case}");
            world.assert_adds_up(&[], &case).await;
        }
    }
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_row_that_is_no_refund_is_a_fault_and_nobody_is_asked() {
    let (world, _proxy, buyer, _behind) = start().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "status": 429, "code": "FREQUENCY_LIMITED" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "rate_limited");
    let (asked, number) = (world.count_of(REFUND).await, world.refund_row(&order).await.number);
    world.alter(&format!("ORDER#{order}"), &format!("REFUND#{number}"), "refundStatus", "SOMETHING").await;
    assert_eq!(world.refund(&order, 900, "return").await, "internal");
    let told = Notice::telling_refund(&world, &world.refund_of(&order, &number, 900, "SUCCESS").await).await;
    // It is sent again for a day; then somebody has to know.
    for _ in 0..2 {
        assert_eq!(told.send(&world).await.status, 500);
    }
    let kept = ("REFUND.SUCCESS".to_owned(), "a row of ours is unreadable".to_owned(), Some(order.clone()));
    assert_eq!(world.quarantine().await, [kept]);
    assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (asked, (900, 0)));
    world.alter(&format!("ORDER#{order}"), &format!("REFUND#{number}"), "refundStatus", "RESERVED").await;
    assert_eq!(told.send(&world).await.status, 204);
    assert_eq!(world.amounts(&order).await, (900, 900));
    assert_eq!(world.sandbox("GET", "/refunds", Value::Null).await["refunds"], json!([]));
}
