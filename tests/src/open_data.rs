//! What WeChat encrypts and signs for the client to hand on, made by hand, so that it can be wrong.

use aes::Aes128;
use aes::cipher::block_padding::{NoPadding, Padding, Pkcs7};
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use shared::random;

/// Bytes of a block, of a key and of an iv.
pub type Block = [u8; 16];

/// `encryptedData` and `iv` of some bytes.
pub fn encrypt(session_key: &str, plaintext: &[u8]) -> Value {
    encrypt_padded::<Pkcs7>(session_key, plaintext)
}

/// The same of bytes that bring their own padding.
pub fn encrypt_blocks(session_key: &str, plaintext: &[u8]) -> Value {
    encrypt_padded::<NoPadding>(session_key, plaintext)
}

fn encrypt_padded<P: Padding>(session_key: &str, plaintext: &[u8]) -> Value {
    let key = STANDARD.decode(session_key).unwrap().try_into().unwrap();
    let iv = random::bytes();
    json!({ "encryptedData": STANDARD.encode(ciphertext::<P>(key, iv, plaintext)), "iv": STANDARD.encode(iv) })
}

/// AES-128-CBC.
pub fn ciphertext<P: Padding>(key: Block, iv: Block, plaintext: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes128>::new(&key.into(), &iv.into()).encrypt_padded_vec::<P>(plaintext)
}

/// AES-128-CBC with PKCS#7, back again.
pub fn plaintext(key: Block, iv: Block, ciphertext: &[u8]) -> Option<Vec<u8>> {
    cbc::Decryptor::<Aes128>::new(&key.into(), &iv.into()).decrypt_padded_vec::<Pkcs7>(ciphertext).ok()
}

/// SHA-1 as hexadecimal digits.
pub fn sha1(text: &str) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
