//! Slow refunds and sweeps, which come back to what others have done meanwhile.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tests::dynamodb_proxy::Kind;
use tests::ledger::Ledger;
use tests::refunds::{REFUND, REFUND_QUERY};

use super::notify::assert_paid_once;
use super::{NEXT_SWEEP, PART, PRICE, QUANTITY, REQUEST, SKU, STOCK, Scene, number, part_event};

#[tokio::test]
async fn a_slow_release_lets_nothing_go_that_a_repeat_has_been_accepted_for() {
    for is_answer_lost in [false, true] {
        let (scene, when) = (Scene::start().await, format!("{is_answer_lost}"));
        let number = scene.paid().await;
        scene.world.fault_too(REFUND, json!({ "status": 403, "code": "USER_ACCOUNT_ABNORMAL" })).await;
        scene.proxy.inject_after("TransactWriteItems", 1, 1, Kind::Hold);
        let slow = scene.spawn("refund-order", part_event(&number)).await;
        scene.proxy.hanging().await;
        if is_answer_lost {
            scene.world.fault_too(REFUND, json!({ "drop": "after" })).await;
            // Once it says rightly that there is none, and then nothing any more.
            scene.world.fault_too(REFUND_QUERY, json!({ "latencyMs": 0 })).await;
            scene.world.fault_too(REFUND_QUERY, json!({ "status": 500, "times": 9 })).await;
        }
        let reply = scene.world.refund(&number, PART, REQUEST).await;
        assert_eq!(reply, if is_answer_lost { "wechat_unavailable" } else { "PROCESSING" }, "{when}");
        scene.world.sandbox("DELETE", "/faults", Value::Null).await;
        scene.proxy.release();
        // It is told what became of the refund, and not that it was refused.
        assert!(slow.await.unwrap().is_ok(), "{when}");
        assert_eq!(scene.world.amounts(&number).await.0, PART, "{when}");
        scene.world.sweep_all().await;
        scene.assert_refunded_once(&number, &when).await;
    }
}

#[tokio::test]
async fn a_slow_refund_whose_end_was_told_meanwhile_tells_that_end() {
    // It is about to move on the order, or the refund.
    for after in [1, 2] {
        let scene = Scene::start().await;
        let number = scene.paid().await;
        scene.proxy.inject_after("TransactWriteItems", after, 1, Kind::Hold);
        let slow = scene.spawn("refund-order", part_event(&number)).await;
        scene.proxy.hanging().await;
        let refund = scene.world.refund_row(&number).await.number;
        let event = scene.world.notification(json!({ "outRefundNo": refund })).await;
        assert_eq!(scene.invoke("pay-notify", event).await.status, 204);
        let ledger = scene.ledger().await;
        scene.proxy.release();
        let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
        assert_eq!(reply, json!({ "outRefundNo": refund, "status": "SUCCESS" }), "{after}");
        assert_eq!(scene.ledger().await, ledger, "{after}");
        scene.assert_refunded_once(&number, &format!("{after}")).await;
    }
}

#[tokio::test]
async fn a_slow_sweep_moves_nothing_that_a_notification_has_moved() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/pay", &number).await;
    scene.world.advance(Duration::from_secs(60));
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("order-sweeper", b"{}".to_vec()).await;
    scene.proxy.hanging().await;
    assert_paid_once(&scene, &number, "a notification beside a sweep").await;
    let ledger = scene.ledger().await;
    scene.proxy.release();
    let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
    assert_eq!((&reply["healed"], &reply["failures"]), (&json!(1), &json!(0)));
    assert_eq!(scene.ledger().await, ledger);
}

#[tokio::test]
async fn a_slow_sweep_gives_nothing_back_for_what_was_paid_after_it_was_closed() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.world.advance(Duration::from_secs(1800));
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("order-sweeper", b"{}".to_vec()).await;
    scene.proxy.hanging().await;
    assert_eq!(scene.world.order_at_wechat(&number).await["state"], "CLOSED");
    // WeChat Pay has it that it was paid all the same.
    let resource = json!({
        "mchid": "1900000001",
        "appid": scene.buyer.app_id,
        "out_trade_no": number,
        "transaction_id": "4200009000000000000000000000",
        "trade_state": "SUCCESS",
        "success_time": "2026-11-21T12:00:00+08:00",
        "amount": { "total": PRICE * QUANTITY, "currency": "CNY" },
    });
    let event = scene.world.notification(json!({ "resource": resource })).await;
    assert_eq!(scene.invoke("pay-notify", event).await.status, 204);
    let ledger = scene.ledger().await;
    scene.proxy.release();
    let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
    assert_eq!((&reply["closed"], &reply["failures"]), (&json!(0), &json!(0)));
    let after = scene.ledger().await;
    assert_eq!(after, ledger);
    let history = Ledger::history(after.order(&number).unwrap());
    assert_eq!(history, [("NOTPAY", "create"), ("SUCCESS", "notify")]);
    assert_eq!(after.stock(SKU), i64::try_from(STOCK - QUANTITY).ok());
}

#[tokio::test]
async fn a_slow_sweep_keeps_a_refund_that_was_let_go_meanwhile_and_made_all_the_same() {
    let scene = Scene::start().await;
    let order = scene.paid().await;
    scene.world.fault_too(REFUND, json!({ "drop": "after" })).await;
    scene.world.fault_too(REFUND_QUERY, json!({ "status": 500, "times": 9 })).await;
    assert_eq!(scene.world.refund(&order, PART, REQUEST).await, "wechat_unavailable");
    scene.world.sandbox("DELETE", "/faults", Value::Null).await;
    scene.world.advance(NEXT_SWEEP);
    // It has moved on the order, and is about to move on the refund.
    scene.proxy.inject_after("TransactWriteItems", 1, 1, Kind::Hold);
    let slow = scene.spawn("order-sweeper", b"{}".to_vec()).await;
    scene.proxy.hanging().await;
    let_go(&scene, &order).await;
    scene.proxy.release();
    let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
    assert_eq!((&reply["checked"], &reply["failures"]), (&json!(1), &json!(0)), "{reply}");
    assert_eq!(scene.world.amounts(&order).await.0, PART);
    scene.world.sweep_all().await;
    scene.assert_refunded_once(&order, "let go").await;
}

/// What a release leaves of a refund.
async fn let_go(scene: &Scene, order: &str) {
    let (table, refund) = (scene.world.table(), scene.world.refund_row(order).await.number);
    let text = |text: String| AttributeValue::S(text);
    let pk = format!("ORDER#{order}");
    let delete = table.client().delete_item().table_name(table.name()).key("pk", text(pk.clone()));
    delete.key("sk", text(format!("REFUND#{refund}"))).send().await.unwrap();
    let update = table.client().update_item().table_name(table.name()).key("pk", text(pk));
    let update = update.key("sk", text("ORDER".to_owned())).update_expression("ADD heldFen :less");
    let less = AttributeValue::N(format!("-{PART}"));
    update.expression_attribute_values(":less", less).send().await.unwrap();
}

#[tokio::test]
async fn two_slow_requests_for_the_last_of_a_payment_make_one_refund() {
    let scene = Scene::start().await;
    let order = scene.paid().await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("refund-order", part_event(&order)).await;
    scene.proxy.hanging().await;
    let rest = PRICE * QUANTITY - PART + 1;
    assert_eq!(scene.world.refund(&order, rest, "faster").await, "PROCESSING");
    scene.proxy.release();
    assert_eq!(slow.await.unwrap().unwrap_err().error_type, "refund_exceeds_paid");
    let refunds = scene.world.refunds_at_wechat(&order).await;
    assert_eq!((refunds.len(), &refunds[0]["refund"]), (1, &json!(rest)));
    scene.assert_adds_up(STOCK - QUANTITY, 0, "two refunds").await;
    assert_eq!(number(&scene.query(&order).await), order);
}
