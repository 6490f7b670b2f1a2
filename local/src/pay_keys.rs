//! The merchant of the local machine, and the WeChat Pay that it is a merchant of: their keys.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::random;

use crate::private_file::write_private;
use crate::rsa_key::{LazyKey, RsaKey};

/// The merchant's number.
pub const MCH_ID: &str = "1900000001";

/// The names of the keys where they are kept.
const MERCHANT: &str = "merchantKey";
const WECHAT_PAY: &str = "wechatPayKey";
const PLATFORM: &str = "platformKey";
const API_V3: &str = "apiV3Key";

/// What else is written for sample events: which of them the functions know.
const MODE: &str = "mode";

const API_V3_LEN: usize = 32;

/// Which of WeChat Pay's keys the merchant has. Source: 平台证书切换微信支付公钥指引.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum KeyMode {
    /// The public key with an id, as every merchant has who is new.
    #[default]
    PublicKey,
    /// Platform certificates.
    Certificates,
    /// Both, while a merchant changes from certificates to the public key.
    Both,
}

/// What the merchant and WeChat Pay know: each other's public keys, their own private ones, and the APIv3 key.
#[derive(Clone)]
pub struct PayKeys {
    pub(crate) merchant: Arc<LazyKey>,
    /// WeChat Pay's, known to the merchant as the public key with an id.
    pub(crate) wechat_pay: Arc<LazyKey>,
    /// The other one of WeChat Pay's, which has the first platform certificate.
    pub(crate) platform: Arc<LazyKey>,
    pub(crate) api_v3: String,
    /// Those that the merchant has at the start. It is not kept with the table.
    pub(crate) mode: KeyMode,
}

impl PayKeys {
    /// New ones. Making RSA keys takes long, so those are made when they are needed, and are the same in all of this
    /// process.
    pub(crate) fn random() -> Self {
        static MADE: LazyLock<[Arc<LazyKey>; 3]> = LazyLock::new(|| [(); 3].map(|()| lazy()));
        let [merchant, wechat_pay, platform] = MADE.clone();
        Self { merchant, wechat_pay, platform, api_v3: random::alphanumeric(API_V3_LEN), mode: KeyMode::default() }
    }

    /// Those that were kept, and new ones for those that are not there.
    ///
    /// # Errors
    ///
    /// If one of them is damaged.
    pub(crate) fn kept(keys: &BTreeMap<String, String>) -> io::Result<Self> {
        let damaged = |name: &str| io::Error::other(format!("{name} is damaged"));
        let rsa = |name: &str, new: Arc<LazyKey>| match keys.get(name) {
            Some(pem) => {
                let key = RsaKey::parse(pem).ok_or_else(|| damaged(name))?;
                Ok::<_, io::Error>(Arc::new(LazyLock::new(Box::new(move || key) as Box<_>)))
            }
            None => Ok(new),
        };
        let new = Self::random();
        let api_v3 = match keys.get(API_V3) {
            Some(key) if key.len() != API_V3_LEN => return Err(damaged(API_V3)),
            key => key.cloned().unwrap_or(new.api_v3),
        };
        Ok(Self {
            merchant: rsa(MERCHANT, new.merchant)?,
            wechat_pay: rsa(WECHAT_PAY, new.wechat_pay)?,
            platform: rsa(PLATFORM, new.platform)?,
            api_v3,
            mode: KeyMode::default(),
        })
    }

    /// Makes those that are not made yet, all at the same time. It takes long.
    pub(crate) fn make(&self) {
        thread::scope(|scope| {
            for key in [&self.merchant, &self.wechat_pay, &self.platform] {
                scope.spawn(|| LazyLock::force(key));
            }
        });
    }

    /// The private ones, to be kept.
    pub(crate) fn to_keep(&self) -> BTreeMap<String, String> {
        let rsa = [(MERCHANT, &self.merchant), (WECHAT_PAY, &self.wechat_pay), (PLATFORM, &self.platform)];
        let keys = rsa.map(|(name, key)| (name.to_owned(), key.pem.clone()));
        keys.into_iter().chain([(API_V3.to_owned(), self.api_v3.clone())]).collect()
    }

    /// Those that a local machine has written down.
    ///
    /// # Errors
    ///
    /// If there is no such file, or something else is in it.
    pub fn read(path: &Path) -> io::Result<Self> {
        let keys: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(path)?)?;
        let is_complete = [MERCHANT, WECHAT_PAY, PLATFORM, API_V3].iter().all(|name| keys.contains_key(*name));
        if !is_complete {
            return Err(io::Error::other("there are other keys in it"));
        }
        let mode = keys.get(MODE).map(|mode| serde_json::from_value(mode.as_str().into())).transpose()?;
        Ok(Self { mode: mode.unwrap_or_default(), ..Self::kept(&keys)? })
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut keys = json!(self.to_keep());
        keys[MODE] = json!(self.mode);
        write_private(path, &keys)
    }

    /// What the functions are told: the value of `WECHATPAY`.
    pub(crate) fn wechatpay(&self) -> Value {
        let mut value = json!({
            "mchId": MCH_ID,
            "serialNo": self.merchant.serial_no(),
            "privateKey": self.merchant.pem,
            "apiV3Key": self.api_v3,
        });
        if self.mode != KeyMode::Certificates {
            value["publicKeyId"] = self.wechat_pay.public_key_id().into();
            value["publicKey"] = self.wechat_pay.public_pem.as_str().into();
        }
        value
    }
}

/// The key of the certificate that comes after so many of a sandbox's. It is made when it is used, as the others are,
/// and is the same for all sandboxes of this process.
pub(crate) fn later_platform_key(earlier: usize) -> Arc<LazyKey> {
    static STOCK: Mutex<Vec<Arc<LazyKey>>> = Mutex::new(Vec::new());
    let mut stock = STOCK.lock().unwrap_or_else(PoisonError::into_inner);
    while stock.len() <= earlier {
        stock.push(lazy());
    }
    stock.get(earlier).cloned().unwrap_or_else(lazy)
}

fn lazy() -> Arc<LazyKey> {
    Arc::new(LazyLock::new(Box::new(RsaKey::random)))
}

impl fmt::Debug for PayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_kept_are_the_same_again() {
        let keys = PayKeys::random();
        let kept = PayKeys::kept(&keys.to_keep()).unwrap();
        assert_eq!(kept.wechatpay(), keys.wechatpay());
        let signature = keys.merchant.sign(b"message");
        assert!(kept.merchant.has_signed(b"message", &signature));
        assert!(!kept.merchant.has_signed(b"massage", &signature));
        assert!(!kept.wechat_pay.has_signed(b"message", &signature));
        let mut damaged = keys.to_keep();
        damaged.insert(WECHAT_PAY.to_owned(), "x".to_owned());
        assert_eq!(PayKeys::kept(&damaged).unwrap_err().to_string(), "wechatPayKey is damaged");
    }

    #[test]
    fn who_signs_sample_events_knows_which_keys_the_functions_have() {
        let path = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        for mode in [KeyMode::PublicKey, KeyMode::Certificates, KeyMode::Both] {
            PayKeys { mode, ..PayKeys::random() }.write(&path).unwrap();
            let keys = PayKeys::read(&path);
            std::fs::remove_file(&path).unwrap();
            assert_eq!(keys.unwrap().mode, mode);
        }
    }

    #[test]
    fn ids_have_the_form_of_wechats() {
        let wechatpay = PayKeys::random().wechatpay();
        let field = |name: &str| wechatpay[name].as_str().unwrap().to_owned();
        assert_eq!((field("serialNo").len(), field("apiV3Key").len(), field("publicKeyId").len()), (40, 32, 39));
        assert!(field("privateKey").starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(field("publicKey").starts_with("-----BEGIN PUBLIC KEY-----\n"));
    }

    #[test]
    fn a_merchant_with_certificates_only_has_no_public_key() {
        for (mode, has_public_key) in
            [(KeyMode::PublicKey, true), (KeyMode::Both, true), (KeyMode::Certificates, false)]
        {
            let wechatpay = PayKeys { mode, ..PayKeys::random() }.wechatpay();
            let has = |name: &str| wechatpay.get(name).is_some();
            assert_eq!((has("apiV3Key"), has("publicKeyId"), has("publicKey")), (true, has_public_key, has_public_key));
        }
    }
}
