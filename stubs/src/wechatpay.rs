//! WeChat Pay with one answer to each call, and the notification of one payment. The keys are those of the published
//! examples.

use std::sync::{LazyLock, Mutex};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::binaries::root;

/// The orders of the sample events.
pub(crate) const OUT_TRADE_NO: &str = "demoOrder00000000000000000000001";
pub(crate) const PAID_OUT_TRADE_NO: &str = "demoOrder00000000000000000000002";
pub(crate) const TRANSACTION_ID: &str = "4200000000000000000000000001";
pub(crate) const MCH_ID: &str = "1900000001";
pub(crate) const TOTAL_FEN: u64 = 100;

const API_V3_KEY: &str = "0123456789abcdefghijklmnopqrstuv";
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0119000000012026112100000000001";

/// A key of the published examples, in PEM. Private ones are `TESTING KEY` there, so that nobody takes them for secrets.
fn key(name: &str) -> String {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/pay_v3.json")).unwrap();
    vectors["keys"][name].as_str().unwrap().replace("TESTING KEY", "PRIVATE KEY")
}

/// The value of `WECHATPAY`.
pub fn merchant() -> String {
    json!({
        "mchId": MCH_ID,
        "serialNo": "0123456789ABCDEF0123456789ABCDEF01234567",
        "privateKey": key("merchant_private_key"),
        "apiV3Key": API_V3_KEY,
        "publicKeyId": PUBLIC_KEY_ID,
        "publicKey": key("platform_public_key"),
    })
    .to_string()
}

/// An order waits to be paid, or a refund is under way.
pub(crate) fn answer(call: &str, body: &Value) -> Value {
    if call != "refunds" {
        return json!({ "prepay_id": "wx201410272009395522657a690389285100" });
    }
    json!({
        "refund_id": "50000000382019052709732678859",
        "out_refund_no": body["out_refund_no"],
        "transaction_id": TRANSACTION_ID,
        "out_trade_no": body["out_trade_no"],
        "status": "PROCESSING",
        "amount": body["amount"],
    })
}

/// The headers of something that WeChat Pay sends now.
pub fn signed(body: &str) -> HeaderMap {
    let timestamp = Clock::system().timestamp().as_secs().to_string();
    let nonce = "d824f2e086d3c1df967785d13fcd22ef";
    let signature = sign(&format!("{timestamp}\n{nonce}\n{body}\n"));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("wechatpay-timestamp", timestamp.as_str()),
        ("wechatpay-nonce", nonce),
        ("wechatpay-serial", PUBLIC_KEY_ID),
        ("wechatpay-signature", &signature),
        ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    headers
}

/// The last message and its signature: what is measured is not how fast WeChat Pay signs.
fn sign(message: &str) -> String {
    static KEY: LazyLock<KeyPair> = LazyLock::new(|| {
        let der = PrivatePkcs8KeyDer::from_pem_slice(key("platform_private_key").as_bytes()).unwrap();
        KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
    });
    static LAST: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));
    let mut last = LAST.lock().unwrap();
    if last.0 != message {
        let mut signature = vec![0; KEY.public().modulus_len()];
        KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        *last = (message.to_owned(), STANDARD.encode(signature));
    }
    last.1.clone()
}

/// The event of a notification that comes now: the order of the sample events was paid.
pub fn notification() -> Value {
    let nonce = b"EcZ9Cmy4Xyx1";
    let mut resource = json!({
        "mchid": MCH_ID,
        "appid": "wx0123456789abcdef",
        "out_trade_no": OUT_TRADE_NO,
        "transaction_id": "1217752501201407033233368018",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": "2026-11-21T10:34:56+08:00",
        "payer": { "openid": "oBench" },
        "amount": { "total": TOTAL_FEN, "payer_total": TOTAL_FEN, "currency": "CNY", "payer_currency": "CNY" },
    })
    .to_string()
    .into_bytes();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
    let nonce_bytes = Nonce::assume_unique_for_key(*nonce);
    key.seal_in_place_append_tag(nonce_bytes, Aad::from(b"transaction"), &mut resource).unwrap();
    let body = json!({
        "id": "EV-2018022511223320873",
        "create_time": "2026-11-21T10:34:56+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": STANDARD.encode(resource),
            "associated_data": "transaction",
            "nonce": std::str::from_utf8(nonce).unwrap(),
        },
    })
    .to_string();
    let event = std::fs::read(root().join("events/pay-notify/valid.json")).unwrap();
    let mut event: Value = serde_json::from_slice(&event).unwrap();
    event.as_object_mut().unwrap().remove("sample"); // How `local` would sign it.
    for (name, value) in &signed(&body) {
        event["headers"][name.as_str()] = value.to_str().unwrap().into();
    }
    event["headers"]["content-length"] = body.len().to_string().into();
    event["body"] = body.into();
    event
}
