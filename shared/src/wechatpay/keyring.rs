//! The keys that WeChat Pay signs with.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;
use webpki::{EndEntityCert, Error, RawPublicKeyEntity};

use crate::clock::Timestamp;
use crate::hex::hex;

/// Bytes that an RSA key of 2048 bits has at least: its modulus alone has as many. WeChat Pay's have 2048 bits.
const SHORTEST_KEY: usize = 256;

/// A key that signatures of WeChat Pay are checked with: RSA, from 2048 to 8192 bits.
#[derive(Clone)]
pub struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// Reads a key in PEM (`BEGIN PUBLIC KEY`), as the merchant platform gives it out.
    pub fn from_pem(pem: &str) -> Option<Self> {
        Self::from_spki(SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    fn from_spki(spki: SubjectPublicKeyInfoDer<'static>) -> Option<Self> {
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

/// What an X.509 certificate says, as far as it is used here: nobody follows a chain. That it is WeChat Pay's is known
/// by the way in which it came.
pub(super) struct X509 {
    /// The serial number in hexadecimal digits of upper case, without zeros in front.
    pub(super) serial: String,
    /// The key, if it is one that signatures can be checked with.
    pub(super) key: Option<PublicKey>,
}

impl X509 {
    /// Reads a certificate in PEM (`BEGIN CERTIFICATE`).
    pub(super) fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = EndEntityCert::try_from(&der).ok()?;
        let serial = hex(certificate.serial()).trim_start_matches('0').to_uppercase();
        Some(Self { serial, key: PublicKey::from_spki(certificate.subject_public_key_info()) })
    }
}

/// A platform certificate: its key, and how long it counts.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What `Wechatpay-Serial` calls it.
    pub serial: String,
    /// The key.
    pub key: PublicKey,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The keys that WeChat Pay may sign with, each under what `Wechatpay-Serial` calls it: the id of a public key, or the
/// serial number of a platform certificate. While a merchant changes from one to the other, WeChat Pay uses both.
///
/// A clone is the same keyring: the certificates that one learns, all know.
#[derive(Clone)]
pub struct Keyring {
    configured: Vec<(String, PublicKey)>,
    certificates: Arc<RwLock<Vec<Certificate>>>,
}

impl Keyring {
    /// The keys of these serials, which always count.
    pub fn new(keys: impl IntoIterator<Item = (String, PublicKey)>) -> Self {
        Self { configured: keys.into_iter().collect(), certificates: Arc::default() }
    }

    /// From now on these are the certificates, and no others.
    pub fn set_certificates(&self, certificates: Vec<Certificate>) {
        *self.certificates.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Another keyring, with these certificates beside the keys of this one.
    pub(super) fn beside(&self, certificates: impl IntoIterator<Item = Certificate>) -> Self {
        let all = self.known().into_iter().chain(certificates).collect();
        Self { configured: self.configured.clone(), certificates: Arc::new(RwLock::new(all)) }
    }

    /// The key of exactly this serial.
    pub(super) fn find(&self, serial: &str, now: Timestamp) -> Option<PublicKey> {
        let configured = self.configured.iter().find(|(other, _)| other == serial).map(|(_, key)| key.clone());
        let certificate = |other: &Certificate| other.serial == serial && now < other.expires_at;
        configured.or_else(|| self.known().into_iter().find(certificate).map(|certificate| certificate.key))
    }

    fn known(&self) -> Vec<Certificate> {
        self.certificates.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.known();
        let certificates = certificates.iter().map(|certificate| &certificate.serial);
        f.debug_list().entries(self.configured.iter().map(|(serial, _)| serial)).entries(certificates).finish()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}
