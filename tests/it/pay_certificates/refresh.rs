//! Certificates are fetched in time, by one for all.

use std::time::Duration;

use futures::future::join_all;
use local::pay_keys::KeyMode;
use shared::deadline::Deadline;
use shared::wechatpay::OutTradeNo;
use shared::wechatpay::v3::{NotVerified, PayError, Refreshed};
use tests::pay_keys::CERTIFICATES;
use tests::world::World;

const MINUTE: Duration = Duration::from_secs(60);

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(9))
}

/// A world with an order that WeChat Pay knows.
async fn with_order(mode: KeyMode) -> (World, OutTradeNo) {
    let world = World::start_with_keys(mode, []).await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    (world, OutTradeNo::try_from(number).unwrap())
}

#[tokio::test]
async fn many_answers_with_an_unknown_serial_are_one_download() {
    let (world, number) = with_order(KeyMode::Certificates).await;
    let before = world.downloads().await;
    world.rotate("announce").await;
    world.rotate("sign").await;
    world.advance(MINUTE);
    let clients = join_all((0..20).map(|_| world.pay_client())).await;
    // The one that asks takes its time.
    world.fault(CERTIFICATES, serde_json::json!({ "answerLatencyMs": 100 })).await;
    let answers = join_all(clients.iter().map(|client| client.query(&number, deadline()))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().out_trade_no, number.as_str());
    }
    assert_eq!(world.downloads().await - before, 1);
}

#[tokio::test]
async fn schedules_that_meet_make_one_download() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let refreshed = join_all((0..8).map(|_| world.refresh_keys())).await;
    let kept = refreshed.iter().filter(|refreshed| matches!(refreshed, Ok(Refreshed::Kept(1)))).count();
    let rest = |refreshed: &_| matches!(refreshed, Ok(Refreshed::Kept(1) | Refreshed::ByAnother | Refreshed::NotDue));
    assert!(kept == 1 && refreshed.iter().all(rest), "{refreshed:?}");
    assert_eq!(world.downloads().await, 1);
}

#[tokio::test]
async fn certificates_are_fetched_twice_a_day() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let (mut downloads, mut minutes) = (1, 0);
    while downloads < 4 {
        world.advance(5 * MINUTE);
        minutes += 5;
        match world.refresh_keys().await.unwrap() {
            Refreshed::NotDue => assert!(minutes < 12 * 60, "{minutes}"),
            refreshed => {
                assert_eq!(refreshed, Refreshed::Kept(1));
                (downloads, minutes) = (downloads + 1, 0);
            }
        }
    }
    assert_eq!((world.downloads().await, world.kept_serials().await), (4, world.serials().await));
}

#[tokio::test]
async fn a_serial_that_wechat_pay_does_not_list_is_asked_for_once_a_minute() {
    let (world, number) = with_order(KeyMode::Certificates).await;
    world.rotate("announce").await;
    world.rotate("sign").await;
    world.rotate("drop").await;
    let before = world.downloads().await;
    world
        .fault(
            "/v3/pay/transactions/out-trade-no/{out_trade_no}",
            serde_json::json!({ "tamper": "serial", "times": 1000 }),
        )
        .await;
    for _ in 0..5 {
        for client in [world.pay_client().await, world.pay_client().await] {
            let err = client.query(&number, deadline()).await.unwrap_err();
            assert!(matches!(err, PayError::Unverified(_, NotVerified::UnknownKey)), "{err}");
        }
    }
    assert_eq!(world.downloads().await - before, 0, "a refresh was made within the last minute");
    for minute in 1..4 {
        world.advance(MINUTE);
        for client in [world.pay_client().await, world.pay_client().await] {
            client.query(&number, deadline()).await.unwrap_err();
        }
        assert_eq!(world.downloads().await - before, minute);
    }
}

#[tokio::test]
async fn clocks_that_are_far_ahead_stop_nothing_for_good() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let day_after =
        u64::try_from(world.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap() + 86_400_000;
    for name in ["claimedAtMs", "refreshedAtMs"] {
        world.set_key_number("REFRESH", name, day_after).await;
    }
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    for name in ["claimedAtMs", "refreshedAtMs", "noneSinceMs"] {
        world.set_key_number("REFRESH", name, day_after).await;
    }
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    assert_eq!(world.downloads().await, 3);
}
