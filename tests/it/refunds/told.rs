//! Notifications of refunds come twice, late, and in any order.

use futures::future::join_all;
use serde_json::json;
use tests::dynamodb_proxy::Kind;
use tests::notifications::Notice;
use tests::refunds::REFUND_QUERY;
use tests::world::World;

#[tokio::test]
async fn twenty_copies_at_once_count_once() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let number = world.refund_row(&order).await.number;
    let told = Notice::telling_refund(&world, &world.refund_of(&order, &number, 900, "SUCCESS").await).await;
    let replies = join_all((0..20).map(|_| told.send(&world))).await;
    assert!(replies.iter().all(|reply| reply.status == 204 && reply.body.is_empty()), "{replies:?}");
    assert_eq!(world.refund_row(&order).await.story, "RESERVED refund, PROCESSING refund, SUCCESS notify");
    assert_eq!((world.amounts(&order).await, world.quarantine().await.len()), ((900, 900), 0));
}

#[tokio::test]
async fn twenty_copies_of_a_refund_that_nobody_here_made_are_one_row() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    let told = Notice::telling_refund(&world, &world.refund_of(&order, "staff-1", 900, "SUCCESS").await).await;
    let replies = join_all((0..20).map(|_| told.send(&world))).await;
    assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
    assert_eq!(
        (world.refund_row(&order).await.story.as_str(), world.amounts(&order).await),
        ("SUCCESS notify", (900, 900))
    );
    assert_eq!(
        (world.order_row(&order).await.story().as_str(), world.open_orders(&buyer).await),
        ("NOTPAY create, REFUND notify", 0)
    );
}

#[tokio::test]
async fn what_ended_is_not_undone_by_what_comes_late() {
    let (world, buyer) = World::start_untold().await;
    for (first, story, amounts) in [
        ("SUCCESS", "RESERVED refund, PROCESSING refund, SUCCESS notify", (900, 900)),
        ("CLOSED", "RESERVED refund, PROCESSING refund, CLOSED notify", (0, 0)),
    ] {
        let order = world.paid_order(&buyer).await;
        world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
        assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
        let number = world.refund_row(&order).await.number;
        for status in [first, "ABNORMAL", first] {
            let told = world.refund_of(&order, &number, 900, status).await;
            assert_eq!(Notice::telling_refund(&world, &told).await.send(&world).await.status, 204);
        }
        let row = world.refund_row(&order).await;
        assert_eq!((row.story.as_str(), row.is_swept, world.amounts(&order).await), (story, false, amounts));
        assert_eq!(tests::logs::count_of("RefundAbnormal", &number), 0, "it has ended well");
    }
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn two_ends_of_one_refund_are_for_a_person() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    for (first, second, amounts) in [("SUCCESS", "CLOSED", (900, 900)), ("CLOSED", "SUCCESS", (0, 0))] {
        let order = world.paid_order(&buyer).await;
        assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
        let number = world.refund_row(&order).await.number;
        for status in [first, second, second] {
            let told = world.refund_of(&order, &number, 900, status).await;
            assert_eq!(Notice::telling_refund(&world, &told).await.send(&world).await.status, 204);
        }
        assert_eq!((world.refund_row(&order).await.state.as_str(), world.amounts(&order).await), (first, amounts));
        let kept = world.quarantine().await;
        let expected = (format!("REFUND.{second}"), "status".to_owned(), Some(order.clone()));
        assert!(kept.contains(&expected), "{kept:?}");
    }
}

#[tokio::test]
async fn the_result_may_be_faster_than_the_answer() {
    for (status, end, amounts) in [("SUCCESS", "SUCCESS", (900, 900)), ("CLOSED", "CLOSED", (0, 0))] {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        let buyer = world.untold().await;
        world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
        let order = world.paid_order(&buyer).await;
        // Reserved, and the order is moved on; then the answer is about to be written.
        proxy.inject_after("TransactWriteItems", 2, 1, Kind::Hold);
        let asked = world.refund(&order, 900, "return");
        let told = async {
            proxy.hanging().await;
            let number = world.refund_row(&order).await.number;
            let told = world.refund_of(&order, &number, 900, status).await;
            let reply = Notice::telling_refund(&world, &told).await.send(&world).await;
            proxy.release();
            reply.status
        };
        let (asked, told) = tokio::join!(asked, told);
        assert_eq!((asked.as_str(), told), (end, 204));
        let row = world.refund_row(&order).await;
        assert_eq!((row.story, row.is_swept), (format!("RESERVED refund, {end} notify"), false));
        assert_eq!((world.amounts(&order).await, world.count_of(REFUND_QUERY).await), (amounts, 0));
    }
}

#[tokio::test]
async fn a_notification_of_what_is_only_reserved_settles_it() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    world.fault(tests::refunds::REFUND, json!({ "drop": "after" })).await;
    world.sandbox("POST", "/faults", json!({ "path": REFUND_QUERY, "drop": "before", "times": 3 })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable");
    let number = world.refund_row(&order).await.number;
    let told = world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": number })).await;
    assert_eq!(told["status"], 204);
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund, SUCCESS notify", false));
    assert_eq!(world.amounts(&order).await, (900, 900));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND notify");
    assert_eq!(world.refund(&order, 900, "return").await, "SUCCESS");
}

#[tokio::test]
async fn a_notification_that_dies_between_its_writes_is_made_up_for_when_it_comes_again() {
    // The order is moved on, and then the refund begins here.
    for after in 0..2 {
        for kind in [Kind::Hang, Kind::HangAfter] {
            let (world, proxy, _behind) = World::start_with_proxy().await;
            let (buyer, case) = (world.untold().await, format!("{after} {kind:?}"));
            let order = buyer.buy(&world, "demo-mug").await;
            world.pay_silently(&order).await;
            let staff = world.staff_refund(&order, 900, json!({ "notify": "v3" })).await;
            let notice = Notice::forge(&world, json!({ "outRefundNo": staff })).await;
            proxy.inject_after("TransactWriteItems", after, 1, kind);
            let (instance, now, event) = (world.instance("pay-notify").await, world.now(), notice.event().to_string());
            let dying = tokio::spawn(async move { instance.invoke(event.into_bytes(), now).await });
            proxy.hanging().await;
            dying.abort();
            assert!(dying.await.unwrap_err().is_cancelled(), "{case}");
            proxy.heal();
            assert_eq!(notice.send(&world).await.status, 204, "{case}");
            assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, REFUND notify", "{case}");
            assert_eq!(world.refund_row(&order).await.story, "SUCCESS notify", "{case}");
            assert_eq!((world.amounts(&order).await, world.open_orders(&buyer).await), ((900, 900), 0), "{case}");
        }
    }
}
