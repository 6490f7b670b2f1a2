//! WeChat's own examples of signatures and of encrypted data.

use axum::http::HeaderMap;
use serde_json::Value;
use shared::wechat::open_data::{EncryptedData, RawDataSignature, is_signed};
use shared::wechat::{SessionKey, TokenValue, card_signature};
use tests::merchant::{self, Message};
use tests::pay_vectors::PayVectors;
use tests::root;

/// The vectors of a file: name, inputs, what is expected.
fn vectors<const N: usize>(file: &str, names: [&str; N]) -> [(Value, Value); N] {
    let json = std::fs::read_to_string(root().join("tests/vectors").join(file)).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(vectors.iter().map(|vector| vector["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
    let vectors = vectors.into_iter().map(|mut vector| (vector["inputs"].take(), vector["expected"].take()));
    vectors.collect::<Vec<_>>().try_into().unwrap()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap()
}

fn session_key(inputs: &Value) -> SessionKey {
    SessionKey::new(text(inputs, "session_key"))
}

#[test]
fn a_card_is_signed_as_in_the_documentation_and_as_others_saw_it() {
    let vectors = vectors("card_signature.json", ["card_ext_official", "card_ext_community_no_code_no_openid"]);
    for (inputs, expected) in vectors {
        let ticket = TokenValue::new(text(&inputs, "api_ticket"));
        let others = inputs.as_object().unwrap().iter().filter(|(name, _)| *name != "api_ticket");
        let values: Vec<&str> = others.map(|(_, value)| value.as_str().unwrap()).collect();
        assert_eq!(card_signature(&ticket, &values), text(&expected, "signature"));
        assert_eq!(tests::open_data::sha1(text(&expected, "string_to_sign")), text(&expected, "signature"));
    }
}

#[test]
fn a_profile_is_signed_and_encrypted_as_in_the_documentation() {
    let [signed, encrypted] =
        vectors("open_data.json", ["rawdata_signature_official", "encrypted_data_userinfo_official"]);
    let (inputs, expected) = signed;
    let signature = RawDataSignature::parse(text(&expected, "signature")).unwrap();
    assert!(is_signed(text(&inputs, "rawData"), &signature, &session_key(&inputs)));
    assert!(!is_signed(&text(&inputs, "rawData").replace("Band", "Bond"), &signature, &session_key(&inputs)));
    assert!(!is_signed(text(&inputs, "rawData"), &signature, &session_key(&encrypted.0)));

    let (inputs, expected) = encrypted;
    let data = EncryptedData::parse(text(&inputs, "encryptedData"), text(&inputs, "iv")).unwrap();
    let opened = data.open::<Value>(&session_key(&inputs)).unwrap();
    assert_eq!(opened.data, serde_json::from_str::<Value>(text(&expected, "plaintext")).unwrap());
    assert_eq!(
        (opened.watermark.appid.as_str(), opened.watermark.timestamp().as_secs()),
        (text(&inputs, "appid"), 1_477_314_187)
    );
    assert!(data.open::<Value>(&SessionKey::new("HyVFkGl5F5OQWJZZaNzBBg==")).is_none());
}

/// What WeChat Pay has sent: headers and body.
fn message(inputs: &Value) -> Message {
    let mut headers = HeaderMap::new();
    for (name, value) in inputs["headers"].as_object().unwrap() {
        let name = axum::http::HeaderName::try_from(name).unwrap();
        headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    Message { status: 200, headers, body: text(inputs, "body").as_bytes().to_vec() }
}

/// What checks the sandbox, is checked itself.
#[test]
fn the_tests_merchant_signs_verifies_and_decrypts_as_in_the_documentation() {
    let vectors = PayVectors::default();
    let (inputs, expected) = vectors.vector("pay_v3_request_sign_official");
    let field = |name: &str| text(inputs, name);
    let message_of = merchant::request_message(
        field("method"),
        field("path"),
        field("timestamp"),
        field("nonce_str"),
        field("body"),
    );
    assert_eq!(message_of, text(expected, "message"));

    let (inputs, expected) = vectors.vector("pay_v3_paysign_miniprogram_official");
    let field = |name: &str| text(inputs, name);
    let message_of =
        merchant::payment_message(field("appId"), field("timeStamp"), field("nonceStr"), field("fourth_line"));
    assert_eq!(message_of, text(expected, "message"));

    let (inputs, _) = vectors.vector("pay_v3_response_verify_official");
    let key = merchant::public_key(text(inputs, "public_key_pem"));
    let mut answer = message(inputs);
    assert!(merchant::is_signed(&key, &answer));
    answer.body.push(b' ');
    assert!(!merchant::is_signed(&key, &answer));

    let (inputs, expected) = vectors.vector("pay_v3_aead_java");
    let opened = merchant::open_bytes(text(inputs, "apiv3_key"), inputs).unwrap();
    assert_eq!(opened, text(expected, "plaintext").as_bytes());

    let (inputs, expected) = vectors.vector("derived_pay_v3_notify_transaction_success");
    let notification = message(inputs);
    assert!(merchant::is_signed(&merchant::public_key(&vectors.key("platform_public_key")), &notification));
    let opened = merchant::open(text(inputs, "apiv3_key"), &notification.json()["resource"]).unwrap();
    assert_eq!(opened, serde_json::from_str::<Value>(text(expected, "resource_plaintext")).unwrap());
}
