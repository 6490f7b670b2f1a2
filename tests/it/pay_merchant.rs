//! What the value of `WECHATPAY` may be, and the other variables of payments.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use shared::secret::Secret;
use shared::setup::Setup;
use shared::wechatpay::{InvalidMerchant, Merchant, Verifier};
use tests::pay_vectors::{PUBLIC_KEY_ID, PayVectors};

/// A key of 1024 bits, made for this test.
const SHORT_RSA: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC6GbkYT/8H/zovQaj0Cc9j1O5U\n\
    YHxhRbT9Dijm49Ddo71nUMLrJFkLj+hC10ax8FokZTr8Dp182Q1LDnWLYn4tiF4d\n\
    IlbCS4Jr7eUrAAQp+7bzBOrf5igVF/kaC5t/9tmlxwhhemnzoQBRamepo0pEwRiB\n\
    VUjkiCXIo92/xRxO5wIDAQAB\n\
    -----END PUBLIC KEY-----\n";

fn problem(value: &str) -> InvalidMerchant {
    let problem = Merchant::parse(&Secret::new(value)).unwrap_err();
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
    problem
}

fn with(field: &str, value: impl Into<Value>) -> String {
    let mut wechatpay = PayVectors::default().wechatpay();
    wechatpay[field] = value.into();
    wechatpay.to_string()
}

fn without(fields: &[&str]) -> String {
    let mut wechatpay = PayVectors::default().wechatpay();
    fields.iter().for_each(|field| drop(wechatpay.as_object_mut().unwrap().remove(*field)));
    wechatpay.to_string()
}

#[test]
fn a_merchant_shows_nothing_but_its_number() {
    let merchant = Merchant::parse(&Secret::new(with("mode", "v3"))).unwrap();
    assert_eq!(format!("{merchant:?}"), r#"Merchant { mch_id: MchId("1900007291"), .. }"#);
    assert_eq!(format!("{:?}", merchant.verifier()), r#"Verifier { mch_id: MchId("1900007291"), .. }"#);
}

#[test]
fn every_field_that_is_wrong_is_named() {
    let public = PayVectors::default().key("platform_public_key");
    for (field, values, expected) in [
        ("mchId", &["", "1 2", "1\"2", "1,2", "1\n2", &"1".repeat(33)][..], InvalidMerchant::MchId),
        (
            "serialNo",
            &["", "a b", "a\"b", "a,b", "é", "408B07E", "PUB_KEY_ID_1", &"A".repeat(41)],
            InvalidMerchant::SerialNo,
        ),
        ("apiV3Key", &["", "hunter2", &"x".repeat(31), &"x".repeat(33)], InvalidMerchant::ApiV3Key),
        ("privateKey", &["", "hunter2", &public], InvalidMerchant::PrivateKey),
        ("publicKey", &["", "hunter2"], InvalidMerchant::PublicKey),
        ("publicKeyId", &["", "hunter2", "D7CE59D1F522D701", "PUB_KEY_ID_1 2"], InvalidMerchant::PublicKeyId),
        ("mode", &["", "hunter2"], InvalidMerchant::Mode),
        ("mode", &["v2"], InvalidMerchant::Version2),
    ] {
        for value in values {
            assert_eq!(problem(&with(field, *value)), expected, "{field} {value:?}");
        }
    }
}

#[test]
fn a_public_key_is_one_of_rsa_and_goes_with_its_id() {
    let ed25519 = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    assert_eq!(problem(&with("publicKey", ed25519)), InvalidMerchant::PublicKey);
    assert_eq!(problem(&with("publicKey", SHORT_RSA)), InvalidMerchant::PublicKey);
    assert_eq!(problem(&without(&["publicKey"])), InvalidMerchant::HalfPublicKey);
    assert_eq!(problem(&without(&["publicKeyId"])), InvalidMerchant::HalfPublicKey);
}

#[test]
fn a_merchant_with_platform_certificates_alone_has_no_public_key() {
    let merchant = Merchant::parse(&Secret::new(without(&["publicKeyId", "publicKey"]))).unwrap();
    assert_eq!(merchant.answers_signed_by(), None);
    let merchant = PayVectors::default().merchant();
    assert_eq!(merchant.answers_signed_by(), Some(PUBLIC_KEY_ID));
}

#[test]
fn who_verifies_alone_needs_nothing_to_sign_with() {
    assert_eq!(problem(&without(&["serialNo"])), InvalidMerchant::NoSerialNo);
    assert_eq!(problem(&without(&["privateKey"])), InvalidMerchant::NoPrivateKey);
    for value in [without(&["serialNo", "privateKey"]), with("privateKey", "hunter2"), with("serialNo", "")] {
        let verifier = Verifier::parse(&Secret::new(value)).unwrap();
        assert_eq!(verifier.mch_id().as_str(), "1900007291");
    }
    for (field, expected) in [("mchId", InvalidMerchant::MchId), ("apiV3Key", InvalidMerchant::ApiV3Key)] {
        assert_eq!(Verifier::parse(&Secret::new(with(field, ""))).unwrap_err(), expected);
    }
}

#[test]
fn a_value_of_another_form_is_refused_without_showing_it() {
    for value in [
        "",
        "hunter2",
        "[]",
        r#"["1","hunter2"]"#,
        r#"{"mchId":"hunter2"}"#,
        &with("apiKey", "hunter2"),
        &with("mchId", 1),
        &with("privateKey", json!(["hunter2"])),
        &without(&["apiV3Key"]),
    ] {
        assert!(matches!(problem(value), InvalidMerchant::NotMerchant { .. }), "{value}");
    }
}

#[test]
fn a_private_key_in_pkcs_1_is_as_good() {
    let vectors = PayVectors::default();
    let merchant = Merchant::parse(&Secret::new(with("privateKey", pkcs1(&vectors)))).unwrap();
    assert_eq!(merchant.sign(b"x"), vectors.merchant().sign(b"x"));
}

/// The same key without what PKCS#8 puts around it: the 26 bytes in front that say that it is one of RSA.
fn pkcs1(vectors: &PayVectors) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let pem = vectors.key("merchant_private_key");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).unwrap();
    let (begin, end) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
    format!("{begin}\n{}\n{end}\n", STANDARD.encode(&der[26..]))
}

#[tokio::test]
async fn the_configuration_of_payments_is_checked_and_named() {
    let setup = |variable: &str, value: &str| Setup::new(Env::from_iter([(variable, value)]), Clock::system()).unwrap();
    for (variable, values) in [
        ("ORDER_TTL_SECS", &["hunter2", "59", "7001", "-60", "60.5"][..]),
        ("MAX_OPEN_ORDERS", &["hunter2", "0", "1000001", "-1"]),
        ("PAY_NOTIFY_URL", &["hunter2", "http://hunter2.example/", "https://x/?hunter2"]),
        ("WECHATPAY", &["hunter2"]),
        ("WECHATPAY_API_URLS", &["hunter2", "https://x/?hunter2"]),
    ] {
        for value in values {
            let setup = setup(variable, value);
            let err = match variable {
                "ORDER_TTL_SECS" => setup.order_ttl().unwrap_err(),
                "MAX_OPEN_ORDERS" => setup.max_open_orders().unwrap_err(),
                "PAY_NOTIFY_URL" => setup.notify_url().unwrap_err(),
                "WECHATPAY" => setup.merchant().await.unwrap_err(),
                _ => setup.wechatpay().unwrap_err(),
            };
            assert!(err.to_string().starts_with(&format!("{variable} is malformed: ")), "{err}");
            assert!(!format!("{err:?}").contains("hunter2"), "{err}");
        }
    }
    let unset = setup("WECHATPAY", "");
    assert_eq!((unset.order_ttl().unwrap().as_secs(), unset.max_open_orders().unwrap()), (1800, 5));
    assert_eq!(unset.notify_url().unwrap_err().to_string(), "PAY_NOTIFY_URL is not set");
    let err = unset.merchant().await.unwrap_err();
    assert_eq!(err.to_string(), "WECHATPAY is not set, and neither is WECHATPAY_SECRET_ARN");
    for (secs, expected) in [("60", 60), ("7000", 7000)] {
        assert_eq!(setup("ORDER_TTL_SECS", secs).order_ttl().unwrap().as_secs(), expected);
    }
}
