//! `pay-notify` finds keys in the table, and calls nobody for them.

use std::time::Duration;

use local::functions::Instance;
use local::pay_keys::KeyMode;
use serde_json::json;
use shared::wechatpay::v3::Refreshed;
use tests::dynamodb_proxy::Kind;
use tests::notifications::Notice;
use tests::pay_keys::CERTIFICATES;
use tests::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// A paid order that nobody has told of.
async fn paid(world: &World) -> String {
    let caller = world.caller().await;
    let number = caller.buy(world, "demo-mug").await;
    world.pay_silently(&number).await;
    number
}

async fn status(world: &World, instance: &Instance, notice: &Notice) -> u16 {
    world.reply_of(instance, notice.event().to_string().into_bytes()).await.status
}

/// The calls of the table, but for those of an order.
fn of_keys(calls: Vec<(String, serde_json::Value)>) -> Vec<String> {
    let is_of_keys = |input: &serde_json::Value| input.to_string().contains("PAYKEY#");
    calls.into_iter().filter(|(_, input)| is_of_keys(input)).map(|(operation, _)| operation).collect()
}

#[tokio::test]
async fn an_unknown_serial_leaves_a_mark_and_the_next_schedule_fetches_it() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let number = paid(&world).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    world.rotate("announce").await;
    world.rotate("sign").await;
    world.advance(MINUTE);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::NotDue);
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 401);
    assert_eq!(world.downloads().await, 1, "pay-notify calls nobody");
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(2));
    // WeChat Pay sends it again, and by then it is taken. The mark has done its work.
    world.advance(MINUTE);
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 204);
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, SUCCESS notify");
    assert_eq!((world.refresh_keys().await.unwrap(), world.downloads().await), (Refreshed::NotDue, 2));
}

#[tokio::test]
async fn the_sweeper_fetches_what_a_notification_has_marked() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let number = paid(&world).await;
    let sweep = async || {
        let reply = world.invoke("order-sweeper", &json!({})).await;
        assert_eq!(reply.json["failures"], 0, "{:?}", reply.json);
        world.downloads().await
    };
    // The first of all, and one of which a notification tells nothing.
    assert_eq!(sweep().await, 1);
    world.advance(MINUTE);
    assert_eq!(sweep().await, 1);
    for step in ["announce", "sign"] {
        world.rotate(step).await;
    }
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 401);
    assert_eq!(sweep().await, 2);
    world.advance(MINUTE);
    assert_eq!((world.notice_by("certificate", &number).await.send(&world).await.status, sweep().await), (204, 2));
    // A sweep that cannot fetch them says so, and sweeps all the same.
    world.advance(12 * 60 * MINUTE);
    world.fault(CERTIFICATES, json!({ "status": 500, "times": 3 })).await;
    assert_eq!(world.invoke("order-sweeper", &json!({})).await.json["failures"], 1);
}

#[tokio::test]
async fn a_stranger_with_many_serials_gets_one_read_and_one_write_a_minute() {
    let (world, proxy, _behind) = World::start_with_proxy_and_keys(KeyMode::Both).await;
    let number = paid(&world).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let instance = world.instance("pay-notify").await;
    for minute in 0..3 {
        world.advance(MINUTE);
        let notice = world.notice_by("certificate", &number).await;
        proxy.take_requests();
        for serial in 0..20 {
            let strange = notice.clone().with_header("wechatpay-serial", &format!("{minute}{serial:039X}"));
            assert_eq!(status(&world, &instance, &strange).await, 401);
        }
        assert_eq!(of_keys(proxy.take_requests()), ["Query", "UpdateItem"], "in minute {minute}");
    }
    // Others find the mark that is there.
    for _ in 0..3 {
        let (other, notice) = (world.instance("pay-notify").await, world.notice_by("certificate", &number).await);
        let strange = notice.with_header("wechatpay-serial", "0123456789ABCDEF");
        proxy.take_requests();
        assert_eq!(status(&world, &other, &strange).await, 401);
        assert_eq!(of_keys(proxy.take_requests()), ["Query"]);
    }
    assert_eq!(world.downloads().await, 1);
    // Meanwhile the genuine one is taken, whoever reads first.
    assert_eq!(status(&world, &instance, &world.notice_by("certificate", &number).await).await, 204);
}

#[tokio::test]
async fn what_is_no_serial_of_a_certificate_is_looked_for_nowhere() {
    let (world, proxy, _behind) = World::start_with_proxy_and_keys(KeyMode::Both).await;
    let number = paid(&world).await;
    let (instance, notice) = (world.instance("pay-notify").await, world.notice_by("certificate", &number).await);
    proxy.take_requests();
    for serial in ["PUB_KEY_ID_0114232134912410000000000000", "x", "0123 4567", &"0".repeat(41), "CERTIFICATE#00"] {
        let strange = notice.clone().with_header("wechatpay-serial", serial);
        assert_eq!(status(&world, &instance, &strange).await, 401, "{serial}");
    }
    // Nor is one that is too old, or has no signature, or is a probe of a key that is known.
    assert_eq!(status(&world, &instance, &notice.clone().without("wechatpay-signature")).await, 401);
    let probe = Notice::forge(&world, json!({ "outTradeNo": number, "signer": "publicKey", "tamper": "signtest" }));
    assert_eq!(status(&world, &instance, &probe.await).await, 401);
    world.advance(6 * MINUTE);
    assert_eq!(status(&world, &instance, &notice).await, 401);
    assert_eq!(proxy.take_requests().len(), 0);
}

#[tokio::test]
async fn where_the_table_fails_wechat_pay_sends_it_again() {
    for (operation, kind) in [
        ("Query", Kind::error("AccessDeniedException")),
        ("Query", Kind::error("ThrottlingException")),
        ("UpdateItem", Kind::error("AccessDeniedException")),
    ] {
        let (world, proxy, _behind) = World::start_with_proxy_and_keys(KeyMode::Both).await;
        let number = paid(&world).await;
        let (instance, notice) = (world.instance("pay-notify").await, world.notice_by("certificate", &number).await);
        proxy.inject(operation, 1000, kind);
        assert_eq!(status(&world, &instance, &notice).await, 500, "{operation}");
        proxy.heal();
        assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
        assert_eq!(status(&world, &instance, &notice).await, 204, "{operation}");
    }
}

#[tokio::test]
async fn a_certificate_that_has_ended_or_is_long_listed_no_more_does_not_count() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let number = paid(&world).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let [serial] = world.serials().await.try_into().unwrap();
    let row = format!("CERTIFICATE#{serial}");
    let now = world.now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let (now, now_ms) = (now.as_secs(), u64::try_from(now.as_millis()).unwrap());
    let day_ms = 86_400_000;
    for (name, number_then, expected) in [
        ("expiresAt", now, 401),
        ("expiresAt", now + 1, 204),
        ("listedAtMs", now_ms - day_ms, 401),
        ("listedAtMs", now_ms - day_ms + 1, 204),
    ] {
        world.set_key_number(&row, name, number_then).await;
        let (instance, notice) = (world.instance("pay-notify").await, world.notice_by("certificate", &number).await);
        assert_eq!(status(&world, &instance, &notice).await, expected, "{name} {number_then}");
    }
}
