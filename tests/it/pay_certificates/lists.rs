//! Nothing is kept of a list that WeChat Pay has not signed, or whose certificates do not open.

use std::time::Duration;

use local::pay_keys::KeyMode;
use serde_json::json;
use shared::wechatpay::v3::{NotVerified, PayError, RefreshError, Refreshed};
use tests::orders::show;
use tests::pay_keys::CERTIFICATES;
use tests::world::World;

const MINUTE: Duration = Duration::from_secs(60);

async fn nothing_is_kept(mode: KeyMode, tamper: &str, expected: fn(&PayError) -> bool) {
    let world = World::start_with_keys(mode, []).await;
    world.fault(CERTIFICATES, json!({ "tamper": tamper, "times": 3 })).await;
    match world.refresh_keys().await.unwrap_err() {
        RefreshError::Pay(err) => assert!(expected(&err), "{mode:?} {tamper}: {err:?}"),
        err => panic!("{mode:?} {tamper}: {err}"),
    }
    assert_eq!(world.kept_serials().await.len(), 0, "{mode:?} {tamper}");
    show(&format!("certificates, {mode:?}, {tamper}"), "nothing is kept");
    // It was one bad answer after the other; the next good one is taken.
    world.advance(MINUTE);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1), "{mode:?} {tamper}");
}

#[tokio::test]
async fn a_list_that_is_not_signed_by_wechat_pay_is_not_kept() {
    let unverified = |err: &PayError| matches!(err, PayError::Unverified(..));
    for mode in [KeyMode::Certificates, KeyMode::Both] {
        for tamper in ["signature", "body", "serial", "nonce", "missing", "signtest", "timestamp", "futureTimestamp"] {
            nothing_is_kept(mode, tamper, unverified).await;
        }
    }
}

#[tokio::test]
async fn a_list_that_does_not_open_is_not_kept() {
    for tamper in ["aad", "key", "algorithm"] {
        // Without a key from elsewhere, what does not open verifies nothing.
        let unknown = |err: &PayError| matches!(err, PayError::Unverified(_, NotVerified::UnknownKey));
        nothing_is_kept(KeyMode::Certificates, tamper, unknown).await;
        nothing_is_kept(KeyMode::Both, tamper, |err| matches!(err, PayError::Unreadable(_))).await;
    }
}

#[tokio::test]
async fn a_row_that_does_not_open_with_the_api_v3_key_is_no_certificate() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-mug").await;
    world.pay_silently(&number).await;
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    let [serial] = world.serials().await.try_into().unwrap();
    let genuine = world.row("PAYKEY#1900000001", &format!("CERTIFICATE#{serial}")).await.unwrap();
    let text = |name: &str| genuine[name].as_s().unwrap().clone();
    for (name, value) in [
        ("ciphertext", "AAAA".to_owned()),
        ("ciphertext", text("ciphertext").replacen(|c: char| c.is_ascii_digit(), "x", 1)),
        ("nonce", "x".repeat(12)),
        ("associatedData", "transaction".to_owned()),
        // The name of another: what is in it says who it is.
        ("serial", "0123456789ABCDEF".to_owned()),
    ] {
        let mut row = json!({ "pk": "PAYKEY#1900000001", "sk": format!("CERTIFICATE#{serial}") });
        for name in ["serial", "nonce", "associatedData", "ciphertext"] {
            row[name] = text(name).into();
        }
        for name in ["effectiveAt", "expiresAt", "ttl", "listedAtMs"] {
            row[name] = genuine[name].as_n().unwrap().parse::<u64>().unwrap().into();
        }
        row[name] = value.as_str().into();
        world.put(row).await;
        let (instance, notice) = (world.instance("pay-notify").await, world.notice_by("certificate", &number).await);
        assert_eq!(world.reply_of(&instance, notice.event().to_string().into_bytes()).await.status, 401, "{name}");
    }
    world.advance(12 * 60 * MINUTE);
    assert_eq!(world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
    assert_eq!(world.notice_by("certificate", &number).await.send(&world).await.status, 204);
}
