//! The keys that WeChat Pay signs with.

use std::fmt;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;
use webpki::{Error, RawPublicKeyEntity};

/// Bytes that an RSA key of 2048 bits has at least: its modulus alone has as many. WeChat Pay's have 2048 bits.
const SHORTEST_KEY: usize = 256;

/// A key that signatures of WeChat Pay are checked with: RSA, from 2048 to 8192 bits.
#[derive(Clone)]
pub struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// Reads a key in PEM (`BEGIN PUBLIC KEY`), as the merchant platform gives it out.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
        let long_enough = spki.as_ref().len() > SHORTEST_KEY;
        // Whether it is a key of RSA shows when it is used. No key verifies this signature.
        let probe = RawPublicKeyEntity::try_from(&spki).ok()?.verify_signature(RSA_PKCS1_2048_8192_SHA256, b"", b"");
        let is_rsa = matches!(probe, Err(Error::InvalidSignatureForPublicKey));
        (is_rsa && long_enough).then_some(Self(spki))
    }

    /// Whether `signature` is that of `message`: RSASSA-PKCS1-v1_5 with SHA-256.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RawPublicKeyEntity::try_from(&self.0);
        key.is_ok_and(|key| key.verify_signature(RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
    }
}

/// The keys that WeChat Pay may sign with, each under what `Wechatpay-Serial` calls it: the id of a public key, or the
/// serial number of a platform certificate. While a merchant changes from one to the other, WeChat Pay uses both.
#[derive(Clone)]
pub struct Keyring(Vec<(String, PublicKey)>);

impl Keyring {
    /// The keys of these serials.
    pub fn new(keys: impl IntoIterator<Item = (String, PublicKey)>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The key of exactly this serial.
    pub(super) fn find(&self, serial: &str) -> Option<&PublicKey> {
        self.0.iter().find(|(other, _)| other == serial).map(|(_, key)| key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(serial, _)| serial)).finish()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}
