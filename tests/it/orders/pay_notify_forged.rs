//! What WeChat Pay has not signed, or not now, or has encrypted otherwise, is 401 and changes nothing.

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::http::Reply;
use tests::logs;
use tests::notifications::Notice;
use tests::orders::{cart, number, show};
use tests::world::World;

const SIGNED: [&str; 4] = ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial"];
const SIGNATURE_TYPE: &str = "wechatpay-signature-type";

/// A paid order that nobody has told of, and what would tell of it.
struct Target {
    world: World,
    caller: Caller,
    number: String,
}

impl Target {
    async fn new() -> Self {
        let world = World::start().await;
        let caller = world.caller().await;
        let number = number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await);
        world.pay_silently(&number).await;
        Self { world, caller, number }
    }

    async fn genuine(&self) -> Notice {
        Notice::of(&self.world, &self.number).await
    }

    async fn forged(&self, mut wish: Value) -> Notice {
        wish["outTradeNo"] = self.number.as_str().into();
        Notice::forge(&self.world, wish).await
    }

    fn check(reply: &Reply, what: &str) {
        let refusal = json!({ "code": "FAIL", "message": "not verified" });
        assert_eq!((reply.status, &reply.json), (401, &refusal), "{what}");
        assert_eq!(reply.header("content-type"), "application/json", "{what}");
        show(&format!("notification, {what}"), "401, the order stays as it is");
    }

    async fn assert_refused(&self, notice: &Notice, what: &str) {
        Self::check(&notice.send(&self.world).await, what);
    }

    /// After all that, the order is as it was, and the genuine notification is taken.
    async fn assert_untouched(&self) {
        assert_eq!(self.world.order_row(&self.number).await.story(), "NOTPAY create");
        assert_eq!((self.world.quarantine().await.len(), self.world.open_orders(&self.caller).await), (0, 1));
        assert_eq!(self.genuine().await.send(&self.world).await.status, 204);
        assert_eq!(self.world.order_row(&self.number).await.state, "SUCCESS");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_it_is_401_and_no_reason_is_told() {
    let target = Target::new().await;
    for tamper in [
        "signature",
        "body",
        "serial",
        "timestamp",
        "futureTimestamp",
        "nonce",
        "missing",
        "signtest",
        "key",
        "aad",
        "algorithm",
    ] {
        target.assert_refused(&target.forged(json!({ "tamper": tamper })).await, tamper).await;
    }
    target.assert_untouched().await;
    let refused = logs::with("NotificationRefused").len();
    assert!(refused >= 11, "{refused}");
}

#[tokio::test]
async fn five_minutes_either_way_are_the_end() {
    let target = Target::new().await;
    for offset in [301, -301, 86_400, -86_400] {
        let notice = target.forged(json!({ "timestampOffsetSecs": offset })).await;
        target.assert_refused(&notice, &offset.to_string()).await;
    }
    assert_eq!(target.world.order_row(&target.number).await.state, "NOTPAY");
    for offset in [300, -300] {
        let notice = target.forged(json!({ "timestampOffsetSecs": offset })).await;
        assert_eq!(notice.send(&target.world).await.status, 204, "{offset}");
    }
    // What was good once is kept by nobody.
    let notice = target.genuine().await;
    target.world.advance(std::time::Duration::from_secs(301));
    target.assert_refused(&notice, "a replay").await;
}

#[tokio::test]
async fn each_header_has_to_be_there_once() {
    let target = Target::new().await;
    for name in SIGNED {
        target.assert_refused(&target.genuine().await.without(name), name).await;
        target.assert_refused(&target.genuine().await.with_header(name, ""), name).await;
    }
    for name in SIGNED.into_iter().chain([SIGNATURE_TYPE]) {
        target.assert_refused(&target.genuine().await.doubled(name), name).await;
    }
    target.assert_untouched().await;
}

#[tokio::test]
async fn no_other_text_stands_for_what_was_signed() {
    let target = Target::new().await;
    let genuine = target.genuine().await;
    let [timestamp, nonce, signature, serial] = SIGNED.map(|name| genuine.header(name).to_owned());
    let url_safe = signature.replace('+', "-").replace('/', "_");
    for (name, value) in [
        (SIGNED[0], format!("+{timestamp}")),
        (SIGNED[0], format!("0{timestamp}")),
        (SIGNED[0], format!("{timestamp}.0")),
        (SIGNED[0], "now".to_owned()),
        (SIGNED[0], "-1".to_owned()),
        (SIGNED[0], "9".repeat(40)),
        (SIGNED[1], nonce.to_lowercase() + "x"),
        (SIGNED[2], format!("{signature}{signature}")),
        (SIGNED[2], signature[4..].to_owned()),
        (SIGNED[2], signature.trim_end_matches('=').to_owned() + "A"),
        (SIGNED[2], format!("{url_safe}-_")),
        (SIGNED[2], "WECHATPAY/SIGNTEST/".to_owned()),
        (SIGNED[2], "A".repeat(344)),
        (SIGNED[3], serial.to_lowercase()),
        (SIGNED[3], serial[..serial.len() - 1].to_owned()),
        (SIGNED[3], format!("{serial}0")),
        (SIGNED[3], "PUB_KEY_ID_".to_owned()),
        (SIGNATURE_TYPE, "WECHATPAY2-SM2-WITH-SM3".to_owned()),
        (SIGNATURE_TYPE, "wechatpay2-sha256-rsa2048".to_owned()),
        (SIGNATURE_TYPE, String::new()),
    ] {
        let notice = genuine.clone().with_header(name, &value);
        target.assert_refused(&notice, &format!("{name}: {value}")).await;
    }
    target.assert_untouched().await;
}

#[tokio::test]
async fn not_one_byte_may_be_another() {
    let target = Target::new().await;
    let genuine = target.genuine().await;
    let other = Notice::forge(&target.world, json!({ "resource": { "trade_state": "SUCCESS" } })).await;
    let mut bodies: Vec<Vec<u8>> = (0..genuine.body.len())
        .step_by(29)
        .map(|at| {
            let mut body = genuine.body.clone();
            body[at] ^= 1;
            body
        })
        .collect();
    let with = |before: &[u8], after: &[u8]| [before, &genuine.body, after].concat();
    bodies.extend([with(b"", b"\n"), with(b"\xef\xbb\xbf", b""), with(b"", b"\0"), with(&genuine.body, b"")]);
    bodies.extend([Vec::new(), b"\xff\xfe\x00".to_vec(), b"{}".to_vec(), other.body.clone()]);
    bodies.extend([genuine.body[..genuine.body.len() - 1].to_vec(), genuine.body.to_ascii_uppercase()]);
    for body in bodies {
        let notice = Notice { body: body.clone(), headers: genuine.headers.clone() };
        target.assert_refused(&notice, &String::from_utf8_lossy(&body)).await;
    }
    target.assert_untouched().await;
}

#[tokio::test]
async fn what_is_signed_and_no_notification_is_refused() {
    let target = Target::new().await;
    let genuine: Value = serde_json::from_slice(&target.genuine().await.body).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut envelope = genuine.clone();
        *envelope.pointer_mut(pointer).unwrap() = value;
        envelope.to_string()
    };
    let ciphertext = genuine["resource"]["ciphertext"].as_str().unwrap();
    for body in [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        format!("[{genuine}]"),
        format!("{genuine}{genuine}"),
        "<xml><return_code>SUCCESS</return_code><req_info>aGVsbG8=</req_info></xml>".to_owned(),
        with("/id", Value::Null),
        with("/event_type", json!(1)),
        with("/resource", Value::Null),
        with("/resource", json!([])),
        with("/resource/algorithm", json!("")),
        with("/resource/algorithm", json!("AEAD_AES_128_GCM")),
        with("/resource/nonce", json!("short")),
        with("/resource/nonce", json!("x".repeat(13))),
        with("/resource/associated_data", Value::Null),
        with("/resource/associated_data", json!("Transaction")),
        with("/resource/ciphertext", json!("")),
        with("/resource/ciphertext", json!("not base64")),
        with("/resource/ciphertext", json!("AAAA")),
        with("/resource/ciphertext", json!(ciphertext[4..])),
    ] {
        target.assert_refused(&Notice::sign(&target.world, &body), &body).await;
    }
    target.assert_untouched().await;
}

#[tokio::test]
async fn what_is_too_long_is_not_looked_at() {
    let target = Target::new().await;
    let genuine = target.genuine().await;
    for length in [64 * 1024 + 1, 65 * 1024, 1024 * 1024] {
        let notice = Notice { body: vec![b' '; length], headers: genuine.headers.clone() };
        let reply = notice.send(&target.world).await;
        let refusal = json!({ "code": "FAIL", "message": "the body is over 64 KiB" });
        assert_eq!((reply.status, reply.json), (413, refusal), "{length}");
    }
    for body in [vec![b' '; 64 * 1024], vec![0xff; 64 * 1024]] {
        target.assert_refused(&Notice { body, headers: genuine.headers.clone() }, "64 KiB").await;
    }
    target.assert_untouched().await;
}
