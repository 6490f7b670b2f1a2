//! A merchant has platform certificates, the public key, or both.

use std::time::Duration;

use local::pay_keys::KeyMode;
use shared::wechatpay::v3::Refreshed;
use tests::orders::cart;
use tests::orders::number;
use tests::pay_keys::CERTIFICATES;
use tests::pay_proxy::PayProxy;
use tests::world::World;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_merchant_with_certificates_alone_sells_and_is_told_and_asks() {
    let proxy = PayProxy::start().await;
    let world = World::start_with_keys(KeyMode::Certificates, [("WECHATPAY_API_URLS", &*proxy.url)]).await;
    proxy.stand_before(&world);
    let caller = world.caller().await;
    let [told, asked] = [caller.buy(&world, "demo-mug").await, caller.buy(&world, "demo-mug").await];
    for number in [&told, &asked] {
        world.pay_silently(number).await;
    }
    assert_eq!(world.notice_by("certificate", &told).await.send(&world).await.status, 204);
    assert_eq!(world.order_row(&told).await.story(), "NOTPAY create, SUCCESS notify");
    assert_eq!(caller.status_of(&world, &asked).await, "SUCCESS");
    assert_eq!(world.order_row(&asked).await.story(), "NOTPAY create, SUCCESS query");

    // Each instance has read them, and one has fetched them for all. Nobody asks for a signature of the public key.
    assert_eq!((world.downloads().await, world.kept_serials().await), (1, world.serials().await));
    assert!(proxy.take().iter().all(|sent| sent.header("wechatpay-serial").is_empty()));
}

#[tokio::test]
async fn staff_and_the_sweep_find_the_certificates_too() {
    let world = World::start_with_keys(KeyMode::Certificates, []).await;
    let buyer = world.untold().await;
    let (paid, open) = (world.paid_order(&buyer).await, buyer.buy(&world, "demo-mug").await);
    world.forget_keys().await;
    assert_eq!(world.refund(&paid, 900, "return").await, "PROCESSING");
    assert_eq!((world.downloads().await, world.kept_serials().await), (2, world.serials().await));
    // An instance that has read none meets one that is kept.
    world.pay_silently(&open).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await["failures"], 0);
    assert_eq!(world.order_row(&open).await.story(), "NOTPAY create, SUCCESS sweep");
    assert_eq!(world.downloads().await, 2);
}

#[tokio::test]
async fn a_merchant_with_both_is_told_by_either() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let caller = world.caller().await;
    let [first, second] = [caller.buy(&world, "demo-mug").await, caller.buy(&world, "demo-mug").await];
    for number in [&first, &second] {
        world.pay_silently(number).await;
    }
    // Answers are signed with the public key where that is asked for, so nobody has needed a certificate yet.
    assert_eq!((world.downloads().await, world.refreshes().await), (0, None));
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    assert_eq!(world.notice_by("certificate", &first).await.send(&world).await.status, 204);
    assert_eq!(world.notice_by("publicKey", &second).await.send(&world).await.status, 204);
    for number in [&first, &second] {
        assert_eq!(world.order_row(number).await.story(), "NOTPAY create, SUCCESS notify");
    }
}

#[tokio::test]
async fn a_merchant_with_the_public_key_alone_is_asked_for_certificates_twice_a_day() {
    let world = World::start().await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NoneThere);
    let caller = world.caller().await;
    let order = number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&order).await;
    for hour in 1..12 {
        world.advance(HOUR);
        // A stranger's serial changes nothing.
        let strange = world.notice_by("certificate", &order).await;
        assert_eq!(strange.send(&world).await.status, 401);
        assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NotDue, "after {hour} hours");
    }
    assert!(!world.refreshes().await.unwrap().contains_key("unknownSerialAtMs"));
    assert_eq!((world.downloads().await, world.kept_serials().await.len()), (2, 0), "asked twice, to be sure");
    world.advance(HOUR);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NoneThere);
    assert_eq!(world.downloads().await, 4);
    // The first to say so is remembered.
    let row = world.refreshes().await.unwrap();
    let time = |name: &str| row[name].as_n().unwrap().parse::<u64>().unwrap();
    assert_eq!(time("refreshedAtMs") - time("noneSinceMs"), 12 * 3_600_000);
}

#[tokio::test]
async fn a_merchant_without_a_public_key_cannot_do_without_certificates() {
    let world = World::start_with_keys(KeyMode::Certificates, []).await;
    world.set_keys("publicKey", 0.0).await;
    assert!(world.refresh_keys().await.unwrap_err().to_string().contains("were not fetched"));
    let calls = world.calls_of(CERTIFICATES).await;
    assert_eq!((calls.len(), &calls[0]["code"]), (1, &"RESOURCE_NOT_EXISTS".into()));
    // That is not kept for half a day: somebody has to mend it, and then it goes on.
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NotDue);
    world.set_keys("certificates", 0.0).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
}
