//! `create-order` dies, or is overtaken, over an order that WeChat Pay refuses and does not have.

use futures::future::join;
use serde_json::{Value, json};
use tests::dynamodb_proxy::Kind;
use tests::ledger::Ledger;
use tests::shop::{PREPAY, QUERY};

use super::{Death, KEY, QUANTITY, SKU, STOCK, Scene, TAKEN_FOR_DEAD, number, replied};

/// Between every two steps from the refusal on.
const DEATHS: [Death; 4] = [
    Death::BeforeWechatPayHasHeard(QUERY),
    Death::BeforeWechatPayHasAnswered(QUERY),
    Death::Before("TransactWriteItems", 1),
    Death::After("TransactWriteItems", 1),
];

impl Scene {
    /// From now on WeChat Pay refuses orders, so many of them.
    async fn refuse_orders(&self, times: u32) {
        self.world.fault(PREPAY, json!({ "status": 403, "code": "NO_AUTH", "times": times })).await;
    }

    async fn accept_orders(&self) {
        self.world.sandbox("DELETE", "/faults", Value::Null).await;
    }

    /// An order is refused, and everything is as before.
    async fn assert_refused(&self, when: &str) {
        assert_eq!(self.order().await.code(), "misconfigured", "{when}");
        self.assert_adds_up(STOCK, 0, when).await;
    }
}

#[tokio::test]
async fn after_a_crash_while_a_refused_order_ends_a_retry_makes_one_order_once_all_is_mended() {
    for death in DEATHS {
        let (scene, when) = (Scene::start().await, format!("{death:?}"));
        scene.refuse_orders(9).await;
        scene.kill("create-order", scene.order_event(), death).await;
        let has_ended = matches!(death, Death::After(..));
        scene.assert_adds_up(if has_ended { STOCK } else { STOCK - QUANTITY }, i64::from(!has_ended), &when).await;
        let first = scene.ledger().await.orders().next().unwrap()["outTradeNo"].clone();
        scene.world.advance(TAKEN_FOR_DEAD);
        let made = scene.ordered().await;
        assert_eq!(first == made.as_str(), !has_ended, "{when}");
        scene.assert_adds_up(STOCK - QUANTITY, 1, &when).await;
        assert_eq!(scene.ordered().await, made, "{when}");
    }
}

#[tokio::test]
async fn after_a_crash_while_a_refused_order_ends_the_next_refusal_ends_it() {
    for death in DEATHS {
        let (scene, when) = (Scene::start().await, format!("{death:?}"));
        scene.refuse_orders(9).await;
        scene.kill("create-order", scene.order_event(), death).await;
        scene.world.advance(TAKEN_FOR_DEAD);
        scene.refuse_orders(9).await;
        scene.assert_refused(&when).await;
        for order in scene.ledger().await.orders() {
            assert_eq!(Ledger::history(order), [("NOTPAY", "create"), ("CLOSED", "create")], "{when}");
        }
        scene.accept_orders().await;
        scene.ordered().await;
        scene.assert_adds_up(STOCK - QUANTITY, 1, &when).await;
    }
}

/// WeChat Pay has prepared the order for a slow request, and then refuses the next one and says that it knows of none.
#[tokio::test]
async fn a_slow_request_gives_no_client_a_payment_of_an_order_that_has_ended_meanwhile() {
    let scene = Scene::start().await;
    scene.proxy.inject_after("UpdateItem", 1, 1, Kind::Hold);
    let slow = scene.spawn("create-order", scene.order_event()).await;
    scene.proxy.hanging().await;
    let ended = scene.ledger().await.orders().next().unwrap()["outTradeNo"].clone();
    scene.world.advance(TAKEN_FOR_DEAD);
    scene.refuse_orders(1).await;
    scene.world.fault_too(QUERY, json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 2 })).await;
    scene.assert_refused("ended").await;
    scene.proxy.release();
    // It makes another order, and what it replies is to be paid for that.
    let slow = replied(slow).await;
    assert_eq!(slow.status, 200, "{:?}", slow.json);
    assert_ne!(slow.json["outTradeNo"], ended);
    let ledger = scene.ledger().await;
    assert!(ledger.order(ended.as_str().unwrap()).unwrap()["prepayId"].is_null());
    let prepay_id = ledger.order(number(&slow)).unwrap()["prepayId"].as_str().unwrap();
    assert_eq!(slow.json["payment"]["package"], format!("prepay_id={prepay_id}"));
    scene.assert_adds_up(STOCK - QUANTITY, 1, "a slow request").await;
    // Should it be paid all the same, a person hears of it.
    scene.at_wechat_pay("/pay", ended.as_str().unwrap()).await;
    let event = scene.notification(ended.as_str().unwrap()).await;
    assert_eq!(scene.invoke("pay-notify", event).await.status, 204);
    assert_eq!(scene.ledger().await.order(ended.as_str().unwrap()).unwrap()["paidAfterClosed"], true);
    scene.assert_adds_up(STOCK - QUANTITY, 1, "paid after it had ended").await;
}

/// As before, but the table does not tell that the order has ended.
#[tokio::test]
async fn a_slow_request_whose_prepay_id_is_not_kept_gives_no_payment_once_another_may_have_ended_the_order() {
    let scene = Scene::start().await;
    scene.proxy.inject_after("UpdateItem", 1, 1, Kind::HoldAndRefuse);
    let slow = scene.spawn("create-order", scene.order_event()).await;
    scene.proxy.hanging().await;
    scene.world.advance(TAKEN_FOR_DEAD);
    scene.refuse_orders(1).await;
    scene.world.fault_too(QUERY, json!({ "status": 404, "code": "ORDER_NOT_EXIST", "times": 2 })).await;
    scene.assert_refused("ended").await;
    scene.proxy.release();
    let slow = replied(slow).await;
    assert_eq!((slow.status, slow.code()), (503, "busy"), "{:?}", slow.json);
    // A repeat makes another order.
    scene.ordered().await;
    scene.assert_adds_up(STOCK - QUANTITY, 1, "a repeat").await;
}

#[tokio::test]
async fn a_payment_whose_prepay_id_is_not_kept_is_given_while_no_other_request_can_be_at_it() {
    let scene = Scene::start().await;
    scene.proxy.inject_after("UpdateItem", 1, 1, Kind::error("AccessDeniedException"));
    let made = scene.ordered().await;
    assert!(scene.ledger().await.order(&made).unwrap()["prepayId"].is_null());
    scene.world.advance(TAKEN_FOR_DEAD);
    assert_eq!(scene.ordered().await, made);
    assert!(!scene.ledger().await.order(&made).unwrap()["prepayId"].is_null());
}

#[tokio::test]
async fn a_slow_end_does_not_end_an_order_that_another_request_has_prepared_meanwhile() {
    for is_prepared in [true, false] {
        let scene = Scene::start().await;
        scene.refuse_orders(1).await;
        scene.proxy.inject_after("TransactWriteItems", 1, 1, Kind::Hold);
        let slow = scene.spawn("create-order", scene.order_event()).await;
        scene.proxy.hanging().await;
        scene.world.advance(TAKEN_FOR_DEAD);
        // Who has taken over is prepared, or dies on the way there.
        if is_prepared {
            scene.ordered().await;
        } else {
            scene.kill("create-order", scene.order_event(), Death::BeforeWechatPayHasAnswered(PREPAY)).await;
        }
        let ledger = scene.ledger().await;
        scene.world.advance(TAKEN_FOR_DEAD);
        scene.proxy.release();
        let slow = replied(slow).await;
        assert_eq!(slow.status, 200, "{:?}", slow.json);
        assert_eq!(ledger.orders().count(), 1);
        assert_eq!(ledger.orders().next().unwrap()["outTradeNo"], number(&slow));
        scene.assert_adds_up(STOCK - QUANTITY, 1, "a slow end").await;
    }
}

#[tokio::test]
async fn two_whose_order_is_refused_at_once_leave_nothing_behind() {
    let scene = Scene::start().await;
    scene.refuse_orders(99).await;
    let [one, other] = [
        scene.spawn("create-order", scene.order_event()).await,
        scene.spawn("create-order", scene.order_event()).await,
    ];
    let (one, other) = join(replied(one), replied(other)).await;
    assert_eq!((one.code(), other.code()), ("misconfigured", "misconfigured"));
    scene.assert_adds_up(STOCK, 0, "two at once").await;
    scene.accept_orders().await;
    // The key serves whatever is ordered next.
    let other = scene.buyer.order_event(KEY, &[(SKU, QUANTITY + 1)]);
    assert_eq!(scene.invoke("create-order", other).await.status, 200);
    scene.assert_adds_up(STOCK - QUANTITY - 1, 1, "two at once").await;
}

#[tokio::test]
async fn a_product_that_has_no_stock_any_more_does_not_keep_a_refused_order_open() {
    let scene = Scene::start().await;
    scene.refuse_orders(9).await;
    scene.proxy.inject_after("TransactWriteItems", 1, 1, Kind::Hold);
    let slow = scene.spawn("create-order", scene.order_event()).await;
    scene.proxy.hanging().await;
    scene.world.put_product(SKU, super::PRICE, None).await;
    scene.proxy.release();
    assert_eq!(replied(slow).await.code(), "misconfigured");
    let ledger = scene.ledger().await;
    assert_eq!((ledger.stock(SKU), ledger.open_orders(&scene.buyer.id)), (None, 0));
}
