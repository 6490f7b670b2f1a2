//! WeChat Pay's signatures, under its answers and its notifications.

use std::sync::Arc;

use shared::random;

use super::tamper::Tamper;
use crate::pay_keys::{KeyMode, PayKeys};
use crate::rsa_key::LazyKey;

/// The signature's way, as its header says.
const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";

/// What the ids of public keys begin with.
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_";

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

/// One of WeChat Pay's keys, and what a merchant knows it by.
pub(crate) struct Signatory {
    key: Arc<LazyKey>,
    serial: String,
}

impl Signatory {
    /// The one that has an id.
    pub(super) fn public_key(keys: &PayKeys) -> Self {
        Self { key: Arc::clone(&keys.wechat_pay), serial: keys.wechat_pay.public_key_id() }
    }

    /// One that the merchant knows from the start, or can ask for.
    pub(crate) fn known(keys: &PayKeys) -> Self {
        match keys.mode {
            KeyMode::Certificates => Self::certified(&keys.platform),
            KeyMode::Both | KeyMode::PublicKey => Self::public_key(keys),
        }
    }

    /// One that has a certificate.
    pub(super) fn certified(key: &Arc<LazyKey>) -> Self {
        Self { key: Arc::clone(key), serial: key.serial_no() }
    }

    /// Signs a body at a time, with one thing wrong.
    pub(crate) fn sign(&self, body: String, time: u64, tamper: Option<Tamper>) -> Signed {
        sign_with(self, body, time, tamper)
    }

    /// What somebody else's key would be known by.
    fn another_serial(&self) -> String {
        if self.serial.starts_with(PUBLIC_KEY_ID) {
            return format!("{PUBLIC_KEY_ID}01{}", random::digits(26));
        }
        random::bytes::<20>().iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

fn sign_with(signatory: &Signatory, mut body: String, time: u64, tamper: Option<Tamper>) -> Signed {
    let time = match tamper {
        Some(Tamper::Timestamp) => time.saturating_sub(OUT_OF_TIME_SECS),
        Some(Tamper::FutureTimestamp) => time.saturating_add(OUT_OF_TIME_SECS),
        _ => time,
    };
    let nonce = random::alphanumeric(32);
    let signature = signatory.key.sign(format!("{time}\n{nonce}\n{body}\n").as_bytes());
    let signature = match tamper {
        Some(Tamper::Signature) => another(&signature),
        Some(Tamper::Signtest) => format!("{SIGNTEST}{}", signature.get(SIGNTEST.len()..).unwrap_or_default()),
        _ => signature,
    };
    if tamper == Some(Tamper::Body) {
        body.push(' '); // The same JSON, and not the same bytes.
    }
    let serial = if tamper == Some(Tamper::Serial) { signatory.another_serial() } else { signatory.serial.clone() };
    let mut headers = vec![
        ("Wechatpay-Timestamp", time.to_string()),
        ("Wechatpay-Nonce", if tamper == Some(Tamper::Nonce) { random::alphanumeric(32) } else { nonce }),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Serial", serial),
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
