//! WeChat Pay's signatures, under its answers and its notifications.

use shared::clock::Timestamp;
use shared::random;

use super::tamper::Tamper;
use crate::pay_keys::PayKeys;
use crate::rsa_key::RsaKey;

/// The signature's way, as its header says.
const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";

/// What a signature of WeChat Pay's own tests begins with. It is never right.
const SIGNTEST: &str = "WECHATPAY/SIGNTEST/";

/// Beyond the five minutes for which a signature is taken.
const OUT_OF_TIME_SECS: u64 = 360;

/// A body, and the headers that go with it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Which of WeChat Pay's keys signs.
pub(super) enum Signatory {
    /// The one whose certificate a merchant could download.
    Platform,
    /// The one that the merchant has.
    PublicKey,
}

impl Signatory {
    pub(super) fn sign(&self, keys: &PayKeys, body: String, now: Timestamp, tamper: Option<Tamper>) -> Signed {
        match self {
            Self::Platform => sign_with(&keys.platform, keys.platform.serial_no(), body, now.as_secs(), tamper),
            Self::PublicKey => sign(keys, body, now.as_secs(), tamper),
        }
    }
}

/// Signs with the key that the merchant has.
pub(crate) fn sign(keys: &PayKeys, body: String, time: u64, tamper: Option<Tamper>) -> Signed {
    sign_with(&keys.wechat_pay, keys.wechat_pay.public_key_id(), body, time, tamper)
}

fn sign_with(key: &RsaKey, serial: String, mut body: String, time: u64, tamper: Option<Tamper>) -> Signed {
    let time = match tamper {
        Some(Tamper::Timestamp) => time.saturating_sub(OUT_OF_TIME_SECS),
        Some(Tamper::FutureTimestamp) => time.saturating_add(OUT_OF_TIME_SECS),
        _ => time,
    };
    let nonce = random::alphanumeric(32);
    let signature = key.sign(format!("{time}\n{nonce}\n{body}\n").as_bytes());
    let signature = match tamper {
        Some(Tamper::Signature) => another(&signature),
        Some(Tamper::Signtest) => format!("{SIGNTEST}{}", signature.get(SIGNTEST.len()..).unwrap_or_default()),
        _ => signature,
    };
    if tamper == Some(Tamper::Body) {
        body.push(' '); // The same JSON, and not the same bytes.
    }
    let mut headers = vec![
        ("Wechatpay-Timestamp", time.to_string()),
        ("Wechatpay-Nonce", if tamper == Some(Tamper::Nonce) { random::alphanumeric(32) } else { nonce }),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Serial", if tamper == Some(Tamper::Serial) { unknown_serial() } else { serial }),
        ("Wechatpay-Signature-Type", SIGNATURE_TYPE.to_owned()),
    ];
    if tamper == Some(Tamper::Missing) {
        headers.clear();
    }
    Signed { headers, body }
}

/// Base64 of as many bytes, of which the first is another.
fn another(signature: &str) -> String {
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    std::iter::once(first).chain(signature.chars().skip(1)).collect()
}

fn unknown_serial() -> String {
    format!("PUB_KEY_ID_01{}", random::digits(26))
}
