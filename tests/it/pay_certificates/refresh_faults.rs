//! What goes wrong while certificates are fetched costs time, and no certificate.

use std::time::Duration;

use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use shared::deadline::Deadline;
use shared::settlement::Work;
use shared::store::REFRESH_WITHIN;
use shared::wechatpay::OutTradeNo;
use shared::wechatpay::v3::{RefreshError, Refreshed};
use tests::dynamodb_proxy::Kind;
use tests::logs;
use tests::patience::until;
use tests::pay_keys::CERTIFICATES;
use tests::world::World;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    for fault in
        [json!({ "drop": "before" }), json!({ "drop": "after" }), json!({ "status": 502 }), json!({ "status": 202 })]
    {
        let before = world.downloads().await;
        world.fault(CERTIFICATES, fault.clone()).await;
        assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1), "{fault}");
        assert_eq!(world.downloads().await - before, 2, "{fault}");
        world.advance(12 * 60 * MINUTE);
    }
}

#[tokio::test]
async fn a_failure_is_counted_and_the_next_try_is_a_minute_later() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    world.fault(CERTIFICATES, json!({ "code": "SYSTEM_ERROR", "status": 500, "times": 1000 })).await;
    let work = Work { function: "keys", request_id: "a-failure-is-counted" };
    let deadline = || Deadline::after(Duration::from_secs(9));
    let client = world.pay_client().await;
    let err = client.refresh_if_due(work, deadline()).await.unwrap_err();
    assert!(matches!(err, RefreshError::Pay(_)), "{err}");
    let counted = logs::of_request(work.request_id);
    assert!(counted.iter().any(|line| line["PayKeysNotRefreshed"] == 1), "{counted:?}");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    let before = world.downloads().await;
    world.advance(Duration::from_secs(59));
    assert_eq!(client.refresh_if_due(work, deadline()).await.unwrap(), Refreshed::NotDue);
    world.advance(Duration::from_secs(1));
    assert_eq!(client.refresh_if_due(work, deadline()).await.unwrap(), Refreshed::Kept(1));
    assert_eq!(world.downloads().await - before, 1);
}

#[tokio::test]
async fn a_write_of_the_table_whose_answer_is_lost_meets_itself() {
    for operation in ["UpdateItem", "TransactWriteItems"] {
        let (world, proxy, _behind) = World::start_with_proxy_and_keys(KeyMode::Both).await;
        proxy.inject(operation, 1, Kind::LoseAnswer);
        assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1), "{operation}");
        assert_eq!((world.downloads().await, world.kept_serials().await), (1, world.serials().await));
    }
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject_after("UpdateItem", 1, 1, Kind::LoseAnswer);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NoneThere);
    assert_eq!((world.refresh_keys().await.unwrap(), world.downloads().await), (Refreshed::NotDue, 2));
}

/// Where the one dies who has the claim.
#[derive(Clone, Copy, Debug)]
enum Death {
    AtTheTable(&'static str, Kill),
    AtWechatPay,
}

#[derive(Clone, Copy, Debug)]
enum Kill {
    After,
    Before,
}

#[tokio::test]
async fn who_dies_with_the_claim_stops_the_others_for_a_minute() {
    let deaths = [
        Death::AtTheTable("UpdateItem", Kill::Before),
        Death::AtTheTable("UpdateItem", Kill::After),
        Death::AtWechatPay,
        Death::AtTheTable("TransactWriteItems", Kill::Before),
        Death::AtTheTable("TransactWriteItems", Kill::After),
    ];
    for death in deaths {
        let (world, proxy, behind) = World::start_with_proxy_and_keys(KeyMode::Both).await;
        let client = world.pay_client().await;
        match death {
            Death::AtTheTable(operation, Kill::Before) => proxy.inject(operation, 1, Kind::Hang),
            Death::AtTheTable(operation, Kill::After) => proxy.inject(operation, 1, Kind::HangAfter),
            Death::AtWechatPay => world.fault(CERTIFICATES, json!({ "latencyMs": 60_000 })).await,
        }
        let dying = tokio::spawn(async move {
            let work = Work { function: "keys", request_id: "dying" };
            client.refresh_if_due(work, Deadline::after(Duration::from_secs(60))).await
        });
        match death {
            Death::AtTheTable(..) => proxy.hanging().await,
            Death::AtWechatPay => until("a download", async || world.downloads().await > 0).await,
        }
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled(), "{death:?}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
        let (claimed, kept) = match death {
            Death::AtTheTable("UpdateItem", Kill::Before) => (false, false),
            Death::AtTheTable("TransactWriteItems", Kill::After) => (true, true),
            _ => (true, false),
        };
        let next = if claimed { Refreshed::NotDue } else { Refreshed::Kept(1) };
        assert_eq!(world.refresh_keys().await.unwrap(), next, "{death:?}");
        world.advance(MINUTE);
        let next = if claimed && !kept { Refreshed::Kept(1) } else { Refreshed::NotDue };
        assert_eq!(world.refresh_keys().await.unwrap(), next, "{death:?}");
        assert_eq!(behind.kept_serials().await, world.serials().await, "{death:?}");
    }
}

#[tokio::test]
async fn an_answer_waits_for_who_may_be_asking_and_not_for_who_has_been_at_it_too_long() {
    let (world, proxy, _behind) = World::start_with_proxy_and_keys(KeyMode::Certificates).await;
    let caller = world.caller().await;
    let number = OutTradeNo::try_from(caller.buy(&world, "demo-mug").await).unwrap();
    world.rotate("announce").await;
    world.rotate("sign").await;
    world.advance(MINUTE);
    // Somebody claims, and dies.
    world.set_key_number("REFRESH", "unknownSerialAtMs", 1).await;
    world.fault(CERTIFICATES, json!({ "latencyMs": 60_000 })).await;
    let (client, before) = (world.pay_client().await, world.downloads().await);
    let dying = tokio::spawn(async move {
        let work = Work { function: "keys", request_id: "dying" };
        client.refresh_if_due(work, Deadline::after(Duration::from_secs(60))).await
    });
    until("a download", async || world.downloads().await > before).await;
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    world.sandbox("DELETE", "/faults", Value::Null).await;
    let ask = async || {
        let (client, deadline) = (world.pay_client().await, Deadline::after(Duration::from_secs(9)));
        proxy.take_calls();
        let answer = client.query(&number, deadline).await;
        (answer, proxy.take_calls().iter().filter(|call| *call == "Query").count())
    };
    let (answer, reads) = ask().await;
    answer.unwrap_err();
    assert!(reads > 2, "it looks again and again: {reads}");
    world.advance(REFRESH_WITHIN);
    let (answer, reads) = ask().await;
    answer.unwrap_err();
    assert_eq!(reads, 2, "whether the key is there, and whether somebody is at it");
    // A minute after the claim somebody else may ask.
    world.advance(MINUTE - REFRESH_WITHIN);
    assert_eq!(ask().await.0.unwrap().out_trade_no, number.as_str());
    assert_eq!(world.downloads().await - before, 2);
}
