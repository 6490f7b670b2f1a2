//! Many at once: no more is refunded than was paid, and one request is one refund.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::dynamodb_proxy::Kind;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

fn counted(outcomes: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn of_fifty_refunds_of_all_but_one_fen_one_is_accepted() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let ids: Vec<_> = (0..50).map(|at| format!("return-{at}")).collect();
    let outcomes = join_all(ids.iter().map(|id| world.refund(&order, 3899, id))).await;
    let expected = BTreeMap::from([("PROCESSING".to_owned(), 1), ("refund_exceeds_paid".to_owned(), 49)]);
    assert_eq!(counted(outcomes), expected);
    assert_eq!((world.amounts(&order).await, world.refund_row(&order).await.fen), ((3899, 0), 3899));
    assert_eq!((world.count_of(REFUND).await, world.refunds_at_wechat(&order).await.len()), (1, 1));
    assert_eq!(world.refund(&order, 1, "the-last-fen").await, "PROCESSING");
    assert_eq!(world.sweep_all().await["healed"], 2);
    assert_eq!(world.amounts(&order).await, (3900, 3900));
}

#[tokio::test]
async fn fifty_parts_are_as_many_as_fit() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let ids: Vec<_> = (0..50).map(|at| format!("return-{at}")).collect();
    let outcomes = join_all(ids.iter().map(|id| world.refund(&order, 390, id))).await;
    let expected = BTreeMap::from([("PROCESSING".to_owned(), 10), ("refund_exceeds_paid".to_owned(), 40)]);
    assert_eq!(counted(outcomes), expected);
    assert_eq!((world.amounts(&order).await, world.refunds_of(&order).await.len()), ((3900, 0), 10));
}

#[tokio::test]
async fn fifty_repeats_of_one_request_are_one_refund() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let outcomes = join_all((0..50).map(|_| world.refund(&order, 3900, "return"))).await;
    assert!(outcomes.iter().all(|outcome| ["PROCESSING", "SUCCESS"].contains(&outcome.as_str())), "{outcomes:?}");
    assert_eq!((world.amounts(&order).await.0, world.refunds_at_wechat(&order).await.len()), (3900, 1));
    world.sweep_all().await;
    assert_eq!(
        (world.amounts(&order).await, world.refund_row(&order).await.state),
        ((3900, 3900), "SUCCESS".to_owned())
    );
}

#[tokio::test]
async fn refusals_among_many_repeats_leave_what_wechat_pay_has() {
    let (world, buyer) = World::start_untold().await;
    for refused in [3, 10, 30] {
        let order = world.paid_order(&buyer).await;
        world.fault(REFUND, json!({ "status": 403, "code": "NO_AUTH", "times": refused })).await;
        let outcomes = counted(join_all((0..20).map(|_| world.refund(&order, 3900, "return"))).await);
        let at_wechat = world.refunds_at_wechat(&order).await.len();
        assert!(at_wechat <= 1, "{outcomes:?}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.sweep_all().await;
        let rows = world.refunds_of(&order).await;
        let held: u64 = rows.iter().map(|row| row.fen).sum();
        let done: u64 = rows.iter().filter(|row| row.state == "SUCCESS").map(|row| row.fen).sum();
        assert_eq!(world.amounts(&order).await, (held, done), "{outcomes:?}");
        assert_eq!(done, 3900 * u64::try_from(at_wechat).unwrap(), "{outcomes:?} {rows:?}");
    }
}

/// Who was refused first does not take away what somebody else has asked for since, in the same millisecond even.
#[tokio::test]
async fn who_is_slow_to_release_does_not_release_what_was_asked_for_again() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let buyer = world.untold().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "status": 403, "code": "NO_AUTH" })).await;
    // The first transaction reserves, and the second one would release.
    proxy.inject_after("TransactWriteItems", 1, 1, Kind::Hold);
    let slow = world.refund(&order, 3900, "return");
    let fast = async {
        proxy.hanging().await;
        // It is accepted, and who has asked never hears of it.
        world.fault(REFUND, json!({ "drop": "after" })).await;
        let of_query = json!({ "path": REFUND_QUERY, "status": 404, "code": "RESOURCE_NOT_EXISTS" });
        world.sandbox("POST", "/faults", of_query).await;
        world.sandbox("POST", "/faults", json!({ "path": REFUND_QUERY, "drop": "before", "times": 3 })).await;
        let outcome = world.refund(&order, 3900, "return").await;
        proxy.release();
        outcome
    };
    let (slow, fast) = tokio::join!(slow, fast);
    // Nor is it told that there is no refund.
    assert_eq!((slow.as_str(), fast.as_str()), ("SUCCESS", "wechat_unavailable"));
    assert_eq!(world.refunds_at_wechat(&order).await.len(), 1);
    assert_eq!((world.refund_row(&order).await.state.as_str(), world.amounts(&order).await), ("SUCCESS", (3900, 3900)));
}
