//! Sealing: authenticated encryption of what is kept in the table.
//!
//! A sealed value is `0x01 || salt (32 bytes) || ciphertext || tag (16 bytes)`. Every value has a key of its own,
//! HKDF-SHA256 of the configured key and the random salt, so AES-256-GCM is used once per key and its nonce is zero:
//! no number of values wears a configured key out. The place where the value is kept is authenticated with it, so a
//! value that was moved to another row does not open.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};

use crate::random;
use crate::secret::Secret;

const VERSION: u8 = 1;
const SALT_LEN: usize = 32;

/// Separates the keys made here from any other use of the same configured text.
const EXTRACT_SALT: &[u8] = b"wechat-functions/seal";
const VALUE_LABEL: &[u8] = b"value";
const BOUND_LABEL: &[u8] = b"bound";

/// The configured keys: the first seals, every one opens.
pub struct Sealer {
    keys: Vec<Prk>,
}

/// The parsed value of `SEAL_KEY` has a text that is too short, or none at all.
#[derive(Debug, thiserror::Error)]
#[error("every key must have at least {} characters", Sealer::MIN_KEY_CHARS)]
pub struct InvalidSealKey;

impl Sealer {
    /// The shortest text that makes a key: 256 bits as base64 without padding.
    pub const MIN_KEY_CHARS: usize = 43;

    /// Reads the value of `SEAL_KEY`: one or more texts, separated by commas.
    ///
    /// # Errors
    ///
    /// If a text is shorter than [`Self::MIN_KEY_CHARS`].
    pub fn parse(keys: &Secret) -> Result<Self, InvalidSealKey> {
        let salt = Salt::new(HKDF_SHA256, EXTRACT_SALT);
        let extract = |text: &str| {
            let text = text.trim();
            let long_enough = text.chars().count() >= Self::MIN_KEY_CHARS;
            long_enough.then(|| salt.extract(text.as_bytes())).ok_or(InvalidSealKey)
        };
        let keys = keys.expose().split(',').map(extract).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// A sealer whose keys need `secret` as well: without it, the configured keys open nothing that it sealed.
    pub fn bound_to(&self, secret: &[u8]) -> Self {
        let salt = Salt::new(HKDF_SHA256, EXTRACT_SALT);
        let bind = |key: &Prk| salt.extract(&expand(key, &[BOUND_LABEL, secret]));
        Self { keys: self.keys.iter().map(bind).collect() }
    }

    /// Seals `plaintext` for the place that `context` names.
    pub fn seal(&self, plaintext: &[u8], context: &str) -> Vec<u8> {
        let salt: [u8; SALT_LEN] = random::bytes();
        let mut body = plaintext.to_vec();
        #[expect(clippy::expect_used, reason = "`parse` makes at least one key, and AES-GCM takes up to 64 GiB")]
        value_key(self.keys.first().expect("at least one key"), &salt)
            .seal_in_place_append_tag(zero_nonce(), Aad::from(context.as_bytes()), &mut body)
            .expect("the value is short enough");
        [&[VERSION], salt.as_slice(), &body].concat()
    }

    /// Opens what was sealed for the place that `context` names; `None` if none of the keys opens it there.
    pub fn open(&self, sealed: &[u8], context: &str) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        let (salt, body) = rest.split_first_chunk::<SALT_LEN>()?;
        if version != VERSION {
            return None;
        }
        self.keys.iter().find_map(|key| {
            let mut body = body.to_vec();
            let aad = Aad::from(context.as_bytes());
            let plaintext = value_key(key, salt).open_in_place(zero_nonce(), aad, &mut body).ok()?;
            Some(plaintext.to_vec())
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} keys)", self.keys.len())
    }
}

fn value_key(key: &Prk, salt: &[u8; SALT_LEN]) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "32 bytes are the length of an AES-256 key")]
    let key = UnboundKey::new(&AES_256_GCM, &expand(key, &[VALUE_LABEL, salt])).expect("32 bytes");
    LessSafeKey::new(key)
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn expand(key: &Prk, info: &[&[u8]]) -> [u8; 32] {
    let mut okm = [0; 32];
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    key.expand(info, HKDF_SHA256).and_then(|okm_source| okm_source.fill(&mut okm)).expect("32 bytes");
    okm
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old-old-old-old-old-old-old-old-old-old-old";
    const NEW: &str = "new-new-new-new-new-new-new-new-new-new-new";

    fn sealer(keys: &str) -> Sealer {
        Sealer::parse(&Secret::new(keys)).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let sealed = sealer(OLD).seal(b"session_key", "SESSION#1");
        assert_eq!(sealer(OLD).open(&sealed, "SESSION#1").as_deref(), Some(&b"session_key"[..]));
        assert_eq!(sealer(OLD).open(&sealed, "SESSION#2"), None);
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let rotated = format!("{NEW},{OLD}");
        let before = sealer(OLD).seal(b"x", "row");
        let after = sealer(&rotated).seal(b"x", "row");
        assert!(sealer(&rotated).open(&before, "row").is_some());
        assert!(sealer(NEW).open(&after, "row").is_some());
        assert!(sealer(OLD).open(&after, "row").is_none());
    }

    #[test]
    fn a_changed_bit_anywhere_does_not_open() {
        let sealed = sealer(OLD).seal(b"x", "row");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer(OLD).open(&changed, "row"), None, "byte {at}");
        }
        for len in 0..sealed.len() {
            assert_eq!(sealer(OLD).open(&sealed[..len], "row"), None, "first {len} bytes");
        }
    }

    #[test]
    fn a_bound_sealer_needs_the_secret_too() {
        let sealed = sealer(OLD).bound_to(b"code").seal(b"x", "row");
        assert_eq!(sealer(OLD).open(&sealed, "row"), None);
        assert_eq!(sealer(OLD).bound_to(b"other").open(&sealed, "row"), None);
        assert!(sealer(OLD).bound_to(b"code").open(&sealed, "row").is_some());
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        assert_ne!(sealer(OLD).seal(b"x", "row"), sealer(OLD).seal(b"x", "row"));
    }

    #[test]
    fn short_keys_are_refused() {
        for keys in ["", "short", &OLD[1..], &format!("{OLD},"), &format!("{OLD},short")] {
            assert!(Sealer::parse(&Secret::new(keys)).is_err(), "{keys}");
        }
    }
}
