//! WeChat Pay's own examples, and the published keys that go with them: those of a merchant, and those that WeChat Pay
//! signs with there.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::secret::Secret;
use shared::wechatpay::{Keyring, Merchant, PublicKey};

use crate::root;

/// The mchid of the examples.
pub const MCH_ID: &str = "1900007291";
/// The serial number of the merchant's certificate there.
pub const SERIAL_NO: &str = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB";
/// An APIv3 key of 32 bytes.
pub const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
/// What WeChat Pay's key is called where it is taken for a public key.
pub const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0114232134912410000000000000";

/// The keys and vectors.
#[derive(Debug)]
pub struct PayVectors(Value);

impl Default for PayVectors {
    fn default() -> Self {
        let json = std::fs::read_to_string(root().join("tests/vectors/pay_v3.json")).unwrap();
        Self(serde_json::from_str(&json).unwrap())
    }
}

impl PayVectors {
    /// The inputs of a vector, and what is expected.
    pub fn vector(&self, name: &str) -> (&Value, &Value) {
        let vectors = self.0["vectors"].as_array().unwrap();
        let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
        (&vector["inputs"], &vector["expected"])
    }

    /// A key of the file, in PEM. Private ones are `TESTING KEY` there, so that nobody takes them for secrets.
    pub fn key(&self, name: &str) -> String {
        self.0["keys"][name].as_str().unwrap().replace("TESTING KEY", "PRIVATE KEY")
    }

    /// The value of `WECHATPAY` for the merchant of the examples, to whom WeChat Pay signs with the key there.
    pub fn wechatpay(&self) -> Value {
        json!({
            "mchId": MCH_ID,
            "serialNo": SERIAL_NO,
            "privateKey": self.key("merchant_private_key"),
            "apiV3Key": API_V3_KEY,
            "publicKeyId": PUBLIC_KEY_ID,
            "publicKey": self.key("platform_public_key"),
        })
    }

    /// The same merchant without a public key of WeChat Pay's.
    pub fn merchant_with_certificates(&self) -> Merchant {
        let mut value = self.wechatpay();
        for name in ["publicKeyId", "publicKey"] {
            value.as_object_mut().unwrap().remove(name);
        }
        Merchant::parse(&Secret::new(value.to_string())).unwrap()
    }

    /// That merchant.
    pub fn merchant(&self) -> Merchant {
        Merchant::parse(&Secret::new(self.wechatpay().to_string())).unwrap()
    }

    /// A merchant that signs as WeChat Pay does.
    pub fn platform(&self) -> Merchant {
        let mut value = self.wechatpay();
        value["privateKey"] = self.key("platform_private_key").into();
        Merchant::parse(&Secret::new(value.to_string())).unwrap()
    }

    /// The serial number of WeChat Pay's certificate.
    pub fn platform_serial(&self) -> &str {
        self.0["keys"]["platform_serial"].as_str().unwrap()
    }

    /// WeChat Pay's key of the examples, under the serial number of its certificate.
    pub fn keyring(&self) -> Keyring {
        let key = PublicKey::from_pem(&self.key("platform_public_key")).unwrap();
        Keyring::new([(self.platform_serial().to_owned(), key)])
    }
}

/// A clock that stands still.
pub fn clock_at(secs: u64) -> Clock {
    Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_secs(secs))
}
