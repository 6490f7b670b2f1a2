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

/// What the id of every public key of WeChat Pay begins with. Source: WeChat Pay v3, "WeChat Pay public key".
pub(super) const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_";

/// Characters of an id that may be shown. Real ones have 39 to 44.
const LONGEST_SHOWN_ID: usize = 64;

/// The id of a public key of WeChat Pay's, as `Wechatpay-Serial` names it: fit to be shown, also a stranger's. It has digits
/// alone behind what every id begins with, so a stranger writes no text into the log. Source: WeChat Pay v3, "WeChat Pay
/// public key".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyId(String);

impl PublicKeyId {
    /// The id in a text, if it is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PUBLIC_KEY_ID)?;
        let is_id = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        (is_id && text.len() <= LONGEST_SHOWN_ID).then(|| Self(text.to_owned()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
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

    /// Whether there is a public key beside the certificates.
    pub(super) fn has_public_key(&self) -> bool {
        !self.configured.is_empty()
    }

    /// Whether nothing can be verified with it.
    pub(super) fn is_empty(&self, now: Timestamp) -> bool {
        !self.has_public_key() && self.known().iter().all(|certificate| certificate.expires_at <= now)
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A certificate of an elliptic curve, made for this test.
    const EC: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBczCCARmgAwIBAgIUCkVsQKwKAqZEo4F4/1fIcMXd42AwCgYIKoZIzj0EAwIw\n\
        DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjExNTA1MzNaFw0zNjExMTgxNTA1MzNa\n\
        MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQuESFS\n\
        gowqMu5jpe0BHzMhSkRxhQf7UP1HPXAdKOhrhwoMK9YeJakFnxZFCoy8KXd2l9Ci\n\
        eV4cFihDUCSbMN58o1MwUTAdBgNVHQ4EFgQUoj6KIlPEjgQjACvOVM+UgXvbIzYw\n\
        HwYDVR0jBBgwFoAUoj6KIlPEjgQjACvOVM+UgXvbIzYwDwYDVR0TAQH/BAUwAwEB\n\
        /zAKBggqhkjOPQQDAgNIADBFAiEAyxL6MdfNZio6pBrwBqMzCSONwTaqJ66L9GNN\n\
        iLrLylwCICq2RclbwohTJws9ydC8nyf4SmwuUGXzCY8DmQ995bc7\n\
        -----END CERTIFICATE-----\n";
    /// One of a key of 1024 bits, made for this test.
    const SHORT: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIB+jCCAWOgAwIBAgIUfGVJII7iEP2xGOMhYtXItIsIzcIwDQYJKoZIhvcNAQEL\n\
        BQAwDzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjExNTA1MzNaFw0zNjExMTgxNTA1\n\
        MzNaMA8xDTALBgNVBAMMBHRlc3QwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGB\n\
        ALvoYtlN9upl4o5DbyYFUuQd3BdYdd/QUadXDofJXUieTphwTAWBd+xC2ZTiqirt\n\
        4Usc71iyJq5EPEhkUqGZj8tlJ1rWheJ194y9p/cJS0T1dh3skq7Z31yvdu6PA4FX\n\
        lCNHe2RSQRsg5JdvmGkR8UVXq/mISNg4fWeX6pPPMDKdAgMBAAGjUzBRMB0GA1Ud\n\
        DgQWBBSv5IwDG7m9/+RRGk+UexasyWKSBTAfBgNVHSMEGDAWgBSv5IwDG7m9/+RR\n\
        Gk+UexasyWKSBTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAFcO\n\
        ktawk7XV5U6BJYZg0Sg4CzCn+OlM2NwU+eir6zVHxmNz6E0+QforMfkzZh/C3FXZ\n\
        xxOt7WulmZ0XmjXd13Zi0bPKnXJYqFyDLxesBOAELeNUaJZ6F84YpR7Eo6MJAJ+G\n\
        DLDSn+lyPFAdSpWdfHGhXlcG+mRfcQuBdG3xtoay\n\
        -----END CERTIFICATE-----\n";

    const SERIAL: &str = "D7CE59D1F522D701";
    const NOW: Timestamp = Timestamp::from_secs(1_722_850_421);

    /// The published certificate of WeChat Pay's examples.
    fn published() -> String {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/pay_v3.json")).unwrap();
        vectors["keys"]["platform_certificate"].as_str().unwrap().to_owned()
    }

    fn certificate(serial: &str, expires_at: u64) -> Certificate {
        let key = X509::from_pem(published().as_bytes()).unwrap().key.unwrap();
        Certificate { serial: serial.to_owned(), key, expires_at: Timestamp::from_secs(expires_at) }
    }

    #[test]
    fn a_certificate_says_its_serial_number_and_its_key() {
        let published = X509::from_pem(published().as_bytes()).unwrap();
        assert_eq!((published.serial.as_str(), published.key.is_some()), (SERIAL, true));
        for other in [EC, SHORT] {
            assert!(X509::from_pem(other.as_bytes()).unwrap().key.is_none());
        }
        for none in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(X509::from_pem(none.as_bytes()).is_none(), "{none:?}");
        }
    }

    #[test]
    fn a_certificate_counts_until_it_ends_and_by_its_whole_serial() {
        let keyring = Keyring::new([]);
        keyring.set_certificates(vec![certificate(SERIAL, NOW.as_secs() + 1), certificate("ENDED", NOW.as_secs())]);
        assert!(keyring.find(SERIAL, NOW).is_some());
        for serial in ["ENDED", "", "D7CE59D1F522D70", "d7ce59d1f522d701", "0D7CE59D1F522D701"] {
            assert!(keyring.find(serial, NOW).is_none(), "{serial:?}");
        }
    }

    #[test]
    fn a_clone_is_the_same_keyring_and_what_is_put_beside_it_is_not() {
        let keyring = Keyring::new([("PUB_KEY_ID_1".to_owned(), certificate("", 0).key)]);
        let clone = keyring.clone();
        keyring.set_certificates(vec![certificate("1", u64::MAX)]);
        let beside = clone.beside([certificate("2", u64::MAX)]);
        let known = |keyring: &Keyring| ["PUB_KEY_ID_1", "1", "2"].map(|serial| keyring.find(serial, NOW).is_some());
        assert_eq!((known(&clone), known(&beside)), ([true, true, false], [true, true, true]));
        clone.set_certificates(Vec::new());
        assert_eq!(known(&keyring), [true, false, false]);
    }

    #[test]
    fn a_keyring_shows_serials_and_no_keys() {
        let keyring = Keyring::new([("PUB_KEY_ID_1".to_owned(), certificate("", 0).key)]);
        keyring.set_certificates(vec![certificate(SERIAL, u64::MAX)]);
        assert_eq!(format!("{keyring:?}"), r#"["PUB_KEY_ID_1", "D7CE59D1F522D701"]"#);
        assert!(format!("{:?}", certificate("1", 0)).contains("key: PublicKey,"));
    }
}
