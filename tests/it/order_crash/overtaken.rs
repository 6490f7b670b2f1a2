//! Slow invocations, which come back to what others have done meanwhile.

use futures::future::join;
use local::functions::InvocationResult;
use serde_json::json;
use tests::dynamodb_proxy::Kind;
use tests::ledger::Ledger;
use tokio::task::JoinHandle;

use super::notify::assert_paid_once;
use super::{KEY, PRICE, QUANTITY, SKU, STOCK, Scene, TAKEN_FOR_DEAD, number, replied};

#[tokio::test]
async fn a_slow_request_makes_no_second_order_beside_who_took_over_its_claim() {
    let scene = Scene::start().await;
    let slow = hold_order(&scene).await;
    scene.world.advance(TAKEN_FOR_DEAD);
    let made = scene.ordered().await;
    let ledger = scene.ledger().await;
    scene.proxy.release();
    assert_eq!(number(&replied(slow).await), made);
    assert_eq!(scene.ledger().await, ledger);
    scene.assert_adds_up(STOCK - QUANTITY, 1, "taken over").await;
}

#[tokio::test]
async fn a_slow_request_makes_no_second_order_for_a_key_that_was_freed_and_serves_again() {
    for quantity in [QUANTITY, QUANTITY + 1] {
        let scene = Scene::start().await;
        let slow = hold_order(&scene).await;
        free_key(&scene).await;
        let other = scene.buyer.order_event(KEY, &[(SKU, quantity)]);
        let made = scene.invoke("create-order", other).await;
        assert_eq!(made.status, 200, "{:?}", made.json);
        let ledger = scene.ledger().await;
        scene.proxy.release();
        let slow = replied(slow).await;
        if quantity == QUANTITY {
            assert_eq!(number(&slow), number(&made));
        } else {
            assert_eq!(slow.code(), "idempotency_key_reused");
        }
        assert_eq!(scene.ledger().await, ledger);
        scene.assert_adds_up(STOCK - quantity, 1, "freed and used").await;
    }
}

#[tokio::test]
async fn a_slow_request_whose_key_was_freed_begins_anew() {
    let scene = Scene::start().await;
    let slow = hold_order(&scene).await;
    let first = scene.ledger().await.claim(&scene.buyer.id, KEY).unwrap()["outTradeNo"].clone();
    free_key(&scene).await;
    scene.proxy.release();
    let slow = replied(slow).await;
    assert_eq!(slow.status, 200, "{:?}", slow.json);
    assert_ne!(slow.json["outTradeNo"], first);
    scene.assert_adds_up(STOCK - QUANTITY, 1, "freed").await;
}

#[tokio::test]
async fn a_slow_refusal_frees_no_key_for_which_there_is_an_order_by_now() {
    for is_freed_meanwhile in [false, true] {
        let scene = Scene::start().await;
        scene.world.put_product(SKU, PRICE, Some(0)).await;
        let slow = hold_order(&scene).await;
        if is_freed_meanwhile {
            free_key(&scene).await;
        }
        scene.world.advance(TAKEN_FOR_DEAD);
        scene.world.put_product(SKU, PRICE, Some(STOCK)).await;
        let made = scene.ordered().await;
        let ledger = scene.ledger().await;
        scene.proxy.release();
        // It finds the order of whoever was faster.
        let slow = replied(slow).await;
        assert_eq!(slow.status, 200, "{:?}", slow.json);
        assert_eq!(number(&slow), made);
        assert_eq!(scene.ledger().await, ledger);
        assert_eq!(scene.ordered().await, made);
        scene.assert_adds_up(STOCK - QUANTITY, 1, "a slow refusal").await;
    }
}

/// A request that is about to make an order, or to free its key.
async fn hold_order(scene: &Scene) -> JoinHandle<InvocationResult> {
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("create-order", scene.order_event()).await;
    scene.proxy.hanging().await;
    slow
}

/// Somebody else takes over the claim, is refused, and frees the key.
async fn free_key(scene: &Scene) {
    scene.world.advance(TAKEN_FOR_DEAD);
    scene.world.put_product(SKU, PRICE, Some(0)).await;
    assert_eq!(scene.order().await.code(), "out_of_stock");
    scene.world.put_product(SKU, PRICE, Some(STOCK)).await;
    assert!(scene.ledger().await.claim(&scene.buyer.id, KEY).is_none());
}

#[tokio::test]
async fn two_who_both_think_that_they_hold_the_claim_make_one_order() {
    let scene = Scene::start().await;
    let first = hold_order(&scene).await;
    scene.world.advance(TAKEN_FOR_DEAD);
    let second = hold_order(&scene).await;
    assert_eq!(scene.ledger().await.orders().count(), 0);
    scene.proxy.release();
    let (first, second) = join(replied(first), replied(second)).await;
    assert_eq!((first.status, second.status), (200, 200), "{:?} {:?}", first.json, second.json);
    assert_eq!(number(&first), number(&second));
    scene.assert_adds_up(STOCK - QUANTITY, 1, "two holders").await;
    let there = scene.world.orders_at_wechat_pay().await;
    assert_eq!(there.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_late_moves_nothing_that_a_notification_has_moved() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/pay", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("query-order", scene.buyer.query_event(&number)).await;
    scene.proxy.hanging().await;
    assert_paid_once(&scene, &number, "a notification beside a question").await;
    let ledger = scene.ledger().await;
    scene.proxy.release();
    assert_eq!(replied(slow).await.json["status"], "SUCCESS");
    assert_eq!(scene.ledger().await, ledger);
}

#[tokio::test]
async fn a_closing_that_is_late_gives_nothing_back_for_what_was_paid_meanwhile() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/close", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("query-order", scene.buyer.query_event(&number)).await;
    scene.proxy.hanging().await;
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
    assert_eq!(replied(slow).await.json["status"], "SUCCESS");
    let after = scene.ledger().await;
    assert_eq!(after, ledger);
    let history = Ledger::history(after.order(&number).unwrap());
    assert_eq!(history, [("NOTPAY", "create"), ("SUCCESS", "notify")]);
    assert_eq!(after.stock(SKU), i64::try_from(STOCK - QUANTITY).ok());
}
