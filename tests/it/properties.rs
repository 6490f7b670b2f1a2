//! What holds of any encrypted data, any signature and any card.
//!
//! proptest is without `std`: it draws the same cases in every run, and wants no more features of what the functions
//! share, so that `cargo dev` and `cargo test` still build that once.

use aes::cipher::block_padding::{NoPadding, Pkcs7};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::sample::{Index, select};
use proptest::{prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest};
use serde_json::{Value, json};
use shared::wechat::open_data::{EncryptedData, RawDataSignature};
use shared::wechat::{SessionKey, TokenValue, card_signature};
use tests::open_data::{Block, ciphertext, plaintext, sha1};

/// What `EncryptedData` makes of these bytes.
fn open(key: Block, iv: Block, ciphertext: &[u8]) -> Option<Value> {
    let data = EncryptedData::parse(&STANDARD.encode(ciphertext), &STANDARD.encode(iv)).unwrap();
    Some(data.open::<Value>(&SessionKey::new(STANDARD.encode(key)))?.data)
}

/// What another cipher makes of them, and JSON that is read without care for time.
fn open_plainly(key: Block, iv: Block, ciphertext: &[u8]) -> Option<Value> {
    let json: Value = serde_json::from_slice(&plaintext(key, iv, ciphertext)?).ok()?;
    let watermark = json["watermark"].as_object()?;
    (watermark.get("appid")?.is_string() && watermark.get("timestamp")?.is_u64()).then_some(json)
}

fn text() -> impl Strategy<Value = String> + Clone {
    vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

/// Text of some characters, so that it is nearly of a form.
fn text_of(characters: &'static str, len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let characters: Vec<char> = characters.chars().collect();
    vec(select(characters), len).prop_map(String::from_iter)
}

/// Data with a watermark.
fn data() -> impl Strategy<Value = Value> {
    (btree_map(text(), text(), 0..6), text(), any::<u64>()).prop_map(|(fields, appid, timestamp)| {
        let mut data = json!(fields);
        data["watermark"] = json!({ "appid": appid, "timestamp": timestamp });
        data
    })
}

/// What may be where a padding is expected: a good one, nearly one, and anything.
fn padding() -> impl Strategy<Value = Vec<u8>> {
    let good = (1..=16_u8).prop_map(|byte| vec![byte; byte.into()]);
    let near = (1..=16_u8, any::<Index>(), any::<u8>()).prop_map(|(byte, at, other)| {
        let mut padding = vec![byte; byte.into()];
        *at.get_mut(&mut padding) = other;
        padding
    });
    prop_oneof![good, near, vec(any::<u8>(), 1..=16), Just(vec![0]), Just(vec![17; 17]), Just(vec![32; 32])]
}

fn also_shuffled(values: Vec<String>) -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    (Just(values.clone()), Just(values).prop_shuffle())
}

fn refs(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_was_encrypted_with_a_key_is_what_opens_with_it(data in data(), key: Block, iv: Block) {
        let encrypted = ciphertext::<Pkcs7>(key, iv, data.to_string().as_bytes());
        prop_assert_eq!(open(key, iv, &encrypted), Some(data));
    }

    #[test]
    fn no_other_key_opens_it(data in data(), key: Block, other: Block, iv: Block) {
        prop_assume!(key != other);
        let encrypted = ciphertext::<Pkcs7>(key, iv, data.to_string().as_bytes());
        prop_assert_eq!(open(other, iv, &encrypted), None);
    }

    #[test]
    fn nothing_else_opens(bytes in vec(any::<u8>(), 0..200), key: Block, iv: Block) {
        prop_assert_eq!(open(key, iv, &bytes), None);
        prop_assert_eq!(open(key, iv, &ciphertext::<Pkcs7>(key, iv, &bytes)), None);
    }

    #[test]
    fn a_flipped_bit_opens_what_it_opens_with_another_cipher(
        data in data(), key: Block, iv: Block, at: Index, bit in 0..8_u32,
    ) {
        let mut bytes = [&iv[..], &ciphertext::<Pkcs7>(key, iv, data.to_string().as_bytes())].concat();
        *at.get_mut(&mut bytes) ^= 1 << bit;
        let (iv, encrypted) = bytes.split_first_chunk().unwrap();
        prop_assert_eq!(open(key, *iv, encrypted), open_plainly(key, *iv, encrypted));
    }

    #[test]
    fn a_padding_is_good_where_it_is_with_another_cipher(
        data in data(), padding in padding(), key: Block, iv: Block,
    ) {
        // JSON may end with spaces, so that it is the padding alone that can be wrong.
        let mut plain = data.to_string().into_bytes();
        plain.resize((plain.len() + padding.len()).next_multiple_of(16) - padding.len(), b' ');
        plain.extend(padding);
        let encrypted = ciphertext::<NoPadding>(key, iv, &plain);
        prop_assert_eq!(open(key, iv, &encrypted), open_plainly(key, iv, &encrypted));
    }

    #[test]
    fn any_text_is_encrypted_data_or_is_not(
        data in prop_oneof![text(), text_of("AZaz09+/=-_ ", 0..40)],
        iv in prop_oneof![text(), text_of("AZaz09+/", 22..23).prop_map(|iv| iv + "==")],
        key in text(),
    ) {
        let both = STANDARD.decode(&data).is_ok() && STANDARD.decode(&iv).is_ok_and(|iv| iv.len() == 16);
        prop_assert_eq!(EncryptedData::parse(&data, &iv).is_ok(), both);
        let parsed = EncryptedData::parse(&data, "AAAAAAAAAAAAAAAAAAAAAA==");
        prop_assert!(parsed.is_err() || parsed.unwrap().open::<Value>(&SessionKey::new(key)).is_none());
    }

    #[test]
    fn any_text_is_a_signature_or_is_not(
        text in prop_oneof![text(), text_of("0123456789abcdefABCDEF", 39..42), text_of("0aF9g字+-", 13..41)],
    ) {
        let is_hex = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        prop_assert_eq!(RawDataSignature::parse(&text).is_ok(), is_hex);
    }

    #[test]
    fn a_card_is_signed_whatever_the_order_and_without_what_is_empty(
        (values, shuffled) in vec(text(), 0..6).prop_flat_map(also_shuffled),
        empty in 0..3_usize,
        ticket in text(),
    ) {
        let signature = card_signature(&TokenValue::new(&ticket), &refs(&values));
        let others = [refs(&shuffled), vec![""; empty]].concat();
        prop_assert_eq!(&signature, &card_signature(&TokenValue::new(&ticket), &others));
        let mut sorted = [values, vec![ticket]].concat();
        sorted.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        prop_assert_eq!(signature, sha1(&sorted.concat()));
    }
}
