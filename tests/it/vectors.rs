//! WeChat's own examples of signatures and of encrypted data.

use serde_json::Value;
use shared::wechat::open_data::{EncryptedData, RawDataSignature, is_signed};
use shared::wechat::{SessionKey, TokenValue, card_signature};
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
