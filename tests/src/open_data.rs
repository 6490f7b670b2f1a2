//! What WeChat encrypts and signs for the client to hand on, made by hand, so that it can be wrong.

use aes::Aes128;
use aes::cipher::block_padding::{NoPadding, Padding, Pkcs7};
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use shared::random;

/// `encryptedData` and `iv` of some bytes.
pub fn encrypt(session_key: &str, plaintext: &[u8]) -> Value {
    encrypt_padded::<Pkcs7>(session_key, plaintext)
}

/// The same of bytes that bring their own padding.
pub fn encrypt_blocks(session_key: &str, plaintext: &[u8]) -> Value {
    encrypt_padded::<NoPadding>(session_key, plaintext)
}

fn encrypt_padded<P: Padding>(session_key: &str, plaintext: &[u8]) -> Value {
    let key: [u8; 16] = STANDARD.decode(session_key).unwrap().try_into().unwrap();
    let iv = random::bytes::<16>();
    let encrypted = cbc::Encryptor::<Aes128>::new(&key.into(), &iv.into()).encrypt_padded_vec::<P>(plaintext);
    json!({ "encryptedData": STANDARD.encode(encrypted), "iv": STANDARD.encode(iv) })
}

/// SHA-1 as hexadecimal digits.
pub fn sha1(text: &str) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
