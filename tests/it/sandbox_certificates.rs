//! The sandbox's platform certificates: lists, switches and rotations.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};
use local::machine::{Machine, Options};
use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::env::Env;
use tests::http::Client;
use tests::merchant::{Message, der, is_signed, open_bytes};
use tests::sandbox_shop::Shop;

const CERTIFICATES: &str = "/v3/certificates";
const QUERY: &str = "/v3/pay/transactions/out-trade-no/order-000001?mchid=1900000001";

/// What comes before an RSA key of 2048 bits in an SPKI, which every certificate has in it.
const SPKI_HEAD: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0F, 0x00,
];

/// Bytes of such a key.
const KEY_LEN: usize = 270;

/// What the version of a certificate is, and how its serial number of 20 bytes begins.
const SERIAL_HEAD: [u8; 7] = [0xA0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x14];

fn after<'a>(bytes: &'a [u8], head: &[u8], length: usize) -> &'a [u8] {
    let at = bytes.windows(head.len()).position(|window| window == head).unwrap() + head.len();
    &bytes[at..at + length]
}

/// The key and the serial number in a certificate.
fn parse(pem: &str) -> (Vec<u8>, String) {
    let der = der(pem);
    let serial = after(&der, &SERIAL_HEAD, 20).iter().map(|byte| format!("{byte:02X}")).collect();
    (after(&der, &SPKI_HEAD, KEY_LEN).to_vec(), serial)
}

/// What a merchant trusts: keys by what they are called.
type Trusted = BTreeMap<String, Vec<u8>>;

fn trusts(trusted: &Trusted, message: &Message) -> bool {
    trusted.get(message.header("wechatpay-serial")).is_some_and(|key| is_signed(key, message))
}

/// A call that asks for no public key.
async fn call(shop: &Shop, path: &str) -> Message {
    let authorization = shop.merchant.authorization("GET", path, "", shop.world.now().into());
    shop.merchant.send("GET", path, &[("accept", "*/*"), ("authorization", &authorization)], "").await
}

/// The certificates in an answer; those that do not open are not there.
fn certificates(shop: &Shop, answer: &Message) -> Trusted {
    let mut trusted = Trusted::new();
    for entry in answer.json()["data"].as_array().unwrap() {
        let resource = &entry["encrypt_certificate"];
        assert_eq!(resource["original_type"], Value::Null);
        let Some(pem) = open_bytes(shop.merchant.text("apiV3Key"), resource) else { continue };
        let (key, serial) = parse(&String::from_utf8(pem).unwrap());
        assert_eq!(entry["serial_no"], serial);
        trusted.insert(serial, key);
    }
    trusted
}

async fn download(shop: &Shop) -> Trusted {
    let answer = call(shop, CERTIFICATES).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    certificates(shop, &answer)
}

async fn shop_in(mode: &str) -> Shop {
    let shop = Shop::open([]).await;
    shop.world.sandbox("PUT", "/keys", json!({ "mode": mode })).await;
    shop
}

async fn rotate(shop: &Shop, step: &str) -> (u16, Value) {
    let url = format!("{}/sandbox/certificates/rotate", shop.world.machine.sandbox_url().unwrap());
    let reply = Client::default().post(&url, &[], &json!({ "step": step })).await;
    (reply.status, reply.json)
}

#[tokio::test]
async fn a_list_is_decrypted_and_verified_with_what_is_in_it() {
    let shop = shop_in("certificates").await;
    for path in [CERTIFICATES.to_owned(), format!("{CERTIFICATES}?algorithm_type=RSA")] {
        let answer = call(&shop, &path).await;
        let trusted = certificates(&shop, &answer);
        assert_eq!((answer.status, trusted.len(), trusts(&trusted, &answer)), (200, 1, true));
        let entry = &answer.json()["data"][0];
        let resource = &entry["encrypt_certificate"];
        assert_eq!(
            (&resource["algorithm"], &resource["associated_data"]),
            (&json!("AEAD_AES_256_GCM"), &json!("certificate"))
        );
        let time = |name: &str| Timestamp::parse_rfc3339(entry[name].as_str().unwrap()).unwrap().as_secs();
        let now = Timestamp::from(shop.world.now()).as_secs();
        assert_eq!((time("effective_time"), time("expire_time")), (now, now + 5 * 365 * 86_400));
    }
    let refused = call(&shop, "/v3/certificates?algorithm_type=SM2").await;
    assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()));
    assert_eq!(refused.header("wechatpay-signature"), "");
    // No public key is there to sign with, whoever asks for it.
    let answer = shop.merchant.call(&shop.world, "GET", CERTIFICATES, "").await;
    assert!(trusts(&certificates(&shop, &answer), &answer));
}

#[tokio::test]
async fn a_merchant_with_a_public_key_has_no_certificates() {
    let shop = Shop::open([]).await;
    let refused = call(&shop, CERTIFICATES).await;
    assert_eq!(refused.refusal(), (404, "RESOURCE_NOT_EXISTS".to_owned()));
    assert!(refused.json()["message"].as_str().unwrap().starts_with("无可用的平台证书"));
    assert_eq!(refused.header("wechatpay-signature"), "");
    let keys = shop.world.sandbox("GET", "/keys", Value::Null).await;
    assert_eq!((&keys["mode"], &keys["publicKeyId"]), (&json!("publicKey"), &shop.merchant.config["publicKeyId"]));
}

#[tokio::test]
async fn a_mode_says_who_signs() {
    let shop = shop_in("both").await;
    shop.order("order-000001").await;
    let trusted = download(&shop).await;
    for (mode, percent, answers_by_key, notifications_by_key) in [
        ("publicKey", 0, true, true),
        ("certificates", 0, false, false),
        ("both", 0, true, false),
        ("both", 100, true, true),
    ] {
        let settings = json!({ "mode": mode, "publicKeyPercent": percent });
        assert_eq!(shop.world.sandbox("PUT", "/keys", settings).await["publicKeyPercent"], percent);
        let named = shop.merchant.call(&shop.world, "GET", QUERY, "").await;
        assert_eq!((shop.merchant.trusts(&named), trusts(&trusted, &named)), (answers_by_key, !answers_by_key));
        // Who has certificates and names no key gets what those verify.
        let (unnamed, has_none) = (call(&shop, QUERY).await, mode == "publicKey");
        assert_eq!((shop.merchant.trusts(&unnamed), trusts(&trusted, &unnamed)), (has_none, !has_none), "{mode}");
        let number = format!("order-{mode}-{percent}");
        shop.order_told_at(&number, &shop.inbox.url).await;
        let seen = shop.inbox.messages().len();
        shop.pay(&number).await;
        let message = &shop.inbox.wait_for(seen + 1).await[seen];
        let by = (shop.merchant.trusts(message), trusts(&trusted, message));
        assert_eq!(by, (notifications_by_key, !notifications_by_key), "{mode} {percent}");
    }
    for bad in [json!({ "mode": "both", "publicKeyPercent": 101 }), json!({ "mode": "both", "publicKeyPercent": -1 })] {
        let url = format!("{}/sandbox/keys", shop.world.machine.sandbox_url().unwrap());
        assert_eq!(
            Client::default()
                .send("PUT", &url, &[("content-type", "application/json")], bad.to_string().into_bytes())
                .await
                .status,
            400
        );
    }
}

#[tokio::test]
async fn a_switch_moves_the_notifications_in_steps() {
    let shop = shop_in("both").await;
    shop.order("order-000001").await;
    let trusted = download(&shop).await;
    shop.pay("order-000001").await;
    shop.inbox.wait_for(1).await;
    let mut seen = 1;
    for (percent, by_key) in [(json!(0.1), 1), (json!(5), 1), (json!(20), 2), (json!(50), 5), (json!(100), 10)] {
        shop.world.sandbox("PUT", "/keys", json!({ "mode": "both", "publicKeyPercent": percent })).await;
        for _ in 0..10 {
            shop.world.sandbox("POST", "/notifications/resend", json!({ "outTradeNo": "order-000001" })).await;
        }
        let messages = shop.inbox.messages().split_off(seen);
        seen += messages.len();
        assert_eq!(messages.iter().filter(|message| shop.merchant.trusts(message)).count(), by_key, "{percent}");
        assert_eq!(messages.iter().filter(|message| trusts(&trusted, message)).count(), 10 - by_key, "{percent}");
    }
}

#[tokio::test]
async fn certificates_rotate_in_steps() {
    let shop = shop_in("certificates").await;
    let old = download(&shop).await;
    assert_eq!(rotate(&shop, "sign").await.0, 400, "nothing is announced");
    assert_eq!(rotate(&shop, "drop").await.0, 400, "there is one only");

    let (status, keys) = rotate(&shop, "announce").await;
    assert_eq!((status, rotate(&shop, "announce").await.0), (200, 400));
    let flags = |keys: &Value| {
        let flags = keys["certificates"].as_array().unwrap().iter();
        flags.map(|one| (one["signs"] == true, one["listed"] == true)).collect::<Vec<_>>()
    };
    assert_eq!(flags(&keys), [(true, true), (false, true)]);
    let answer = call(&shop, CERTIFICATES).await;
    let both = certificates(&shop, &answer);
    assert_eq!((both.len(), trusts(&old, &answer)), (2, true));

    let (_, keys) = rotate(&shop, "sign").await;
    assert_eq!(flags(&keys), [(false, true), (true, true)]);
    let answer = call(&shop, CERTIFICATES).await;
    assert_eq!((trusts(&old, &answer), trusts(&both, &answer)), (false, true));

    let (_, keys) = rotate(&shop, "drop").await;
    assert_eq!(flags(&keys), [(false, false), (true, true)]);
    let new = download(&shop).await;
    assert_eq!((new.len(), old.keys().any(|serial| new.contains_key(serial))), (1, false));
    assert_eq!(rotate(&shop, "announce").await.0, 200, "and so on");
    assert_eq!(rotate(&shop, "turn").await.0, 422);
}

#[tokio::test]
async fn faults_spoil_lists_too() {
    let shop = shop_in("certificates").await;
    let good = download(&shop).await;
    let spoiled = async |tamper: &str| {
        shop.world.sandbox("POST", "/faults", json!({ "path": CERTIFICATES, "tamper": tamper })).await;
        call(&shop, CERTIFICATES).await
    };
    for tamper in ["signature", "body", "serial", "nonce", "missing", "signtest"] {
        let answer = spoiled(tamper).await;
        assert_eq!((trusts(&good, &answer), certificates(&shop, &answer).len()), (false, 1), "{tamper}");
    }
    for tamper in ["aad", "key"] {
        let answer = spoiled(tamper).await;
        assert_eq!((trusts(&good, &answer), certificates(&shop, &answer).len()), (true, 0), "{tamper}");
    }
    let answer = spoiled("algorithm").await;
    assert_eq!(answer.json()["data"][0]["encrypt_certificate"]["algorithm"], "AEAD_SM4_GCM");
    assert_eq!(spoiled("extraFields").await.json()["new_text"], "new");
}

#[tokio::test]
async fn a_forged_notification_is_signed_by_whom_one_says() {
    let shop = shop_in("certificates").await;
    let trusted = download(&shop).await;
    for (signer, by_key) in [(json!("publicKey"), true), (json!("certificate"), false), (Value::Null, false)] {
        let wish = json!({ "resource": {}, "signer": signer });
        let forged = shop.world.sandbox("POST", "/notifications/forge", wish).await;
        let header = |(name, value): (&String, &Value)| {
            (HeaderName::try_from(name).unwrap(), value.as_str().unwrap().parse().unwrap())
        };
        let headers = forged["headers"].as_object().unwrap().iter().map(header).collect::<HeaderMap>();
        let message = Message { status: 0, headers, body: forged["body"].as_str().unwrap().as_bytes().to_vec() };
        assert_eq!((shop.merchant.trusts(&message), trusts(&trusted, &message)), (by_key, !by_key), "{signer}");
    }
}

#[tokio::test]
async fn a_machine_may_start_with_certificates() {
    let shop = Shop::open([]).await;
    let wechatpay = shop.world.machine.env().get("WECHATPAY").unwrap();
    for (pay_keys, mode) in [(KeyMode::Certificates, "certificates"), (KeyMode::Both, "both")] {
        let env = Env::from_iter([("WECHATPAY", wechatpay)]);
        let machine = Machine::start(Options { env, pay_keys, ..Options::default() }).await.unwrap();
        let url = format!("{}/sandbox/keys", machine.sandbox_url().unwrap());
        let keys = Client::default().send("GET", &url, &[], Vec::new()).await.json;
        assert_eq!((&keys["mode"], &keys["certificates"][0]["listed"]), (&json!(mode), &json!(true)));
        machine.stop().await;
    }
}
