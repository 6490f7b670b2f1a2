//! The environment of the functions on the local machine.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use shared::env::Env;
use shared::random;

use crate::functions::Functions;
use crate::pay_keys::PayKeys;

/// What the functions read; any of it that is set outside wins over what is made here.
/// The list is that of the contract: nothing else of the caller's environment reaches a function.
const VARIABLES: [&str; 21] = [
    "TABLE_NAME",
    "WECHAT_APPS",
    "WECHAT_APPS_SECRET_ARN",
    "WECHATPAY",
    "WECHATPAY_SECRET_ARN",
    "SEAL_KEY",
    "SEAL_KEY_SECRET_ARN",
    "PAY_NOTIFY_URL",
    "SESSION_TTL_SECS",
    "ORDER_TTL_SECS",
    "MAX_OPEN_ORDERS",
    "WECHAT_API_URLS",
    "WECHATPAY_API_URLS",
    "TOKEN_REFRESHER",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "EGRESS_IP",
    "SSL_CERT_FILE",
    "RUST_LOG",
    "AWS_REGION",
];

/// They go to the functions only where those talk to something outside.
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// An app of each kind, with appids in WeChat's form. The mini program is the first: the default, and the demo user's.
const MINI_PROGRAM: &str = "wx0123456789abcdef";
pub(crate) const OFFICIAL_ACCOUNT: &str = "wx1123456789abcdef";
const MOBILE_APP: &str = "wx2123456789abcdef";

/// Where the parts of the machine listen, for those that are embedded.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) dynamodb_url: Option<String>,
    pub(crate) sandbox_url: Option<String>,
    pub(crate) gateway_url: String,
    /// Where the sandbox is asked to tell of payments: on loopback, because no other address is taken without https.
    pub(crate) notify_url: String,
}

/// Builds the environment: what is set outside, and defaults for the rest. `keys` are the generated secrets, kept where
/// the table is kept.
pub(crate) fn build(outside: &Env, embedded: &Embedded, keys: &Keys) -> Env {
    let mut env = defaults(outside, embedded, keys);
    for name in VARIABLES {
        if let Some(value) = outside.get(name) {
            env.set(name, value);
        }
    }
    let has_secret = VARIABLES.iter().any(|name| name.ends_with("_SECRET_ARN") && outside.get(name).is_some());
    let other_lambda = outside.get("AWS_ENDPOINT_URL_LAMBDA").is_some();
    let needs_credentials = embedded.dynamodb_url.is_none() || other_lambda || has_secret;
    for name in CREDENTIALS.into_iter().filter(|_| needs_credentials) {
        if let Some(value) = outside.get(name) {
            env.set(name, value);
        }
    }
    env
}

fn defaults(outside: &Env, embedded: &Embedded, keys: &Keys) -> Env {
    let mut env = Env::from_iter([
        ("TABLE_NAME", "wechat-functions"),
        ("TOKEN_REFRESHER", "token-refresher"),
        ("AWS_ENDPOINT_URL_LAMBDA", &embedded.gateway_url),
        ("AWS_REGION", outside.get("AWS_DEFAULT_REGION").unwrap_or("us-east-1")),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("EGRESS_IP", "127.0.0.1"),
    ]);
    if outside.get("WECHAT_APPS_SECRET_ARN").is_none() {
        env.set("WECHAT_APPS", keys.apps().to_string());
    }
    if outside.get("SEAL_KEY_SECRET_ARN").is_none() {
        env.set("SEAL_KEY", &keys.seal_key);
    }
    if outside.get("WECHATPAY_SECRET_ARN").is_none() {
        env.set("WECHATPAY", keys.pay.wechatpay().to_string());
    }
    env.set("PAY_NOTIFY_URL", &embedded.notify_url);
    if let Some(url) = &embedded.dynamodb_url {
        env.set("AWS_ENDPOINT_URL_DYNAMODB", url);
    }
    if let Some(url) = &embedded.sandbox_url {
        env.set("WECHAT_API_URLS", url);
        env.set("WECHATPAY_API_URLS", url);
    }
    env
}

/// Secrets that are made here when none are given.
pub(crate) struct Keys {
    app_secret: String,
    seal_key: String,
    pub(crate) pay: PayKeys,
}

impl Keys {
    /// The apps, each with a secret of its own.
    fn apps(&self) -> Value {
        json!([
            { "appId": MINI_PROGRAM, "appSecret": self.app_secret, "kind": "mini-program" },
            { "appId": OFFICIAL_ACCOUNT, "appSecret": self.secret_of(OFFICIAL_ACCOUNT), "kind": "official-account" },
            { "appId": MOBILE_APP, "appSecret": self.secret_of(MOBILE_APP), "kind": "mobile-app" },
        ])
    }

    /// Derived, so that the file with the keys has no line for each app.
    fn secret_of(&self, app_id: &str) -> String {
        let digest = digest(&SHA256, format!("{}:{app_id}", self.app_secret).as_bytes());
        let half = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    pub(crate) fn random() -> Self {
        let app_secret = format!("{:032x}", u128::from_be_bytes(random::bytes()));
        Self { app_secret, seal_key: random::base64url::<32>(), pay: PayKeys::random() }
    }

    /// The keys that go with the table in `data`: what they sealed has to open at the next start, and what they signed
    /// has to be right. A file of an older version gets what it has not.
    pub(crate) fn kept_in(data: &Path) -> io::Result<Self> {
        let path = data.join("keys.json");
        let kept: Option<BTreeMap<String, String>> = match fs::read(&path) {
            Ok(json) => Some(serde_json::from_slice(&json)?),
            Err(err) if err.kind() == io::ErrorKind::NotFound => None,
            Err(err) => return Err(err),
        };
        let (mut keys, mut is_complete) = (Self::random(), false);
        if let Some(kept) = kept {
            let key = |name: &str| kept.get(name).cloned().ok_or_else(|| io::Error::other(format!("no {name}")));
            (keys.app_secret, keys.seal_key) = (key("appSecret")?, key("sealKey")?);
            let pay = PayKeys::kept(&kept);
            is_complete = pay.is_some();
            keys.pay = pay.unwrap_or(keys.pay);
        }
        if !is_complete {
            write_private(&path, &keys.to_keep())?;
        }
        Ok(keys)
    }

    fn to_keep(&self) -> Value {
        let mut keys = self.pay.to_keep();
        keys.extend([("appSecret", &self.app_secret), ("sealKey", &self.seal_key)].map(|(k, v)| (k.into(), v.clone())));
        json!(keys)
    }
}

/// Writes the environment in the format of `sam local invoke --env-vars`: an object for each function.
pub(crate) fn write_env_vars(path: &Path, env: &Env) -> io::Result<()> {
    let names = VARIABLES.into_iter().chain(CREDENTIALS);
    let variables: BTreeMap<_, _> = names.filter_map(|name| Some((name, env.get(name)?))).collect();
    let functions: BTreeMap<_, _> = Functions::names().map(|name| (logical_id(name), &variables)).collect();
    write_private(path, &json!(functions))
}

/// `user-info` -> `UserInfoFunction`.
fn logical_id(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.chain(["Function".to_owned()]).collect()
}

/// Only the owner may read it, from the first byte on.
pub(crate) fn write_private(path: &Path, json: &Value) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{json:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_without_those_of_wechat_pay_gets_them_and_keeps_the_others() {
        let data = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        write_private(&data.join("keys.json"), &json!({ "appSecret": "s", "sealKey": "k" })).unwrap();
        let (first, second) = (Keys::kept_in(&data).unwrap(), Keys::kept_in(&data).unwrap());
        fs::remove_dir_all(data).unwrap();
        assert_eq!(second.to_keep(), first.to_keep());
        assert_eq!((second.app_secret.as_str(), second.seal_key.as_str()), ("s", "k"));
    }

    #[test]
    fn a_functions_logical_id_is_its_name_in_pascal_case() {
        assert_eq!(logical_id("login"), "LoginFunction");
        assert_eq!(logical_id("user-info"), "UserInfoFunction");
    }

    #[test]
    fn there_is_an_app_of_each_kind_with_a_secret_of_its_own() {
        let keys = Keys { app_secret: "secret".to_owned(), ..Keys::random() };
        let apps = keys.apps();
        let field =
            |name: &str| apps.as_array().unwrap().iter().map(|app| app[name].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(field("kind"), ["mini-program", "official-account", "mobile-app"]);
        assert_eq!(
            field("appSecret"),
            ["secret", "d00aef8f3c3b077182bb7ccb46f37eaf", "c367208301de8a282c6d9fc691aa3614"]
        );
    }

    #[test]
    fn what_is_set_outside_wins_and_nothing_else_comes_in() {
        let outside = Env::from_iter([
            ("WECHAT_APPS_SECRET_ARN", "arn:x"),
            ("WECHATPAY_SECRET_ARN", "arn:y"),
            ("TABLE_NAME", "mine"),
            ("TOKEN_REFRESHER", "another"),
            ("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("HOME", "/root"),
        ]);
        let embedded = Embedded {
            dynamodb_url: Some("http://127.0.0.1:8000".to_owned()),
            sandbox_url: None,
            gateway_url: "http://192.0.2.2:9000".to_owned(),
            notify_url: "http://127.0.0.1:9000/pay-notify".to_owned(),
        };
        let env = build(&outside, &embedded, &Keys::random());
        assert_eq!(env.get("TABLE_NAME"), Some("mine"));
        assert_eq!(env.get("TOKEN_REFRESHER"), Some("another"));
        assert_eq!(env.get("AWS_ENDPOINT_URL_LAMBDA"), Some("http://127.0.0.1:1"));
        assert_eq!((env.get("WECHAT_APPS"), env.get("WECHATPAY")), (None, None));
        assert_eq!(env.get("PAY_NOTIFY_URL"), Some("http://127.0.0.1:9000/pay-notify"));
        assert_eq!(env.get("HOME"), None);
        assert_eq!((env.get("WECHAT_API_URLS"), env.get("WECHATPAY_API_URLS")), (None, None));
        // A secret is read from AWS.
        assert_eq!(env.get("AWS_ACCESS_KEY_ID"), Some("AKIA"));
    }

    #[test]
    fn credentials_stay_outside_where_nothing_outside_is_called() {
        let outside = Env::from_iter([("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_DEFAULT_REGION", "eu-west-1")]);
        let url = Some("http://127.0.0.1:1".to_owned());
        let (gateway_url, notify_url) = <_>::default();
        let embedded = Embedded { dynamodb_url: url.clone(), sandbox_url: url, gateway_url, notify_url };
        let env = build(&outside, &embedded, &Keys::random());
        assert_eq!(env.get("AWS_ACCESS_KEY_ID"), Some("local"));
        assert_eq!(env.get("AWS_REGION"), Some("eu-west-1"));
    }
}
