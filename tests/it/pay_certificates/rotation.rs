//! WeChat Pay replaces a certificate: announced, used, dropped.

use std::time::Duration;

use local::pay_keys::KeyMode;
use shared::wechatpay::v3::Refreshed;
use tests::world::World;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_that_is_announced_in_time_is_known_when_it_signs() {
    let world = World::start_with_keys(KeyMode::Certificates, []).await;
    let caller = world.caller().await;
    let before = caller.buy(&world, "demo-mug").await;
    world.pay_silently(&before).await;
    world.rotate("announce").await;
    world.advance(12 * HOUR);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(2));
    world.rotate("sign").await;
    let after = caller.buy(&world, "demo-mug").await;
    world.pay_silently(&after).await;
    for number in [&before, &after] {
        assert_eq!(world.notice_by("certificate", number).await.send(&world).await.status, 204);
    }
    assert_eq!(world.downloads().await, 2, "nobody had to ask in between");
    world.rotate("drop").await;
    world.advance(12 * HOUR);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let mut kept = world.kept_serials().await;
    let mut serials = world.serials().await;
    kept.sort();
    serials.sort();
    assert_eq!((kept, serials.len()), (serials, 2), "the dropped one stays for a while");
}

#[tokio::test]
async fn what_was_signed_just_before_the_old_one_was_dropped_is_taken() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    world.pay_silently(&number).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    world.advance(12 * HOUR);
    let old = world.notice_by("certificate", &number).await;
    for step in ["announce", "sign", "drop"] {
        world.rotate(step).await;
    }
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    assert_eq!(old.send(&world).await.status, 204);
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 204);
    assert_eq!(world.downloads().await, 2);
}

#[tokio::test]
async fn one_that_nobody_has_announced_is_found_by_the_first_answer() {
    let world = World::start_with_keys(KeyMode::Certificates, []).await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    for step in ["announce", "sign", "drop"] {
        world.rotate(step).await;
    }
    world.pay_silently(&number).await;
    world.advance(MINUTE);
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
    assert_eq!(world.downloads().await, 2);
    // And what it has found, pay-notify knows.
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 204);
}
