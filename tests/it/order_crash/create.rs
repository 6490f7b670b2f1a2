//! `create-order` dies.

use futures::future::join;
use serde_json::json;
use tests::http::Reply;
use tests::ledger::Ledger;
use tests::shop::PREPAY;

use super::{Death, KEY, PRICE, QUANTITY, SKU, STOCK, Scene, TAKEN_FOR_DEAD, number};

/// Between every two steps of `create-order`.
const CREATE_DEATHS: [Death; 10] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::Before("BatchGetItem", 0),
    Death::After("BatchGetItem", 0),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
    Death::BeforeWechatPayHasHeard(PREPAY),
    Death::BeforeWechatPayHasAnswered(PREPAY),
    Death::Before("UpdateItem", 1),
    Death::After("UpdateItem", 1),
];

#[tokio::test]
async fn whoever_dies_while_an_order_is_made_a_retry_makes_the_same_order() {
    for (at, death) in CREATE_DEATHS.into_iter().enumerate() {
        let scene = Scene::start().await;
        scene.kill("create-order", scene.order_event(), death).await;
        let left = scene.ledger().await;
        scene.world.advance(TAKEN_FOR_DEAD);
        let reply = scene.order().await;
        assert_eq!(reply.status, 200, "{death:?}: {:?}", reply.json);
        let claim = left.claim(&scene.buyer.id, KEY);
        assert_eq!(claim.is_none(), death == Death::Before("UpdateItem", 0), "{death:?}");
        let until_order = CREATE_DEATHS.iter().position(|death| *death == Death::After("TransactWriteItems", 0));
        assert_eq!(left.orders().count(), usize::from(at >= until_order.unwrap()), "{death:?}");
        assert_goes_on(&scene, &left, &reply, &format!("{death:?}")).await;
        // And once more: nothing happens but an answer.
        let (ledger, calls) = (scene.ledger().await, scene.world.count_of(PREPAY).await);
        assert_eq!(scene.ordered().await, number(&reply), "{death:?}");
        assert_eq!((scene.ledger().await, scene.world.count_of(PREPAY).await), (ledger, calls), "{death:?}");
    }
}

/// Checks that a retry has gone on from what somebody has left.
async fn assert_goes_on(scene: &Scene, left: &Ledger, reply: &Reply, when: &str) {
    scene.assert_adds_up(STOCK - QUANTITY, 1, when).await;
    let ledger = scene.ledger().await;
    let order = ledger.order(number(reply)).unwrap();
    assert_eq!(ledger.orders().count(), 1, "{when}");
    assert_eq!(Ledger::history(order), [("NOTPAY", "create")], "{when}");
    let claim = left.claim(&scene.buyer.id, KEY);
    assert!(claim.is_none_or(|claim| claim["outTradeNo"] == number(reply)), "{when}");
    for before in left.orders() {
        for name in ["outTradeNo", "prepayBody", "timeExpire", "createdAt", "history", "lines", "totalFen"] {
            assert_eq!(before[name], order[name], "{when} {name}");
        }
    }
    // WeChat Pay has one order, and takes the payment that was replied for the one of that order.
    let there = scene.world.orders_at_wechat_pay().await;
    assert!(there.len() == 1 && there[0]["outTradeNo"] == number(reply), "{when}: {there:?}");
    assert_eq!(reply.json["payment"]["package"], format!("prepay_id={}", order["prepayId"].as_str().unwrap()));
    let wish = json!({ "payment": reply.json["payment"], "user": scene.buyer.person, "outcome": "cancel" });
    let errmsg = scene.world.sandbox("POST", "/requestPayment", wish).await;
    assert_eq!(errmsg["errMsg"], "requestPayment:fail cancel", "{when}");
}

#[tokio::test]
async fn a_retry_that_comes_at_once_waits_for_the_dead_and_makes_the_same_order() {
    // The clock stands still: who is watched for so long is taken for dead all the same.
    let cases = [Death::After("UpdateItem", 0), Death::BeforeWechatPayHasAnswered(PREPAY)].map(async |death| {
        let scene = Scene::start().await;
        scene.kill("create-order", scene.order_event(), death).await;
        let left = scene.ledger().await;
        let reply = scene.order().await;
        assert_eq!(reply.status, 200, "{death:?}: {:?}", reply.json);
        assert_goes_on(&scene, &left, &reply, &format!("{death:?}")).await;
    });
    let [claimed, prepared] = cases;
    join(claimed, prepared).await;
}

/// Where somebody dies who finds an order: it first takes over from whoever has asked for the prepay_id.
const DEATHS_WITH_AN_ORDER: [Death; 8] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::Before("UpdateItem", 1),
    Death::After("UpdateItem", 1),
    Death::BeforeWechatPayHasHeard(PREPAY),
    Death::BeforeWechatPayHasAnswered(PREPAY),
    Death::Before("UpdateItem", 2),
    Death::After("UpdateItem", 2),
];

#[tokio::test]
async fn whoever_dies_after_somebody_who_has_died_a_third_one_makes_the_same_order() {
    // Who finds a claim that is not marked does what its maker does next.
    let with_a_claim = CREATE_DEATHS.into_iter().skip(1).map(|second| (Death::After("UpdateItem", 0), second));
    let with_an_order = DEATHS_WITH_AN_ORDER.map(|second| (Death::After("TransactWriteItems", 0), second));
    for (first, second) in with_a_claim.chain(with_an_order) {
        let (scene, when) = (Scene::start().await, format!("{first:?}, {second:?}"));
        scene.kill("create-order", scene.order_event(), first).await;
        let claim = scene.ledger().await.claim(&scene.buyer.id, KEY).unwrap()["outTradeNo"].clone();
        scene.world.advance(TAKEN_FOR_DEAD);
        scene.kill("create-order", scene.order_event(), second).await;
        let left = scene.ledger().await;
        scene.world.advance(TAKEN_FOR_DEAD);
        let reply = scene.order().await;
        assert_eq!(reply.status, 200, "{when}: {:?}", reply.json);
        assert_eq!(reply.json["outTradeNo"], claim, "{when}");
        assert_goes_on(&scene, &left, &reply, &when).await;
    }
}

#[tokio::test]
async fn whoever_dies_while_a_key_is_freed_the_key_serves_the_next_order() {
    for death in [Death::Before("TransactWriteItems", 0), Death::After("TransactWriteItems", 0)] {
        let scene = Scene::start().await;
        scene.world.put_product(SKU, PRICE, Some(QUANTITY - 1)).await;
        scene.kill("create-order", scene.order_event(), death).await;
        let is_claimed = scene.ledger().await.claim(&scene.buyer.id, KEY).is_some();
        assert_eq!(is_claimed, matches!(death, Death::Before(..)), "{death:?}");
        scene.world.advance(TAKEN_FOR_DEAD);
        // Still refused, and then free.
        assert_eq!(scene.order().await.code(), "out_of_stock", "{death:?}");
        assert!(scene.ledger().await.claim(&scene.buyer.id, KEY).is_none(), "{death:?}");
        scene.world.put_product(SKU, PRICE, Some(STOCK)).await;
        let other = scene.buyer.order_event(KEY, &[(SKU, QUANTITY + 1)]);
        assert_eq!(scene.invoke("create-order", other).await.status, 200, "{death:?}");
        scene.assert_adds_up(STOCK - QUANTITY - 1, 1, &format!("{death:?}")).await;
    }
}
