//! Refunds that staff makes on the merchant platform are recorded when we are told, and count.

use serde_json::{Value, json};
use tests::logs;
use tests::notifications::Notice;
use tests::refund_rows::RefundRow;
use tests::refunds::REFUND;
use tests::world::World;

async fn tell(world: &World, refund: &str) {
    let told = world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": refund })).await;
    assert_eq!(told["status"], 204, "{refund}");
}

#[tokio::test]
async fn a_refund_on_the_merchant_platform_is_recorded_and_counts() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let staff = world.staff_refund(&order, 1000, json!({ "notify": "v3", "outRefundNo": "a_-|*@Z" })).await;
    for _ in 0..2 {
        tell(&world, &staff).await;
    }
    let expected = RefundRow {
        number: "a_-|*@Z".to_owned(),
        fen: 1000,
        state: "SUCCESS".to_owned(),
        story: "SUCCESS notify".to_owned(),
        request_id: None,
        is_swept: false,
    };
    assert_eq!(world.refunds_of(&order).await, [expected]);
    assert_eq!(world.amounts(&order).await, (1000, 1000));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND notify");
    assert_eq!(buyer.query_order(&world, &order).await.json["refundedFen"], 1000);
    assert_eq!(world.quarantine().await, []);
    // What is left is ours.
    assert_eq!(world.refund(&order, 2901, "return").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, 2900, "return").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 1);
    assert_eq!(world.amounts(&order).await, (3900, 3900));
}

#[tokio::test]
async fn one_after_ours_counts_as_well() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 2900, "return").await, "PROCESSING");
    let staff = world.staff_refund(&order, 1000, json!({ "notify": "v3" })).await;
    tell(&world, &staff).await;
    assert_eq!(world.amounts(&order).await, (3900, 1000));
    assert_eq!(world.refund(&order, 1, "more").await, "refund_exceeds_paid");
    assert_eq!(world.sweep_all().await["healed"], 1);
    assert_eq!(world.amounts(&order).await, (3900, 3900));
}

#[tokio::test]
async fn one_that_takes_what_ours_has_reserved_is_recorded_and_ours_is_refused() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "status": 403, "code": "NOT_ENOUGH" })).await;
    assert_eq!(world.refund(&order, 3900, "return").await, "misconfigured");
    let staff = world.staff_refund(&order, 1000, json!({ "notify": "v3" })).await;
    tell(&world, &staff).await;
    // It has happened, whatever is held here.
    assert_eq!(world.amounts(&order).await, (4900, 1000));
    assert_eq!(world.refund(&order, 1, "more").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, 3900, "return").await, "refund_refused");
    assert_eq!(world.amounts(&order).await, (1000, 1000));
    assert_eq!(world.refund(&order, 2900, "the-rest").await, "PROCESSING");
}

#[tokio::test]
async fn a_closed_one_takes_nothing_and_an_abnormal_one_holds() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let closed = world.staff_refund(&order, 1000, json!({ "notify": "v3", "status": "CLOSED" })).await;
    tell(&world, &closed).await;
    assert_eq!(world.amounts(&order).await, (0, 0));
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("CLOSED notify", false));
    let abnormal = world.staff_refund(&order, 1000, json!({ "notify": "v3", "status": "ABNORMAL" })).await;
    tell(&world, &abnormal).await;
    assert_eq!(world.amounts(&order).await, (1000, 0));
    assert_eq!(logs::count_of("RefundAbnormal", &abnormal), 1);
    assert_eq!(world.refund(&order, 2901, "return").await, "refund_exceeds_paid");
    // The sweep asks about that one from now on.
    world.settle_silently(&abnormal, "SUCCESS").await;
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    assert_eq!(world.amounts(&order).await, (1000, 1000));
    assert_eq!(world.refund(&order, 2900, "return").await, "PROCESSING");
}

#[tokio::test]
async fn a_refund_of_an_order_that_nobody_knows_to_be_paid_says_that_it_is() {
    let (world, buyer) = World::start_untold().await;
    let [fresh, closed] = [buyer.buy(&world, "demo-mug").await, buyer.buy(&world, "demo-mug").await];
    for order in [&fresh, &closed] {
        world.pay_silently(order).await;
    }
    world.alter(&format!("ORDER#{closed}"), "ORDER", "tradeState", "CLOSED").await;
    for (order, after_closed) in [(&fresh, false), (&closed, true)] {
        let staff = world.staff_refund(order, 1000, json!({ "notify": "v3" })).await;
        tell(&world, &staff).await;
        let row = world.order_row(order).await;
        assert_eq!((row.story().as_str(), row.paid_after_closed), ("NOTPAY create, REFUND notify", after_closed));
        let payment = world.payment_of(order).await;
        assert_eq!(json!(row.transaction_id), payment["transaction_id"]);
        assert_eq!(world.amounts(order).await, (1000, 1000));
        // A part of it is refunded: of the rest somebody has to hear.
        assert_eq!(logs::count_of("PaidAfterClosed", order), usize::from(after_closed));
        // What tells of the payment comes late, and changes nothing.
        assert_eq!(Notice::of(&world, order).await.send(&world).await.status, 204);
        assert_eq!(world.order_row(order).await.state, "REFUND");
    }
    assert_eq!(world.refund(&fresh, 2900, "rest").await, "PROCESSING");
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_notice_of_version_2_is_refused_and_counted_apart_and_moves_nothing() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let staff = world.staff_refund(&order, 1000, json!({ "notify": "v2" })).await;
    let counted = logs::with("\"NotificationOfVersion2\":1").len();
    let told = world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": staff })).await;
    assert_eq!(told["status"], 401);
    assert!(logs::with("\"NotificationOfVersion2\":1").len() > counted);
    assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)));
    assert_eq!((world.order_row(&order).await.state.as_str(), world.quarantine().await.len()), ("SUCCESS", 0));
    // What staff has done shows when ours is asked for, at the latest.
    assert_eq!(world.refund(&order, 3900, "return").await, "refund_refused");
    assert_eq!(world.sandbox("GET", "/refunds", Value::Null).await["refunds"].as_array().unwrap().len(), 1);
}
