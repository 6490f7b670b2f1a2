//! `order-sweeper` dies while it waits for WeChat Pay; and between its writes, after somebody else who has died.

use std::time::Duration;

use serde_json::json;
use tests::ledger::Ledger;
use tests::refunds::{CLOSE, REFUND, REFUND_QUERY};
use tests::shop::{PREPAY, QUERY};

use super::{Death, NEXT_SWEEP, STOCK, Scene, part_event};

/// As long as an order can be paid.
const ORDER_TTL: Duration = Duration::from_secs(1800);

/// Where a sweeper dies that closes an order.
const CLOSE_DEATHS: [Death; 8] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::BeforeWechatPayHasHeard(QUERY),
    Death::BeforeWechatPayHasAnswered(QUERY),
    Death::BeforeWechatPayHasHeard(CLOSE),
    Death::BeforeWechatPayHasAnswered(CLOSE),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
];

#[tokio::test]
async fn whoever_dies_while_an_order_is_closed_the_next_sweep_closes_it_and_gives_the_stock_back_once() {
    for death in CLOSE_DEATHS {
        let (scene, when) = (Scene::with_fresh_keys().await, format!("{death:?}"));
        let number = scene.ordered().await;
        scene.world.advance(ORDER_TTL);
        scene.kill("order-sweeper", b"{}".to_vec(), death).await;
        scene.world.advance(NEXT_SWEEP);
        scene.assert_closed(&number, &when).await;
    }
}

#[tokio::test]
async fn whoever_dies_after_create_order_has_died_the_next_sweep_closes_what_there_is() {
    let of_create = [
        Death::BeforeWechatPayHasHeard(PREPAY),
        Death::BeforeWechatPayHasAnswered(PREPAY),
        Death::After("TransactWriteItems", 0),
    ];
    let of_sweep = [Death::BeforeWechatPayHasAnswered(QUERY), Death::Before("TransactWriteItems", 0)];
    for (first, second) in of_create.into_iter().flat_map(|first| of_sweep.map(|second| (first, second))) {
        let (scene, when) = (Scene::with_fresh_keys().await, format!("{first:?}, {second:?}"));
        scene.kill("create-order", scene.order_event(), first).await;
        let number = scene.ledger().await.orders().next().unwrap()["outTradeNo"].as_str().unwrap().to_owned();
        // Not before a request that is still under way has arrived, or never will.
        scene.world.advance(ORDER_TTL + NEXT_SWEEP);
        scene.kill("order-sweeper", b"{}".to_vec(), second).await;
        scene.world.advance(NEXT_SWEEP);
        scene.assert_closed(&number, &when).await;
    }
}

#[tokio::test]
async fn whoever_dies_over_a_refund_that_nobody_has_heard_of_the_next_sweep_settles_it() {
    let deaths = [
        Death::BeforeWechatPayHasHeard(REFUND_QUERY),
        Death::BeforeWechatPayHasAnswered(REFUND_QUERY),
        Death::Before("TransactWriteItems", 0),
        Death::After("TransactWriteItems", 0),
        Death::Before("TransactWriteItems", 1),
        Death::After("TransactWriteItems", 1),
    ];
    for death in deaths {
        let (scene, when) = (Scene::with_fresh_keys().await, format!("{death:?}"));
        let number = scene.paid().await;
        scene.kill("refund-order", part_event(&number), Death::BeforeWechatPayHasAnswered(REFUND)).await;
        scene.world.advance(NEXT_SWEEP);
        scene.kill("order-sweeper", b"{}".to_vec(), death).await;
        scene.world.advance(NEXT_SWEEP);
        assert_eq!(scene.world.sweep_due().await["failures"], 0, "{when}");
        scene.assert_refunded_once(&number, &when).await;
    }
}

impl Scene {
    /// One in which the sweeper has nothing to do for WeChat Pay's keys, so that what it writes is about orders.
    async fn with_fresh_keys() -> Self {
        let scene = Self::start().await;
        scene.world.sweep_due().await;
        scene
    }

    async fn assert_closed(&self, number: &str, when: &str) {
        assert_eq!(self.world.sweep_due().await["failures"], 0, "{when}");
        self.assert_adds_up(STOCK, 0, when).await;
        let ledger = self.ledger().await;
        let history = Ledger::history(ledger.order(number).unwrap());
        assert_eq!(history, [("NOTPAY", "create"), ("CLOSED", "sweep")], "{when}");
        // Nobody can pay it any more.
        let paid = self.world.wechat("POST", "/sandbox/pay", json!({ "outTradeNo": number })).await;
        assert_ne!(paid.status, 200, "{when}");
        // And a repeat of the order makes no other.
        assert_eq!(self.order().await.code(), "order_closed", "{when}");
    }
}
