//! `refund-order` dies, and `pay-notify` over the result of a refund.

use serde_json::json;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::shop::QUERY;

use super::{Death, NEXT_SWEEP, PART, PRICE, QUANTITY, REQUEST, STOCK, Scene, part_event};

/// Between every two steps of `refund-order`: it reads, holds the amount, asks, and moves on the order and the refund.
const REFUND_DEATHS: [Death; 12] = [
    Death::Before("GetItem", 0),
    Death::After("GetItem", 0),
    Death::Before("GetItem", 1),
    Death::After("GetItem", 1),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
    Death::BeforeWechatPayHasHeard(REFUND),
    Death::BeforeWechatPayHasAnswered(REFUND),
    Death::Before("TransactWriteItems", 1),
    Death::After("TransactWriteItems", 1),
    Death::Before("TransactWriteItems", 2),
    Death::After("TransactWriteItems", 2),
];

/// Those by which WeChat Pay has the refund.
fn is_accepted(death: Death) -> bool {
    match death {
        Death::BeforeWechatPayHasAnswered(REFUND) | Death::After("TransactWriteItems", 1 | 2) => true,
        Death::Before("TransactWriteItems", after) => after > 0,
        _ => false,
    }
}

#[tokio::test]
async fn whoever_dies_while_a_refund_is_made_a_repeat_makes_the_same_refund() {
    for death in REFUND_DEATHS {
        let (scene, when) = (Scene::start().await, format!("{death:?}"));
        let number = scene.paid().await;
        scene.kill("refund-order", part_event(&number), death).await;
        scene.assert_adds_up(STOCK - QUANTITY, 0, &when).await;
        let reply = scene.world.refund(&number, PART, REQUEST).await;
        let expected = if is_accepted(death) { "SUCCESS" } else { "PROCESSING" };
        assert_eq!(reply, expected, "{when}");
        scene.world.advance(NEXT_SWEEP);
        scene.world.sweep_due().await;
        scene.assert_refunded_once(&number, &when).await;
        let rest = PRICE * QUANTITY - PART;
        assert_eq!(scene.world.refund(&number, rest + 1, "more").await, "refund_exceeds_paid", "{when}");
        assert_eq!(scene.world.refund(&number, rest, "rest").await, "PROCESSING", "{when}");
    }
}

#[tokio::test]
async fn whoever_dies_while_a_refund_is_made_a_sweep_finds_what_wechat_pay_has_and_makes_none() {
    for death in REFUND_DEATHS {
        let (scene, when) = (Scene::start().await, format!("{death:?}"));
        let number = scene.paid().await;
        scene.kill("refund-order", part_event(&number), death).await;
        let requests = scene.world.count_of(REFUND).await;
        scene.world.advance(NEXT_SWEEP);
        let healed = scene.world.sweep_due().await["healed"].clone();
        assert_eq!(healed, u64::from(is_accepted(death)), "{when}");
        assert_eq!(scene.world.count_of(REFUND).await, requests, "{when}");
        if is_accepted(death) {
            scene.assert_refunded_once(&number, &when).await;
        } else {
            assert_eq!(scene.world.refunds_at_wechat(&number).await, [json!(null); 0], "{when}");
        }
        scene.world.refund(&number, PART, REQUEST).await;
        scene.world.sweep_all().await;
        scene.assert_refunded_once(&number, &when).await;
    }
}

#[tokio::test]
async fn whoever_dies_after_a_refusal_leaves_an_amount_that_a_repeat_refunds_or_lets_go() {
    let deaths = [
        Death::BeforeWechatPayHasHeard(REFUND_QUERY),
        Death::BeforeWechatPayHasAnswered(REFUND_QUERY),
        Death::Before("TransactWriteItems", 1),
        Death::After("TransactWriteItems", 1),
    ];
    for (death, is_refused_again) in deaths.into_iter().flat_map(|death| [false, true].map(|again| (death, again))) {
        let (scene, when) = (Scene::start().await, format!("{death:?} {is_refused_again}"));
        let number = scene.paid().await;
        let refusal = json!({ "status": 403, "code": "USER_ACCOUNT_ABNORMAL" });
        scene.world.fault_too(REFUND, refusal.clone()).await;
        scene.kill("refund-order", part_event(&number), death).await;
        scene.assert_adds_up(STOCK - QUANTITY, 0, &when).await;
        if is_refused_again {
            scene.world.fault_too(REFUND, refusal).await;
            assert_eq!(scene.world.refund(&number, PART, REQUEST).await, "refund_refused", "{when}");
            assert_eq!(scene.world.amounts(&number).await, (0, 0), "{when}");
            assert!(scene.world.refunds_of(&number).await.is_empty(), "{when}");
        }
        assert_eq!(scene.world.refund(&number, PART, REQUEST).await, "PROCESSING", "{when}");
        scene.world.sweep_all().await;
        scene.assert_refunded_once(&number, &when).await;
    }
}

#[tokio::test]
async fn whoever_dies_over_the_result_of_a_refund_the_next_notification_has_it_counted_once() {
    // Of staff's refund nothing is known, so that the order is moved on as well.
    let of_staff = [
        Death::Before("GetItem", 1),
        Death::After("GetItem", 1),
        Death::Before("TransactWriteItems", 0),
        Death::After("TransactWriteItems", 0),
        Death::Before("TransactWriteItems", 1),
        Death::After("TransactWriteItems", 1),
    ];
    let ours = [Death::Before("TransactWriteItems", 0), Death::After("TransactWriteItems", 0)];
    let cases = of_staff.map(|death| (death, true)).into_iter().chain(ours.map(|death| (death, false)));
    for (death, is_by_staff) in cases {
        let (scene, when) = (Scene::start().await, format!("{death:?} {is_by_staff}"));
        let number = scene.paid().await;
        let refund = if is_by_staff {
            scene.world.staff_refund(&number, PART, json!({ "notify": "v3" })).await
        } else {
            assert_eq!(scene.world.refund(&number, PART, REQUEST).await, "PROCESSING");
            scene.world.refund_row(&number).await.number
        };
        let event = scene.world.notification(json!({ "outRefundNo": refund })).await;
        scene.kill("pay-notify", event.clone(), death).await;
        scene.assert_adds_up(STOCK - QUANTITY, 0, &when).await;
        for _ in 0..2 {
            assert_eq!(scene.invoke("pay-notify", event.clone()).await.status, 204, "{when}");
            scene.assert_refunded_once(&number, &when).await;
        }
    }
}

#[tokio::test]
async fn after_a_crash_over_a_refund_that_was_made_by_hand_the_next_question_finds_that() {
    let deaths = [
        Death::Before("TransactWriteItems", 1),
        Death::After("TransactWriteItems", 1),
        Death::BeforeWechatPayHasHeard(QUERY),
        Death::BeforeWechatPayHasAnswered(QUERY),
        Death::Before("TransactWriteItems", 2),
        Death::After("TransactWriteItems", 2),
    ];
    for (at, death) in deaths.into_iter().enumerate() {
        let (scene, when) = (Scene::start().await, format!("{death:?}"));
        let number = scene.paid().await;
        scene.world.staff_refund(&number, PRICE * QUANTITY, json!({})).await;
        scene.kill("refund-order", part_event(&number), death).await;
        // Before the amount is let go, it is held, and there is no reason to ask.
        let (held, state) = if at == 0 { (PART, "SUCCESS") } else { (0, "REFUND") };
        assert_eq!(scene.world.amounts(&number).await, (held, 0), "{when}");
        assert_eq!(scene.query(&number).await.json["status"], state, "{when}");
        assert_eq!(scene.world.refund(&number, PART, REQUEST).await, "refund_refused", "{when}");
        assert_eq!(scene.query(&number).await.json["status"], "REFUND", "{when}");
        assert_eq!(scene.world.amounts(&number).await, (0, 0), "{when}");
        scene.assert_adds_up(STOCK - QUANTITY, 0, &when).await;
    }
}
