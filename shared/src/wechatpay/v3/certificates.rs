//! Platform certificates, as WeChat Pay gives them out. Source: WeChat Pay v3, "Download platform certificates".

use serde::Deserialize;

use super::AEAD_AES_256_GCM;
use crate::clock::Timestamp;
use crate::json::Object;
use crate::wechatpay::keyring::{Certificate, X509};
use crate::wechatpay::{ApiV3Key, Keyring};

/// Certificates that are taken in one answer. There is one, and for a while two when it is replaced.
const MOST_CERTIFICATES: usize = 20;

/// Hexadecimal digits of a serial number. Source: RFC 5280, 4.1.2.2: 20 octets.
const LONGEST_SERIAL: usize = 40;

/// A certificate as it came, encrypted. It is kept so, and opened each time it is read: what opens with the APIv3 key
/// was made by WeChat Pay or by the merchant, because nobody else knows that key, and so nobody who can write to the
/// table and does not know it can add a key that payments are believed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformCertificate {
    /// What `Wechatpay-Serial` calls it.
    pub serial: String,
    /// When WeChat Pay may begin to sign with it, as it says.
    pub effective_at: Timestamp,
    /// When it ends, as WeChat Pay says.
    pub expires_at: Timestamp,
    /// How it is encrypted.
    pub nonce: String,
    /// What it is encrypted with, beside the nonce.
    pub associated_data: String,
    /// The certificate in PEM, encrypted, in base64.
    pub ciphertext: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Object<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    serial_no: String,
    effective_time: String,
    expire_time: String,
    encrypt_certificate: Object<Encrypted>,
}

#[derive(Deserialize)]
struct Encrypted {
    algorithm: String,
    nonce: String,
    associated_data: Option<String>,
    ciphertext: String,
}

/// What is in the encryption.
pub(super) enum Opened {
    /// A certificate to check signatures with.
    Rsa(Certificate),
    /// A certificate of another kind.
    Other,
}

/// Certificates of an answer that nothing is wrong with.
pub(super) struct Listed {
    pub(super) kept: Vec<PlatformCertificate>,
    pub(super) certificates: Vec<Certificate>,
}

impl PlatformCertificate {
    /// Opens it. `None` if it does not decrypt, or is another certificate than it is called.
    pub(super) fn open(&self, key: &ApiV3Key) -> Option<Opened> {
        let plaintext = key.open(&self.ciphertext, &self.nonce, &self.associated_data)?;
        // What cannot be read is rightly encrypted, so it is WeChat Pay's, of a kind that is not known here.
        let Some(X509 { serial, key: Some(key) }) = X509::from_pem(&plaintext) else { return Some(Opened::Other) };
        let is_called_so = self.serial.trim_start_matches('0').eq_ignore_ascii_case(&serial);
        let certificate = || Certificate { serial: self.serial.clone(), key, expires_at: self.expires_at };
        is_called_so.then(|| Opened::Rsa(certificate()))
    }
}

impl From<Entry> for Option<PlatformCertificate> {
    /// `None` if it is not as documented.
    fn from(entry: Entry) -> Self {
        let Object(encrypted) = entry.encrypt_certificate;
        Some(PlatformCertificate {
            effective_at: Timestamp::parse_rfc3339(&entry.effective_time)?,
            expires_at: Timestamp::parse_rfc3339(&entry.expire_time)?,
            serial: Some(entry.serial_no).filter(|serial| is_serial(serial))?,
            nonce: encrypted.nonce,
            associated_data: encrypted.associated_data.unwrap_or_default(),
            ciphertext: encrypted.ciphertext,
        })
    }
}

/// Whether a text is the serial number of a certificate, and not the id of a public key.
pub(super) fn is_serial(text: &str) -> bool {
    (1..=LONGEST_SERIAL).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The certificates in an answer, of which not even the signature has been looked at: it may be signed with one of them.
/// Those that are encrypted in another way, or are for another kind of signature, are left out. `None` if any other is
/// not as it should be, or there is none.
pub(super) fn listed(body: &[u8], key: &ApiV3Key) -> Option<Listed> {
    let Object(Answer { data }) = serde_json::from_slice(body).ok()?;
    if data.len() > MOST_CERTIFICATES {
        return None;
    }
    let mut listed = Listed { kept: Vec::new(), certificates: Vec::new() };
    for Object(entry) in data {
        if entry.encrypt_certificate.0.algorithm != AEAD_AES_256_GCM {
            continue;
        }
        let certificate = Option::<PlatformCertificate>::from(entry)?;
        match certificate.open(key)? {
            // Listed twice.
            Opened::Rsa(_) if listed.kept.iter().any(|other| other.serial == certificate.serial) => {}
            Opened::Rsa(opened) => {
                listed.certificates.push(opened);
                listed.kept.push(certificate);
            }
            Opened::Other => {
                tracing::warn!(
                    serial = certificate.serial,
                    "a certificate of WeChat Pay's is of a kind that is not known"
                );
            }
        }
    }
    (!listed.kept.is_empty()).then_some(listed)
}

impl Keyring {
    /// From now on the certificates are those of these that open.
    pub(super) fn learn(&self, certificates: &[PlatformCertificate], key: &ApiV3Key) {
        let opened = certificates.iter().filter_map(|certificate| match certificate.open(key)? {
            Opened::Rsa(certificate) => Some(certificate),
            Opened::Other => None,
        });
        self.set_certificates(opened.collect());
    }
}
