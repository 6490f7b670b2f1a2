//! What WeChat Pay has signed and is of no order of ours is kept for a person, and the order stays as it is.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::logs;
use tests::notifications::Notice;
use tests::orders::{cart, number, show};
use tests::world::World;

async fn ordered(world: &World, caller: &Caller, key: &str) -> String {
    number(&caller.order(world, key, &cart(&[("demo-mug", 1)])).await)
}

/// The event's id, by which it is kept.
fn id(notice: &Notice) -> String {
    let envelope: Value = serde_json::from_slice(&notice.body).unwrap();
    envelope["id"].as_str().unwrap().to_owned()
}

/// Sends it twice: it is kept once, with its bytes, and called out for a person.
async fn assert_kept(world: &World, notice: &Notice, event_type: &str, reason: &str) {
    let before = world.quarantine().await.len();
    for _ in 0..2 {
        let reply = notice.send(world).await;
        assert_eq!((reply.status, reply.body), (204, Vec::new()), "{reason}");
    }
    let row = world.row("QUARANTINE", &format!("EVENT#{}#{reason}", id(notice))).await;
    let row = row.unwrap_or_else(|| panic!("{} is not kept", id(notice)));
    let text = |name: &str| row[name].as_s().unwrap().as_str();
    assert_eq!((text("eventType"), text("reason")), (event_type, reason));
    assert_eq!(row["body"].as_b().unwrap().as_ref(), notice.body);
    assert!(!row.contains_key("ttl"));
    assert_eq!(world.quarantine().await.len(), before + 1, "{reason}");
    let lines = logs::with(&id(notice));
    let line = lines.iter().find(|line| line["message"] == "payment quarantined").unwrap();
    assert_eq!((&line["level"], &line["reason"]), (&json!("ERROR"), &json!(reason)));
    assert!(logs::count_of("PaymentQuarantined", &id(notice)) >= 1, "{reason}");
}

#[tokio::test]
async fn each_field_that_does_not_match_is_named() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = ordered(&world, &caller, "key").await;
    for (pointer, value, reason) in [
        ("/amount/total", json!(3899), "amount.total"),
        ("/amount/total", json!(3901), "amount.total"),
        ("/amount/total", json!(0), "amount.total"),
        ("/amount/total", json!("3900"), "amount"),
        ("/amount/total", json!(3900.5), "amount"),
        ("/amount/currency", json!("USD"), "amount.currency"),
        ("/amount", Value::Null, "amount"),
        ("/mchid", json!("1900000002"), "mchid"),
        ("/appid", json!("wxffffffffffffffff"), "appid"),
        ("/appid", json!(""), "appid"),
        ("/transaction_id", Value::Null, "transaction_id"),
        ("/out_trade_no", json!("AnotherOrder00000000000000000001"), "no such order"),
        ("/out_trade_no", json!(""), "no such order"),
        ("/out_trade_no", json!("x".repeat(10_000)), "no such order"),
        ("/out_trade_no", json!(7), "unreadable"),
        ("/trade_state", json!("NOTPAY"), "not paid"),
        ("/trade_state", json!("CLOSED"), "not paid"),
        ("/trade_state", json!("USERPAYING"), "not paid"),
        ("/trade_state", Value::Null, "unreadable"),
    ] {
        let mut payment = world.payment_of(&number).await;
        let shown = value.to_string();
        *payment.pointer_mut(pointer).unwrap() = value;
        let notice = Notice::telling(&world, &payment).await;
        assert_kept(&world, &notice, "TRANSACTION.SUCCESS", reason).await;
        show(&format!("notification, signed, {pointer} {shown}"), &format!("204, quarantine: {reason}"));
    }
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create");
    assert_eq!((world.open_orders(&caller).await, world.stock("demo-mug").await), (1, Some(199)));
    // And the right one is taken after all.
    let right = Notice::telling(&world, &world.payment_of(&number).await).await;
    assert_eq!(right.send(&world).await.status, 204);
    assert_eq!(world.order_row(&number).await.state, "SUCCESS");
}

#[tokio::test]
async fn another_kind_of_event_is_kept() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = ordered(&world, &caller, "key").await;
    let payment = world.payment_of(&number).await;
    for (event_type, original_type, reason) in [
        // A payment is not what these are about.
        ("REFUND.SUCCESS", "refund", "unreadable"),
        ("REFUND.ABNORMAL", "refund", "unreadable"),
        ("REFUND.CLOSED", "refund", "unreadable"),
        ("TRANSACTION.NEWS", "transaction", "neither a payment nor a refund"),
        ("transaction.success", "transaction", "neither a payment nor a refund"),
        ("REFUND", "refund", "neither a payment nor a refund"),
        ("", "", "neither a payment nor a refund"),
    ] {
        let wish = json!({ "resource": payment, "eventType": event_type, "originalType": original_type });
        assert_kept(&world, &Notice::forge(&world, wish).await, event_type, reason).await;
    }
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create");
}

#[tokio::test]
async fn another_payment_of_an_order_that_is_paid_is_kept() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = ordered(&world, &caller, "key").await;
    world.pay_silently(&number).await;
    assert_eq!(world.resend(&number).await, 204);
    let mut second = world.payment_of(&number).await;
    let first = second["transaction_id"].take();
    second["transaction_id"] = "4200001999999999999999999999".into();
    for state in ["SUCCESS", "REFUND"] {
        second["trade_state"] = state.into();
        assert_kept(&world, &Notice::telling(&world, &second).await, "TRANSACTION.SUCCESS", "transaction_id").await;
    }
    let row = world.order_row(&number).await;
    assert_eq!((row.story().as_str(), json!(row.transaction_id)), ("NOTPAY create, SUCCESS notify", first));
}

#[tokio::test]
async fn two_payments_of_one_order_at_the_same_moment_are_one_payment_and_one_that_is_kept() {
    for state in ["SUCCESS", "REFUND"] {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        let caller = world.caller().await;
        let number = ordered(&world, &caller, "key").await;
        let fast = world.payment_of(&number).await;
        let mut slow = fast.clone();
        (slow["transaction_id"], slow["trade_state"]) = ("4200001999999999999999999999".into(), state.into());
        let [slow, fast] = [Notice::telling(&world, &slow).await, Notice::telling(&world, &fast).await];
        // The slow one has read the unpaid order, and is held before it writes.
        proxy.inject("TransactWriteItems", 1, Kind::Hold);
        let fast = async {
            proxy.hanging().await;
            let reply = fast.send(&world).await;
            proxy.release();
            reply
        };
        let (slow, fast) = tokio::join!(slow.send(&world), fast);
        assert_eq!((slow.status, fast.status), (204, 204), "{state}");
        let row = world.order_row(&number).await;
        assert_eq!(row.story(), "NOTPAY create, SUCCESS notify", "{state}");
        assert_eq!(row.transaction_id.as_deref(), Some("4200001000000000000000000001"), "{state}");
        let kept = ("TRANSACTION.SUCCESS".to_owned(), "transaction_id".to_owned(), Some(number));
        assert_eq!(world.quarantine().await, [kept], "{state}");
    }
}

#[tokio::test]
async fn an_event_whose_id_names_nothing_is_kept_all_the_same() {
    let world = World::start().await;
    for id in [json!(""), json!("EV#1\n"), json!("号"), json!("x".repeat(5000))] {
        let before = world.quarantine().await.len();
        let envelope = json!({
            "id": id, "event_type": "REFUND.SUCCESS",
            "resource": { "original_type": "refund", "plaintext": { "mchid": "1900000001" } },
        });
        let notice = Notice::sign(&world, &envelope.to_string());
        for _ in 0..2 {
            assert_eq!(notice.send(&world).await.status, 204, "{id}");
        }
        assert_eq!(world.quarantine().await.len(), before + 1, "{id}");
    }
}

#[tokio::test]
async fn what_is_encrypted_and_says_nothing_is_kept() {
    let world = World::start().await;
    let plaintexts = [json!([]), json!("SUCCESS"), json!({}), Value::Null, json!([[1]])];
    for (at, plaintext) in plaintexts.into_iter().enumerate() {
        let envelope = json!({
            "id": format!("EV-{at}"), "event_type": "TRANSACTION.SUCCESS",
            "resource": { "original_type": "transaction", "plaintext": plaintext },
        });
        let notice = Notice::sign(&world, &envelope.to_string());
        assert_kept(&world, &notice, "TRANSACTION.SUCCESS", "unreadable").await;
    }
}

#[tokio::test]
async fn twenty_copies_at_once_are_kept_once() {
    let world = World::start().await;
    let wish = json!({ "resource": { "out_trade_no": "x" }, "eventType": "REFUND.SUCCESS" });
    let notice = Notice::forge(&world, wish).await;
    let replies = join_all((0..20).map(|_| notice.send(&world))).await;
    assert!(replies.iter().all(|reply| reply.status == 204));
    assert_eq!(world.quarantine().await.len(), 1);
}
