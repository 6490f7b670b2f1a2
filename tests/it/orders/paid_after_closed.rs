//! Money that comes for an order that was closed, and refunds that somebody has made.

use futures::future::join_all;
use serde_json::json;
use tests::callers::Caller;
use tests::logs;
use tests::notifications::Notice;
use tests::orders::{cart, number};
use tests::world::World;

async fn ordered(world: &World, caller: &Caller, key: &str) -> String {
    number(&caller.order(world, key, &cart(&[("demo-mug", 2)])).await)
}

async fn closed(world: &World, caller: &Caller, key: &str) -> String {
    let number = ordered(world, caller, key).await;
    world.close_at_wechat(&number).await;
    assert_eq!(caller.status_of(world, &number).await, "CLOSED");
    number
}

#[tokio::test]
async fn a_payment_of_a_closed_order_is_kept_and_somebody_is_called() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = closed(&world, &caller, "key").await;
    let told = Notice::telling(&world, &world.payment_of(&number).await).await;
    // However often, and at the same moment.
    let replies = join_all((0..5).map(|_| told.send(&world))).await;
    assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
    assert_eq!(told.send(&world).await.status, 204);
    let row = world.order_row(&number).await;
    assert_eq!((row.story().as_str(), row.paid_after_closed), ("NOTPAY create, CLOSED query, SUCCESS notify", true));
    // Each time: who heard of it first may have ended before anybody was called.
    assert_eq!(logs::count_of("PaidAfterClosed", &number), 6);
    let lines = logs::with(&number);
    let mut lines = lines.iter().filter(|line| line["message"] == "paid after it was closed: refund it");
    assert!(lines.all(|line| line["level"] == "ERROR"));
    // What was given back stays there, and room stays room.
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&caller).await), (Some(200), 0));
    let reply = caller.query_order(&world, &number).await.json;
    assert_eq!((&reply["status"], reply["paidAt"].is_string()), (&json!("SUCCESS"), true));
    assert_eq!(caller.create_order(&world, "key", &cart(&[("demo-mug", 2)])).await.code(), "order_paid");
}

#[tokio::test]
async fn another_amount_for_a_closed_order_is_no_payment_of_it() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = closed(&world, &caller, "key").await;
    let mut payment = world.payment_of(&number).await;
    payment["amount"]["total"] = 1.into();
    assert_eq!(Notice::telling(&world, &payment).await.send(&world).await.status, 204);
    assert_eq!(world.order_row(&number).await.state, "CLOSED");
    assert_eq!(logs::count_of("PaidAfterClosed", &number), 0);
    assert_eq!(world.quarantine().await.len(), 1);
}

#[tokio::test]
async fn an_order_with_a_refund_was_paid_and_stays_refund() {
    let world = World::start().await;
    let caller = world.caller().await;
    let fresh = ordered(&world, &caller, "fresh").await;
    let paid = ordered(&world, &caller, "paid").await;
    let gone = closed(&world, &caller, "gone").await;
    let payment = world.payment_of(&paid).await;
    assert_eq!(Notice::telling(&world, &payment).await.send(&world).await.status, 204);
    for (number, story, after_closed) in [
        (&fresh, "NOTPAY create, REFUND notify", false),
        (&paid, "NOTPAY create, SUCCESS notify, REFUND notify", false),
        (&gone, "NOTPAY create, CLOSED query, REFUND notify", true),
    ] {
        let payment = world.payment_of(number).await;
        let mut refunded = payment.clone();
        refunded["trade_state"] = "REFUND".into();
        // A payment that is told late does not undo the refund.
        for told in [&refunded, &payment, &refunded] {
            assert_eq!(Notice::telling(&world, told).await.send(&world).await.status, 204);
        }
        let row = world.order_row(number).await;
        assert_eq!((row.story().as_str(), row.paid_after_closed), (story, after_closed));
        assert_eq!(logs::count_of("PaidAfterClosed", number), usize::from(after_closed), "{story}");
        let reply = caller.query_order(&world, number).await.json;
        assert_eq!((&reply["status"], &reply["refundedFen"]), (&json!("REFUND"), &json!(0)));
        assert_eq!(reply["transactionId"], payment["transaction_id"]);
    }
    // The two that were paid have what they took; the closed one has given it back.
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&caller).await), (Some(196), 0));
    assert_eq!(world.quarantine().await, []);
}
