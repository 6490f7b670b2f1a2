//! RSA keys, of the merchant and of WeChat Pay.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, SerialNumber, date_time_ymd};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use shared::clock::Timestamp;

const BITS: usize = 2048;

/// Bytes of a serial number.
const SERIAL_LEN: usize = 20;

/// A key that is made when it is used for the first time, if it was not kept.
pub(crate) type LazyKey = LazyLock<RsaKey, Box<dyn FnOnce() -> RsaKey + Send>>;

/// A private key, and the public one that goes with it.
pub(crate) struct RsaKey {
    /// PKCS#8.
    pub(crate) pem: String,
    /// SPKI.
    pub(crate) public_pem: String,
    pair: RsaKeyPair,
}

impl RsaKey {
    #[expect(clippy::expect_used, reason = "a key that was just made can be written down, and read")]
    pub(crate) fn random() -> Self {
        let key = RsaPrivateKey::new(&mut OsRng, BITS).expect("a key of 2048 bits can be made");
        Self::new(&key).expect("the key is one")
    }

    pub(crate) fn parse(pem: &str) -> Option<Self> {
        Self::new(&RsaPrivateKey::from_pkcs8_pem(pem).ok()?)
    }

    fn new(key: &RsaPrivateKey) -> Option<Self> {
        Some(Self {
            pem: key.to_pkcs8_pem(LineEnding::LF).ok()?.to_string(),
            public_pem: key.to_public_key().to_public_key_pem(LineEnding::LF).ok()?,
            pair: RsaKeyPair::from_pkcs8(key.to_pkcs8_der().ok()?.as_bytes()).ok()?,
        })
    }

    /// `SHA256withRSA`, as base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        #[expect(clippy::expect_used, reason = "the signature is as long as the modulus")]
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("a key signs");
        STANDARD.encode(signature)
    }

    /// Whether this key has made a signature, which is base64.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key());
        STANDARD.decode(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }

    /// The serial number of the certificate of this key, as WeChat Pay writes it: derived, so that it need not be kept.
    pub(crate) fn serial_no(&self) -> String {
        self.serial().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// As a certificate has it: a positive number of at most 20 bytes. Source: RFC 5280, 4.1.2.2.
    fn serial(&self) -> [u8; SERIAL_LEN] {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.public_pem.as_bytes());
        let mut serial: [u8; SERIAL_LEN] = digest.as_ref().first_chunk().copied().unwrap_or_default();
        serial[0] = serial[0] & 0x3F | 0x40; // Neither negative nor shorter.
        serial
    }

    /// The certificate of this key, in PEM. The same key and times make the same certificate. It is issued by itself:
    /// what trusts it is that it came encrypted with the APIv3 key.
    #[expect(clippy::expect_used, reason = "a key that was read once can be read again, and signs")]
    pub(crate) fn certificate(&self, effective_at: Timestamp, expires_at: Timestamp) -> String {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "WeChat Pay of the sandbox");
        let time = |time: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.as_secs());
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&self.serial()));
        params.distinguished_name = name;
        (params.not_before, params.not_after) = (time(effective_at), time(expires_at));
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&self.pem, &PKCS_RSA_SHA256).expect("the key is one of RSA");
        params.self_signed(&key).expect("the key signs").pem()
    }

    /// The id that this key has in WeChat Pay's public key mode, derived as well.
    pub(crate) fn public_key_id(&self) -> String {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.public_pem.as_bytes());
        let number = digest.as_ref().first_chunk::<8>().copied().map_or(0, u64::from_be_bytes);
        format!("PUB_KEY_ID_01{number:026}")
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey")
    }
}
