//! `pay-notify` over a table that fails: WeChat Pay is told to send it again, in time, and nothing of the reason.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::http::Reply;
use tests::notifications::Notice;
use tests::orders::{cart, number};
use tests::world::{World, reply};

/// WeChat Pay waits no longer than 5 s; the contract says 4.
const WITHIN: Duration = Duration::from_secs(4);

async fn paid(world: &World, caller: &Caller, key: &str) -> String {
    let number = number(&caller.order(world, key, &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&number).await;
    number
}

fn assert_failed(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 500, "{what}");
    let fields: Vec<_> = reply.json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((fields.as_slice(), reply.code()), (&["code", "message"][..], "FAIL"), "{what}");
    let message = reply.json["message"].as_str().unwrap().to_lowercase();
    for word in ["dynamo", "table", "exception", "order", "throttl", "injected"] {
        assert!(!message.contains(word), "{what}: {message}");
    }
}

/// Nothing is left of the faults, and WeChat Pay sends it again.
async fn assert_taken_later(world: &World, number: &str, what: &str) {
    assert_eq!(world.order_row(number).await.story(), "NOTPAY create", "{what}");
    assert_eq!(world.resend(number).await, 204, "{what}");
    assert_eq!(world.order_row(number).await.story(), "NOTPAY create, SUCCESS notify", "{what}");
}

#[tokio::test]
async fn a_table_that_refuses_is_500_and_a_later_one_is_taken() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    for operation in ["GetItem", "TransactWriteItems"] {
        for name in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"] {
            let what = format!("{operation}-{name}");
            let number = paid(&world, &caller, &what).await;
            let notice = Notice::of(&world, &number).await;
            proxy.inject(operation, 1, Kind::error(name));
            assert_failed(&notice.send(&world).await, &what);
            assert_taken_later(&world, &number, &what).await;
        }
    }
}

#[tokio::test]
async fn a_table_that_is_busy_for_a_moment_is_waited_for() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    for (at, kind) in
        [Kind::error("ThrottlingException"), Kind::Refuse(StatusCode::SERVICE_UNAVAILABLE, json!({})), Kind::LoseAnswer]
            .into_iter()
            .enumerate()
    {
        let number = paid(&world, &caller, &at.to_string()).await;
        let notice = Notice::of(&world, &number).await;
        for operation in ["GetItem", "TransactWriteItems"] {
            proxy.inject(operation, 1, kind.clone());
        }
        assert_eq!(notice.send(&world).await.status, 204, "{kind:?}");
        assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify", "{kind:?}");
        assert_eq!(world.open_orders(&caller).await, 0, "{kind:?}");
    }
}

/// The answer of an instance that Lambda would let run for longer than WeChat Pay waits.
async fn reply_in_time(world: &World, notice: &Notice) -> Reply {
    let instance = world.instance("pay-notify").await;
    let invocation = instance.invoke(notice.event().to_string().into(), world.now());
    let result = tokio::time::timeout(WITHIN, invocation).await;
    reply(&result.unwrap().unwrap())
}

async fn assert_given_up(operation: &'static str, kind: Kind) {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let notice = Notice::of(&world, &number).await;
    let what = format!("{operation} {kind:?}");
    proxy.inject(operation, u32::MAX, kind);
    assert_failed(&reply_in_time(&world, &notice).await, &what);
    proxy.heal();
    assert_taken_later(&world, &number, &what).await;
}

#[tokio::test]
async fn a_table_that_stays_busy_or_hangs_is_500_while_wechat_pay_waits() {
    let busy = || Kind::error("ThrottlingException");
    tokio::join!(
        assert_given_up("GetItem", busy()),
        assert_given_up("GetItem", Kind::Hang),
        assert_given_up("TransactWriteItems", busy()),
        assert_given_up("TransactWriteItems", Kind::Hang),
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_said_to_be() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let wish = json!({ "resource": { "out_trade_no": "x" }, "eventType": "REFUND.SUCCESS" });
    let notice = Notice::forge(&world, wish).await;
    for name in ["AccessDeniedException", "ValidationException"] {
        proxy.inject("TransactWriteItems", 1, Kind::error(name));
        assert_failed(&notice.send(&world).await, name);
        assert_eq!(world.quarantine().await.len(), 0, "{name}");
    }
    proxy.inject("TransactWriteItems", 1, Kind::LoseAnswer);
    assert_eq!(notice.send(&world).await.status, 204);
    assert_eq!(world.quarantine().await.len(), 1);
}

#[tokio::test]
async fn what_is_not_signed_costs_the_table_nothing() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let genuine = Notice::of(&world, &number).await;
    proxy.take_calls();
    for name in ["wechatpay-signature", "wechatpay-nonce", "wechatpay-serial"] {
        assert_eq!(genuine.clone().with_header(name, "x").send(&world).await.status, 401, "{name}");
    }
    assert_eq!(proxy.take_calls(), Vec::<String>::new());
    // One read of the order and one transaction.
    assert_eq!(genuine.send(&world).await.status, 204);
    assert_eq!(proxy.take_calls(), ["GetItem", "TransactWriteItems"]);
    // And a copy is one read.
    assert_eq!(genuine.send(&world).await.status, 204);
    assert_eq!(proxy.take_calls(), ["GetItem"]);
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_500_and_kept_for_a_person_until_it_can() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = paid(&world, &caller, "key").await;
    let row = world.row(&format!("ORDER#{number}"), "ORDER").await.unwrap();
    let put = async |row| {
        let table = world.table();
        table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
    };
    let mut broken = row.clone();
    broken.remove("totalFen").unwrap();
    put(broken).await;
    for _ in 0..2 {
        assert_failed(&Notice::of(&world, &number).await.send(&world).await, "unreadable");
    }
    let reasons: Vec<_> = world.quarantine().await.into_iter().map(|(_, reason, named)| (reason, named)).collect();
    assert!(reasons.iter().all(|kept| *kept == ("a row of ours is unreadable".to_owned(), Some(number.clone()))));
    assert!(!reasons.is_empty());
    put(row).await;
    assert_taken_later(&world, &number, "mended").await;
}
