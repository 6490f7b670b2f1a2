//! Data that goes through the client, for its server to read. Source: mini program documentation, "signature".

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Map, Value};
use shared::random;

/// What a client gets in place of the data.
#[derive(Debug)]
pub(crate) struct Encrypted {
    pub(crate) encrypted_data: String,
    pub(crate) iv: String,
}

/// AES-128-CBC with PKCS#7 and a random IV; `None` if the session_key is not base64 of 16 bytes.
pub(crate) fn encrypt(session_key: &str, plaintext: &Value) -> Option<Encrypted> {
    let key: [u8; 16] = STANDARD.decode(session_key).ok()?.try_into().ok()?;
    let iv = random::bytes::<16>();
    let cipher = cbc::Encryptor::<Aes128>::new(&key.into(), &iv.into());
    let encrypted = cipher.encrypt_padded_vec::<Pkcs7>(plaintext.to_string().as_bytes());
    Some(Encrypted { encrypted_data: STANDARD.encode(encrypted), iv: STANDARD.encode(iv) })
}

/// The signature of `rawData`: SHA-1 of it and of the session_key's text, in hexadecimal digits.
pub(crate) fn sign(raw_data: &str, session_key: &str) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{raw_data}{session_key}").as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces what is in the patch, at any depth, and removes what is `null` there.
pub(crate) fn merge(target: &mut Value, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.as_object_mut().and_then(|target| target.remove(&name));
            }
            Value::Object(patch) if target.get(&name).is_some_and(Value::is_object) => merge(&mut target[&name], patch),
            value => target[&name] = value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentations_example_is_signed_as_there() {
        let raw_data = r#"{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}"#;
        assert_eq!(sign(raw_data, "HyVFkGl5F5OQWJZZaNzBBg=="), "75e81ceda165f4ffa64f4068af58c64b8f54b88c");
    }

    #[test]
    fn only_what_is_in_a_patch_changes() {
        let mut target = serde_json::json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": 4 });
        let Value::Object(patch) = serde_json::json!({ "a": null, "b": { "c": 5 }, "e": { "f": 6 } }) else { panic!() };
        merge(&mut target, patch);
        assert_eq!(target, serde_json::json!({ "b": { "c": 5, "d": 3 }, "e": { "f": 6 } }));
    }
}
