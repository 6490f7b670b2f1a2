//! The merchant that this backend is paid as.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::Value;

use super::keyring::PUBLIC_KEY_ID;
use super::{ApiV3Key, Keyring, MchId, PublicKey};
use crate::json::Object;
use crate::secret::Secret;
use crate::wechat::is_visible_ascii;

/// Characters of an mchid. Source: WeChat Pay v3, "JSAPI order".
const LONGEST_MCH_ID: usize = 32;

/// Characters of a public key's id. Real ones have 39 to 44; it has to fit into a header.
const LONGEST_PUBLIC_KEY_ID: usize = 128;

/// Hexadecimal digits of the serial number of a certificate: 20 octets at most, and WeChat Pay's merchant certificates have
/// as many. Source: RFC 5280, 4.1.2.2; WeChat Pay v3, "How to view the serial number of a certificate". With less than 4
/// octets it is a slip.
const SERIAL_DIGITS: RangeInclusive<usize> = 8..=40;

/// A merchant that signs: who it is, what it signs with, and what WeChat Pay signs and encrypts with for it.
pub struct Merchant {
    verifier: Verifier,
    serial_no: String,
    private_key: KeyPair,
    signs: OnceLock<bool>,
}

/// A merchant that verifies alone: who it is, and what WeChat Pay signs and encrypts with for it. It cannot sign, because
/// it has no private key.
pub struct Verifier {
    mch_id: MchId,
    api_v3_key: ApiV3Key,
    public_key_id: Option<String>,
    keyring: Keyring,
}

/// The value of version 3. What signs may be absent, or be wrong, where nothing is signed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Value3 {
    mch_id: String,
    serial_no: Option<String>,
    private_key: Option<Secret>,
    api_v3_key: Secret,
    public_key_id: Option<String>,
    public_key: Option<String>,
    #[serde(rename = "mode")]
    _mode: Option<String>,
}

/// The value of another version has other fields, so this is looked at first.
#[derive(Deserialize)]
struct Mode {
    mode: Option<Value>,
}

impl Value3 {
    /// Reads the value of `WECHATPAY`.
    fn read(json: &Secret) -> Result<Self, InvalidMerchant> {
        // The error's own text could show a part of the value.
        let malformed =
            |err: serde_json::Error| InvalidMerchant::NotMerchant { line: err.line(), column: err.column() };
        let Object(Mode { mode }) = serde_json::from_str(json.expose()).map_err(malformed)?;
        match mode.as_ref().map(Value::as_str) {
            None | Some(Some("v3")) => {}
            Some(Some("v2")) => return Err(InvalidMerchant::Version2),
            Some(_) => return Err(InvalidMerchant::Mode),
        }
        let Object(value) = serde_json::from_str(json.expose()).map_err(malformed)?;
        Ok(value)
    }
}

impl Verifier {
    /// Reads the value of `WECHATPAY`. What signs in it is not looked at.
    ///
    /// # Errors
    ///
    /// If it is not a JSON object of a merchant, or another field of it is not what it should be.
    pub fn parse(json: &Secret) -> Result<Self, InvalidMerchant> {
        Self::of(Value3::read(json)?)
    }

    fn of(value: Value3) -> Result<Self, InvalidMerchant> {
        if !is_header_text(&value.mch_id, LONGEST_MCH_ID) {
            return Err(InvalidMerchant::MchId);
        }
        let public_key = match (value.public_key_id, value.public_key) {
            (Some(id), Some(key)) => Some(public_key(id, &key)?),
            (None, None) => None,
            _ => return Err(InvalidMerchant::HalfPublicKey),
        };
        Ok(Self {
            mch_id: MchId::new(value.mch_id),
            api_v3_key: ApiV3Key::new(value.api_v3_key.expose()).ok_or(InvalidMerchant::ApiV3Key)?,
            public_key_id: public_key.as_ref().map(|(id, _)| id.clone()),
            keyring: Keyring::new(public_key),
        })
    }

    /// The merchant's number.
    pub fn mch_id(&self) -> &MchId {
        &self.mch_id
    }

    /// The key of the configuration that WeChat Pay signs with, if there is one. Its certificates are in the table.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The key that WeChat Pay encrypts notifications with.
    pub fn api_v3_key(&self) -> &ApiV3Key {
        &self.api_v3_key
    }
}

impl Merchant {
    /// Reads the value of `WECHATPAY`.
    ///
    /// # Errors
    ///
    /// If it is not a JSON object of a merchant, or a field of it is not what it should be.
    pub fn parse(json: &Secret) -> Result<Self, InvalidMerchant> {
        let mut value = Value3::read(json)?;
        let private_pem = value.private_key.take().ok_or(InvalidMerchant::NoPrivateKey)?;
        let serial_no = value.serial_no.take().ok_or(InvalidMerchant::NoSerialNo)?;
        if !is_serial_no(&serial_no) {
            return Err(InvalidMerchant::SerialNo);
        }
        let private_key = private_key(&private_pem).ok_or(InvalidMerchant::PrivateKey)?;
        let serial_no = serial_no.to_ascii_uppercase();
        Ok(Self { verifier: Verifier::of(value)?, serial_no, private_key, signs: OnceLock::new() })
    }

    /// What verifies of it.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The merchant's number.
    pub fn mch_id(&self) -> &MchId {
        &self.verifier.mch_id
    }

    /// The serial number of the merchant's certificate, in hexadecimal digits of upper case, which WeChat Pay checks its
    /// signatures with.
    pub fn serial_no(&self) -> &str {
        &self.serial_no
    }

    /// The public key that WeChat Pay is to sign its answers with, which knows it by this name. Without one, it signs with
    /// a platform certificate.
    pub fn answers_signed_by(&self) -> Option<&str> {
        self.verifier.public_key_id.as_deref()
    }

    /// Whether the private key signs. It is tried once.
    pub fn signs(&self) -> bool {
        *self.signs.get_or_init(|| self.sign(b"").is_ok())
    }

    /// The merchant's signature of a message: RSASSA-PKCS1-v1_5 with SHA-256, in base64. The same each time.
    ///
    /// # Errors
    ///
    /// If the parts of the private key do not belong together, which shows only now: to look for it at the start would
    /// cost each start a signature, half a millisecond.
    pub fn sign(&self, message: &[u8]) -> Result<String, CannotSign> {
        let mut signature = vec![0; self.private_key.public().modulus_len()];
        let signed = self.private_key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| STANDARD.encode(signature)).map_err(|_| CannotSign)
    }
}

/// The parts of the private key do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key of the merchant does not sign")]
pub struct CannotSign;

/// A public key of WeChat Pay's and what it is called.
fn public_key(id: String, pem: &str) -> Result<(String, PublicKey), InvalidMerchant> {
    if !id.starts_with(PUBLIC_KEY_ID) || !is_header_text(&id, LONGEST_PUBLIC_KEY_ID) {
        return Err(InvalidMerchant::PublicKeyId);
    }
    let key = PublicKey::from_pem(pem).ok_or(InvalidMerchant::PublicKey)?;
    Ok((id, key))
}

/// Visible ASCII that does not end a quoted item of `Authorization`, nor look like two headers in one.
fn is_header_text(text: &str, longest: usize) -> bool {
    is_visible_ascii(text, longest) && !text.contains(['"', ',', '\\'])
}

/// Whether a text can be the serial number of a certificate: hexadecimal digits and nothing between them.
fn is_serial_no(text: &str) -> bool {
    SERIAL_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A key of RSA from 2048 to 4096 bits, in PKCS#8 (what the merchant platform makes) or PKCS#1.
fn private_key(pem: &Secret) -> Option<KeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).ok()? {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        _ => None,
    }
}

impl fmt::Debug for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merchant").field("mch_id", self.mch_id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("mch_id", &self.mch_id).finish_non_exhaustive()
    }
}

/// What is wrong with the value of `WECHATPAY`, without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidMerchant {
    #[error("apiV3Key has to have exactly 32 bytes")]
    ApiV3Key,
    #[error("publicKeyId and publicKey go together; set both, or none where there are platform certificates only")]
    HalfPublicKey,
    #[error("mchId has to be 1 to 32 visible ASCII characters without `\"`, `,` and `\\`")]
    MchId,
    #[error("mode has to be v3, or absent")]
    Mode,
    #[error("privateKey is missing, and this function signs: only pay-notify does without")]
    NoPrivateKey,
    #[error("serialNo is missing, and this function signs: only pay-notify does without")]
    NoSerialNo,
    #[error(
        r#"expected a JSON object {{"mchId","serialNo","privateKey","apiV3Key","publicKeyId","publicKey"}} of texts (line {line}, column {column})"#
    )]
    NotMerchant { line: usize, column: usize },
    #[error("privateKey has to be an RSA key of 2048 to 4096 bits in PEM (PKCS#8 or PKCS#1)")]
    PrivateKey,
    #[error("publicKey has to be an RSA key of at least 2048 bits in PEM (BEGIN PUBLIC KEY)")]
    PublicKey,
    #[error("publicKeyId has to begin with PUB_KEY_ID_, and be visible ASCII without `\"`, `,` and `\\`")]
    PublicKeyId,
    #[error("serialNo has to be the serial number of the merchant's certificate: 8 to 40 hexadecimal digits")]
    SerialNo,
    #[error("mode v2 is not supported yet")]
    Version2,
}
