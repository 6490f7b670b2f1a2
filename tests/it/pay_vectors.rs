//! WeChat Pay's own examples of signatures and of encrypted data, and such as were made after them.

use axum::http::{HeaderMap, HeaderName, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::wechat::AppId;
use shared::wechatpay::v3::{NotVerified, Notification, Notifications, RequestPayment, Stamp, authorization};
use shared::wechatpay::{ApiV3Key, Keyring, PrepayId, PublicKey, TradeState};
use tests::pay_vectors::{API_V3_KEY, PUBLIC_KEY_ID, PayVectors, clock_at};

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap()
}

fn stamp(timestamp: &Value, nonce: &Value) -> Stamp {
    let secs = timestamp.as_str().unwrap().parse().unwrap();
    Stamp { timestamp: Timestamp::from_secs(secs), nonce: nonce.as_str().unwrap().to_owned() }
}

fn headers(inputs: &Value) -> HeaderMap {
    let headers = inputs["headers"].as_object().unwrap().iter();
    headers
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap()))
        .collect()
}

fn sent_at(inputs: &Value) -> u64 {
    text(&inputs["headers"], "Wechatpay-Timestamp").parse().unwrap()
}

/// Opens the notification of a vector at the time at which it was sent.
fn open(vectors: &PayVectors, inputs: &Value) -> Result<Notification, NotVerified> {
    let key = ApiV3Key::new(API_V3_KEY).unwrap();
    let notifications = Notifications::new(vectors.keyring(), key, clock_at(sent_at(inputs)));
    notifications.open(&headers(inputs), text(inputs, "body").as_bytes())
}

#[test]
fn requests_are_signed_as_in_the_documentation() {
    let vectors = PayVectors::default();
    let merchant = vectors.merchant();
    let (inputs, expected) = vectors.vector("pay_v3_request_sign_official");
    let stamped = stamp(&inputs["timestamp"], &inputs["nonce_str"]);
    let header = authorization(&merchant, &Method::POST, text(inputs, "path"), text(inputs, "body"), &stamped).unwrap();
    assert_eq!(header.to_str().unwrap(), text(expected, "authorization"));
    assert!(header.is_sensitive());

    let (inputs, expected) = vectors.vector("derived_pay_v3_get_query_sign");
    let stamped = stamp(&inputs["timestamp"], &inputs["nonce_str"]);
    let header = authorization(&merchant, &Method::GET, text(inputs, "path_and_query"), "", &stamped).unwrap();
    let signature = format!(r#",signature="{}","#, text(expected, "signature"));
    assert!(header.to_str().unwrap().contains(&signature));

    let (inputs, expected) = vectors.vector("pay_v3_rsa_sign_go");
    assert_eq!(vectors.platform().sign(text(inputs, "message").as_bytes()).unwrap(), text(expected, "signature"));
}

#[test]
fn a_payment_is_signed_as_in_the_documentation() {
    let vectors = PayVectors::default();
    let (inputs, expected) = vectors.vector("pay_v3_paysign_miniprogram_official");
    let prepay_id = PrepayId::new(text(inputs, "fourth_line").strip_prefix("prepay_id=").unwrap());
    let stamped = stamp(&inputs["timeStamp"], &inputs["nonceStr"]);
    let payment =
        RequestPayment::new(&vectors.merchant(), &AppId::new(text(inputs, "appId")), &prepay_id, &stamped).unwrap();
    let expected = json!({
        "timeStamp": inputs["timeStamp"],
        "nonceStr": inputs["nonceStr"],
        "package": inputs["fourth_line"],
        "signType": "RSA",
        "paySign": expected["paySign"],
    });
    assert_eq!(serde_json::to_value(payment).unwrap(), expected);
}

#[test]
fn an_answer_is_verified_as_in_the_documentation() {
    let vectors = PayVectors::default();
    let (inputs, _) = vectors.vector("pay_v3_response_verify_official");
    let key = PublicKey::from_pem(text(inputs, "public_key_pem")).unwrap();
    let keyring = Keyring::new([(PUBLIC_KEY_ID.to_owned(), key)]);
    let mut headers = headers(inputs);
    headers.insert("wechatpay-serial", PUBLIC_KEY_ID.parse().unwrap());
    let (body, now) = (text(inputs, "body").as_bytes(), Timestamp::from_secs(sent_at(inputs)));
    assert_eq!(*keyring.verify(&headers, body, now).unwrap(), body);
    let changed = [body, b" "].concat();
    assert_eq!(keyring.verify(&headers, &changed, now).unwrap_err(), NotVerified::Signature);
    // The key of another, under the same id.
    let other = PublicKey::from_pem(&vectors.key("platform_public_key")).unwrap();
    let other = Keyring::new([(PUBLIC_KEY_ID.to_owned(), other)]);
    assert_eq!(other.verify(&headers, body, now).unwrap_err(), NotVerified::Signature);
}

#[test]
fn an_answer_of_the_published_client_is_verified_from_byte_to_byte() {
    let vectors = PayVectors::default();
    let (inputs, _) = vectors.vector("pay_v3_notify_full_go");
    let (headers, body) = (headers(inputs), text(inputs, "body").as_bytes());
    let now = Timestamp::from_secs(sent_at(inputs));
    let keyring = vectors.keyring();
    assert!(keyring.verify(&headers, body, now).is_ok());
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert_eq!(keyring.verify(&headers, changed, now).unwrap_err(), NotVerified::Signature, "byte {at}");
    }
    // A proxy joins what was there twice.
    for name in ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-serial", "wechatpay-signature"] {
        let mut joined = headers.clone();
        let value = headers[name].to_str().unwrap();
        joined.insert(name, format!("{value},{value}").parse().unwrap());
        assert!(keyring.verify(&joined, body, now).is_err(), "{name}");
    }
}

#[test]
fn resources_are_decrypted_with_32_bytes_of_key_and_nothing_else() {
    let vectors = PayVectors::default();
    let decrypt = |name| {
        let (inputs, _) = vectors.vector(name);
        let key = ApiV3Key::new(text(inputs, "apiv3_key"))?;
        key.open(text(inputs, "ciphertext"), text(inputs, "nonce"), text(inputs, "associated_data"))
    };
    assert_eq!(decrypt("pay_v3_aead_java").unwrap(), b"message");
    assert_eq!(decrypt("pay_v3_aead_go_16byte_key"), None);
    assert_eq!(decrypt("negative_pay_v3_wrong_aad"), None);
}

#[test]
fn a_notification_of_a_payment_is_a_verified_trade() {
    let vectors = PayVectors::default();
    let (inputs, expected) = vectors.vector("derived_pay_v3_notify_transaction_success");
    let notification = open(&vectors, inputs).unwrap();
    assert_eq!(notification.plaintext(), text(expected, "resource_plaintext").as_bytes());
    assert_eq!(notification.id(), "EV-2018022511223320873");
    assert_eq!(notification.event_type(), "TRANSACTION.SUCCESS");
    let trade = notification.trade().unwrap();
    assert_eq!(trade.state, TradeState::Success);
    assert_eq!(trade.out_trade_no, "1217752501201407033233368018");
    let amount = trade.amount.as_ref().unwrap();
    assert_eq!((amount.total.as_u64(), amount.currency.as_deref()), (100, Some("CNY")));
    assert_eq!(trade.success_time.as_deref(), Some("2018-06-08T10:34:56+08:00"));
}

#[test]
fn a_notification_of_a_refund_is_no_trade() {
    let vectors = PayVectors::default();
    let (inputs, expected) = vectors.vector("derived_pay_v3_notify_refund_success");
    let notification = open(&vectors, inputs).unwrap();
    assert_eq!(notification.plaintext(), text(expected, "resource_plaintext").as_bytes());
    assert_eq!(notification.event_type(), "REFUND.SUCCESS");
    assert!(notification.trade().is_none());
}

#[test]
fn a_probe_and_a_changed_body_are_refused() {
    let vectors = PayVectors::default();
    for (name, reason) in [
        ("negative_pay_v3_signtest_probe", NotVerified::Probe),
        ("negative_pay_v3_tampered_body", NotVerified::Signature),
    ] {
        assert_eq!(open(&vectors, vectors.vector(name).0).unwrap_err(), reason, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_signed_opens_only_if_it_is_a_notification(
        body in vec(any::<u8>(), 0..200),
        nonce in vec(any::<char>(), 0..14),
        associated_data in vec(any::<char>(), 0..20),
        ciphertext in vec(any::<u8>(), 0..40),
    ) {
        let vectors = PayVectors::default();
        let platform = vectors.platform();
        let notifications = Notifications::to(platform.verifier(), &clock_at(0));
        let resource = json!({
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": STANDARD.encode(ciphertext),
            "nonce": String::from_iter(nonce),
            "associated_data": String::from_iter(associated_data),
        });
        let envelope = json!({ "id": "1", "event_type": "X", "resource": resource }).to_string().into_bytes();
        for (body, expected) in [(body, NotVerified::Malformed), (envelope, NotVerified::Undecryptable)] {
            let mut headers = HeaderMap::new();
            let signature = platform.sign(&[b"0\nn\n", body.as_slice(), b"\n"].concat()).unwrap();
            headers.insert("wechatpay-timestamp", 0.into());
            headers.insert("wechatpay-nonce", "n".parse().unwrap());
            headers.insert("wechatpay-serial", PUBLIC_KEY_ID.parse().unwrap());
            headers.insert("wechatpay-signature", signature.parse().unwrap());
            prop_assert!(vectors.merchant().verifier().keyring().verify(&headers, &body, clock_at(0).timestamp()).is_ok());
            prop_assert_eq!(notifications.open(&headers, &body).unwrap_err(), expected);
        }
    }
}
