//! Secrets that are made here when none are given.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use shared::random;

use crate::pay_keys::PayKeys;
use crate::private_file::write_private;

/// An app of each kind, with appids in WeChat's form. The mini program is the first: the default, and the demo user's.
const MINI_PROGRAM: &str = "wx0123456789abcdef";
pub(crate) const OFFICIAL_ACCOUNT: &str = "wx1123456789abcdef";
const MOBILE_APP: &str = "wx2123456789abcdef";

/// Where they are kept, in the directory of `--data`.
pub(crate) const FILE: &str = "keys.json";

/// The names of the keys where they are kept, beside those of WeChat Pay.
const APP_SECRET: &str = "appSecret";
const SEAL_KEY: &str = "sealKey";

/// The secrets of the functions.
pub(crate) struct Keys {
    app_secret: String,
    seal_key: String,
    pub(crate) pay: PayKeys,
}

impl Keys {
    /// The apps, each with a secret of its own.
    pub(crate) fn apps(&self) -> Value {
        json!([
            { "appId": MINI_PROGRAM, "appSecret": self.app_secret, "kind": "mini-program" },
            { "appId": OFFICIAL_ACCOUNT, "appSecret": self.secret_of(OFFICIAL_ACCOUNT), "kind": "official-account",
              "tickets": ["wx_card", "jsapi"] },
            { "appId": MOBILE_APP, "appSecret": self.secret_of(MOBILE_APP), "kind": "mobile-app" },
        ])
    }

    /// Derived, so that the file with the keys has no line for each app.
    fn secret_of(&self, app_id: &str) -> String {
        let digest = digest(&SHA256, format!("{}:{app_id}", self.app_secret).as_bytes());
        let half = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    pub(crate) fn seal_key(&self) -> &str {
        &self.seal_key
    }

    /// New ones. RSA keys are made at once only if they are `wanted`: it takes long.
    pub(crate) fn random(wanted: bool) -> Self {
        let keys = Self {
            app_secret: format!("{:032x}", u128::from_be_bytes(random::bytes())),
            seal_key: random::base64url::<32>(),
            pay: PayKeys::random(),
        };
        if wanted {
            keys.pay.make();
        }
        keys
    }

    /// The keys that go with the table in `data`: what they sealed has to open at the next start, and what they signed
    /// has to be right. A file of an older version gets what it has not.
    ///
    /// # Errors
    ///
    /// If the file cannot be used. It stays as it is: nobody could make what is in it again.
    pub(crate) fn kept_in(data: &Path, wanted: bool) -> io::Result<Self> {
        let path = data.join(FILE);
        let mut kept: BTreeMap<String, String> = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(err) if err.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(err) => return Err(err),
        };
        let count = kept.len();
        let mut keys = Self { pay: PayKeys::kept(&kept)?, ..Self::random(false) };
        keys.app_secret = kept.entry(APP_SECRET.to_owned()).or_insert(keys.app_secret).clone();
        keys.seal_key = kept.entry(SEAL_KEY.to_owned()).or_insert(keys.seal_key).clone();
        if wanted {
            keys.pay.make();
            for (name, key) in keys.pay.to_keep() {
                kept.entry(name).or_insert(key);
            }
        }
        if kept.len() > count {
            write_private(&path, &json!(kept))?;
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a file of keys.
    fn data(keys: &Value) -> std::path::PathBuf {
        let data = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        write_private(&data.join("keys.json"), keys).unwrap();
        data
    }

    fn read(data: &Path) -> Value {
        serde_json::from_slice(&fs::read(data.join("keys.json")).unwrap()).unwrap()
    }

    #[test]
    fn a_file_of_keys_gets_those_that_are_absent_and_keeps_the_others() {
        let data = data(&json!({ "appSecret": "s", "sealKey": "k", "ofALaterVersion": "x" }));
        Keys::kept_in(&data, false).unwrap();
        assert_eq!(read(&data).as_object().unwrap().len(), 3, "nobody wants the others");
        let first = Keys::kept_in(&data, true).unwrap();
        let (file, second) = (read(&data), Keys::kept_in(&data, true).unwrap());
        assert_eq!((read(&data), file.as_object().unwrap().len()), (file, 7));
        fs::remove_dir_all(data).unwrap();
        assert_eq!(second.pay.to_keep(), first.pay.to_keep());
        assert_eq!((second.app_secret.as_str(), second.seal_key.as_str()), ("s", "k"));
    }

    #[test]
    fn a_damaged_file_of_keys_is_an_error_and_stays_as_it_is() {
        for damaged in [
            json!([]),
            json!({ "appSecret": 1 }),
            json!({ "appSecret": "s", "sealKey": "k", "merchantKey": "x" }),
            json!({ "appSecret": "s", "sealKey": "k", "apiV3Key": "short" }),
        ] {
            let data = data(&damaged);
            let result = Keys::kept_in(&data, true);
            let file = read(&data);
            fs::remove_dir_all(data).unwrap();
            assert!(result.is_err(), "{damaged}");
            assert_eq!(file, damaged);
        }
    }

    #[test]
    fn there_is_an_app_of_each_kind_with_a_secret_of_its_own() {
        let keys = Keys { app_secret: "secret".to_owned(), ..Keys::random(false) };
        let apps = keys.apps();
        let field =
            |name: &str| apps.as_array().unwrap().iter().map(|app| app[name].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(field("kind"), ["mini-program", "official-account", "mobile-app"]);
        assert_eq!(
            field("appSecret"),
            ["secret", "d00aef8f3c3b077182bb7ccb46f37eaf", "c367208301de8a282c6d9fc691aa3614"]
        );
    }
}
