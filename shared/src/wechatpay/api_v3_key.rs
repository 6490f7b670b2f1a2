//! The key that WeChat Pay encrypts with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The APIv3 key, which a merchant sets on the platform: AES-256-GCM with its 32 bytes as they are.
/// Source: WeChat Pay v3, "Decrypt the notification".
#[derive(Clone)]
pub struct ApiV3Key(LessSafeKey);

impl ApiV3Key {
    /// A key of 32 bytes. Those are all that AES-256 takes: a shorter one is none.
    pub fn new(text: &str) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, text.as_bytes()).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// Opens a base64 text of ciphertext and tag. `None`, whatever does not fit.
    pub fn open(&self, ciphertext: &str, nonce: &str, associated_data: &str) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
        let mut body = STANDARD.decode(ciphertext).ok()?;
        let length = self.0.open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

impl fmt::Debug for ApiV3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiV3Key")
    }
}
