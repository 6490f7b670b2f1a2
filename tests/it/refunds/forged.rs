//! What is not signed, or does not match, moves no refund.

use serde_json::{Value, json};
use tests::notifications::Notice;
use tests::orders::show;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

/// A refund of 900 fen of an order that is paid, which is open: nobody here knows whether it was taken.
async fn reserved() -> (World, String, String) {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "drop": "after" })).await;
    world.sandbox("POST", "/faults", json!({ "path": REFUND_QUERY, "drop": "before", "times": 3 })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable");
    let number = world.refund_row(&order).await.number;
    (world, order, number)
}

async fn assert_untouched(world: &World, order: &str, what: &str) {
    let rows = world.refunds_of(order).await;
    let stories: Vec<_> = rows.iter().map(|row| row.story.as_str()).collect();
    assert_eq!(stories, ["RESERVED refund"], "{what}");
    assert_eq!(world.amounts(order).await, (900, 0), "{what}");
    assert_eq!(world.order_row(order).await.story(), "NOTPAY create, SUCCESS notify", "{what}");
}

#[tokio::test]
async fn what_is_forged_is_401() {
    let (world, order, number) = reserved().await;
    world.settle_silently(&number, "SUCCESS").await;
    for tamper in [
        "aad",
        "algorithm",
        "body",
        "futureTimestamp",
        "key",
        "missing",
        "nonce",
        "serial",
        "signature",
        "signtest",
        "timestamp",
    ] {
        let wish = json!({ "outRefundNo": number, "tamper": tamper });
        assert_eq!(Notice::forge(&world, wish).await.send(&world).await.status, 401, "{tamper}");
        show(&format!("refund's notification, {tamper}"), "401");
    }
    assert_untouched(&world, &order, "forged").await;
    assert_eq!(world.quarantine().await, []);
    let genuine = Notice::forge(&world, json!({ "outRefundNo": number })).await;
    assert_eq!(genuine.send(&world).await.status, 204);
    assert_eq!(world.amounts(&order).await, (900, 900));
}

/// What may be wrong in a notification of a refund, and what it is kept for.
fn mismatches() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/amount/total", json!(3901), "amount.total"),
        ("/amount/refund", json!(901), "amount.refund"),
        ("/amount/refund", json!(899), "amount.refund"),
        ("/amount/refund", json!(0), "amount.refund"),
        ("/amount/refund", json!(3901), "amount.refund"),
        ("/amount/refund", json!("900"), "unreadable"),
        ("/amount/refund", json!(-900), "unreadable"),
        ("/amount", Value::Null, "unreadable"),
        ("/mchid", json!("1900000002"), "mchid"),
        ("/transaction_id", json!("4200001999999999999999999999"), "transaction_id"),
        ("/transaction_id", json!(""), "transaction_id"),
        ("/transaction_id", Value::Null, "unreadable"),
        ("/out_trade_no", json!("AnotherOrder00000000000000000001"), "no such order"),
        ("/out_trade_no", json!(""), "no such order"),
        ("/out_trade_no", json!(7), "unreadable"),
        ("/out_refund_no", json!(""), "unreadable"),
        ("/out_refund_no", json!("a#b"), "unreadable"),
        ("/refund_status", json!("CLOSED"), "no result of a refund"),
        ("/refund_status", json!("PROCESSING"), "no result of a refund"),
        ("/refund_status", json!("SETTLING"), "no result of a refund"),
        ("/refund_status", Value::Null, "unreadable"),
    ]
}

#[tokio::test]
async fn each_field_that_does_not_match_is_named_and_moves_neither_refund_nor_order() {
    let (world, order, number) = reserved().await;
    for (pointer, value, reason) in mismatches() {
        let mut refund = world.refund_of(&order, &number, 900, "SUCCESS").await;
        let shown = format!("{pointer} {value}");
        *refund.pointer_mut(pointer).unwrap() = value;
        let wish = json!({ "resource": refund, "eventType": "REFUND.SUCCESS", "originalType": "refund" });
        let before = world.quarantine().await;
        let notice = Notice::forge(&world, wish).await;
        for _ in 0..2 {
            assert_eq!(notice.send(&world).await.status, 204, "{shown}");
        }
        let kept = world.quarantine().await;
        assert_eq!(kept.len(), before.len() + 1, "{shown}");
        let id: Value = serde_json::from_slice(&notice.body).unwrap();
        let sk = format!("EVENT#{}#{reason}", id["id"].as_str().unwrap());
        assert!(world.row("QUARANTINE", &sk).await.is_some(), "{shown}: {kept:?}");
        show(&format!("refund's notification, signed, {shown}"), &format!("204, quarantine: {reason}"));
        assert_untouched(&world, &order, &shown).await;
    }
    let right = world.refund_of(&order, &number, 900, "SUCCESS").await;
    assert_eq!(Notice::telling_refund(&world, &right).await.send(&world).await.status, 204);
    assert_eq!(world.amounts(&order).await, (900, 900));
}

#[tokio::test]
async fn another_event_of_refunds_is_kept() {
    let (world, order, number) = reserved().await;
    let refund = world.refund_of(&order, &number, 900, "SUCCESS").await;
    for event_type in ["REFUND.NEWS", "REFUND.", "REFUND.PROCESSING", "refund.success"] {
        let wish = json!({ "resource": refund, "eventType": event_type, "originalType": "refund" });
        assert_eq!(Notice::forge(&world, wish).await.send(&world).await.status, 204, "{event_type}");
        assert_untouched(&world, &order, event_type).await;
    }
    assert_eq!(world.quarantine().await.len(), 4);
}
