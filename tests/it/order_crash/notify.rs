//! `pay-notify` dies, or the table fails it.

use tests::dynamodb_proxy::Kind;
use tests::ledger::Ledger;

use super::{Death, QUANTITY, STOCK, Scene};

/// Between every two steps of `pay-notify`.
const NOTIFY_DEATHS: [Death; 4] = [
    Death::Before("GetItem", 0),
    Death::After("GetItem", 0),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
];

#[tokio::test]
async fn whoever_dies_over_a_notification_the_next_one_has_the_order_paid_once() {
    for death in NOTIFY_DEATHS {
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay("/pay", &number).await;
        scene.kill("pay-notify", scene.notification(&number).await, death).await;
        let is_moved = matches!(death, Death::After("TransactWriteItems", _));
        let left = scene.ledger().await;
        assert_eq!(Ledger::is_settled(left.order(&number).unwrap()), is_moved, "{death:?}");
        assert_paid_once(&scene, &number, &format!("{death:?}")).await;
        if is_moved {
            assert_eq!(scene.ledger().await, left, "{death:?}");
        }
    }
}

#[tokio::test]
async fn a_notification_whose_answer_of_the_table_was_lost_is_taken_once() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/pay", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::LoseAnswer);
    assert_paid_once(&scene, &number, "a lost answer").await;
}

#[tokio::test]
async fn a_notification_that_the_table_does_not_take_is_500_and_taken_when_it_is_sent_again() {
    for operation in ["GetItem", "TransactWriteItems"] {
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay("/pay", &number).await;
        scene.proxy.inject(operation, 1, Kind::error("AccessDeniedException"));
        let left = scene.ledger().await;
        let event = scene.notification(&number).await;
        assert_eq!(scene.invoke("pay-notify", event).await.status, 500, "{operation}");
        assert_eq!(scene.ledger().await, left, "{operation}");
        assert_paid_once(&scene, &number, operation).await;
    }
}

/// Tells of a payment, and once more: after the first time nothing changes.
pub(super) async fn assert_paid_once(scene: &Scene, number: &str, when: &str) {
    let mut before = None;
    for _ in 0..2 {
        let event = scene.notification(number).await;
        assert_eq!(scene.invoke("pay-notify", event).await.status, 204, "{when}");
        let ledger = scene.ledger().await;
        let history = Ledger::history(ledger.order(number).unwrap());
        assert_eq!(history, [("NOTPAY", "create"), ("SUCCESS", "notify")], "{when}");
        assert!(before.is_none_or(|before| before == ledger), "{when}");
        before = Some(ledger);
    }
    scene.assert_adds_up(STOCK - QUANTITY, 0, when).await;
}
