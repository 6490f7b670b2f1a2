//! The environment of the functions on the local machine.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pay_notify::PayNotify;
use serde_json::{Map, Value, json};
use shared::env::Env;
use shared::http::HttpFunction as _;

use crate::env_file;
use crate::functions::Functions;
use crate::iam::logical_id;
use crate::keys::Keys;
use crate::private_file::{write_private, write_private_text};

/// What the functions read; any of it that is set outside wins over what is made here.
/// The list is that of the contract, and `METRICS_NAMESPACE`: nothing else of the caller's environment reaches a function.
const VARIABLES: [&str; 22] = [
    "TABLE_NAME",
    "WECHAT_APPS",
    "WECHAT_APPS_SECRET_ARN",
    "WECHATPAY",
    "WECHATPAY_SECRET_ARN",
    "SEAL_KEY",
    "SEAL_KEY_SECRET_ARN",
    PAY_NOTIFY_URL,
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
    "METRICS_NAMESPACE",
    "AWS_REGION",
];

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const PAY_NOTIFY_URL: &str = "PAY_NOTIFY_URL";

/// The access key id of who is no function, where nobody has given one.
const NOBODY: &str = "local";

/// What is secret in itself.
pub(crate) const SECRETS: [&str; 3] = ["WECHAT_APPS", "WECHATPAY", "SEAL_KEY"];

/// They go to the functions only where those talk to something outside.
pub(crate) const CREDENTIALS: [&str; 3] = [ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// What the merchant signs with, in the value of `WECHATPAY`.
const SIGNING: [&str; 2] = ["serialNo", "privateKey"];

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
    for name in CREDENTIALS.into_iter().filter(|_| calls_outside(outside, embedded)) {
        if let Some(value) = outside.get(name) {
            env.set(name, value);
        }
    }
    env
}

fn calls_outside(outside: &Env, embedded: &Embedded) -> bool {
    let has_secret = VARIABLES.iter().any(|name| name.ends_with("_SECRET_ARN") && outside.get(name).is_some());
    let other_lambda = outside.get("AWS_ENDPOINT_URL_LAMBDA").is_some();
    embedded.dynamodb_url.is_none() || other_lambda || has_secret
}

/// Whether the functions have somebody's access key, whatever it is: DynamoDB Local takes any, and has a table of each.
pub(crate) fn has_given_key(outside: &Env, embedded: &Embedded) -> bool {
    calls_outside(outside, embedded) && outside.get(ACCESS_KEY_ID).is_some()
}

/// The environment of one function: who signs nothing gets nothing to sign with.
pub(crate) fn of_function(env: &Env, function: &str) -> Env {
    let mut env = env.clone();
    if function != PayNotify::NAME {
        return env;
    }
    // What is no object is for the function to complain of.
    let given = env.get("WECHATPAY").and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    if let Some(mut merchant) = given {
        merchant.retain(|field, _| !SIGNING.contains(&field.as_str()));
        env.set("WECHATPAY", Value::Object(merchant).to_string());
    }
    env
}

/// The same, with an access key that names the function's role.
pub(crate) fn with_own_key(env: &Env, function: &str) -> Env {
    let mut env = of_function(env, function);
    env.set(ACCESS_KEY_ID, logical_id(function, "Role"));
    env
}

/// Whether nobody has given a merchant.
pub(crate) fn wants_pay_keys(outside: &Env) -> bool {
    ["WECHATPAY", "WECHATPAY_SECRET_ARN"].iter().all(|name| outside.get(name).is_none())
}

fn defaults(outside: &Env, embedded: &Embedded, keys: &Keys) -> Env {
    let mut env = Env::from_iter([
        ("TABLE_NAME", "wechat-functions"),
        ("TOKEN_REFRESHER", "token-refresher"),
        ("AWS_ENDPOINT_URL_LAMBDA", &embedded.gateway_url),
        ("AWS_REGION", outside.get("AWS_DEFAULT_REGION").unwrap_or("us-east-1")),
        (ACCESS_KEY_ID, NOBODY),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("EGRESS_IP", "127.0.0.1"),
    ]);
    if outside.get("WECHAT_APPS_SECRET_ARN").is_none() {
        env.set("WECHAT_APPS", keys.apps().to_string());
    }
    if outside.get("SEAL_KEY_SECRET_ARN").is_none() {
        env.set("SEAL_KEY", keys.seal_key());
    }
    if wants_pay_keys(outside) {
        env.set("WECHATPAY", keys.pay.wechatpay().to_string());
    }
    env.set(PAY_NOTIFY_URL, &embedded.notify_url);
    if let Some(url) = &embedded.dynamodb_url {
        env.set("AWS_ENDPOINT_URL_DYNAMODB", url);
    }
    if let Some(url) = &embedded.sandbox_url {
        env.set("WECHAT_API_URLS", url);
        env.set("WECHATPAY_API_URLS", url);
    }
    env
}

/// Writes the environment in the format of `sam local invoke --env-vars`: an object for each function. What is not set is
/// empty, which is the same to a function: otherwise `sam local` gives it what the template has, such as the name of a
/// secret. For `containers` this machine has another name.
pub(crate) fn write_env_vars(path: &Path, functions: &Functions, containers: bool) -> io::Result<()> {
    let functions = functions.iter().map(|it| (logical_id(it.name, "Function"), variables(it.env(), containers)));
    write_private(path, &json!(functions.collect::<BTreeMap<_, _>>()))
}

fn variables(env: &Env, containers: bool) -> BTreeMap<&'static str, String> {
    let credentials = CREDENTIALS.into_iter().filter(|name| env.get(name).is_some());
    let names = VARIABLES.into_iter().chain(credentials);
    let value = |name: &str| match (env.get(name).unwrap_or_default(), name) {
        // Where WeChat Pay has to send notifications, not where a function calls.
        (value, PAY_NOTIFY_URL) => value.to_owned(),
        (value, _) if containers => value.replace("http://127.0.0.1:", "http://host.docker.internal:"),
        (value, _) => value.to_owned(),
    };
    names.map(|name| (name, value(name))).collect()
}

/// Writes the environment as lines of `NAME='value'`, for `cargo lambda watch --env-file` and for shells.
pub(crate) fn write_env_file(path: &Path, env: &Env) -> io::Result<()> {
    let names = VARIABLES.into_iter().chain(CREDENTIALS);
    write_private_text(path, &env_file::lines(names.filter_map(|name| Some((name, env.get(name)?)))))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let env = build(&outside, &embedded, &Keys::random(false));
        assert_eq!(env.get("TABLE_NAME"), Some("mine"));
        assert_eq!(env.get("TOKEN_REFRESHER"), Some("another"));
        assert_eq!(env.get("AWS_ENDPOINT_URL_LAMBDA"), Some("http://127.0.0.1:1"));
        assert_eq!((env.get("WECHAT_APPS"), env.get("WECHATPAY")), (None, None));
        assert_eq!(env.get("PAY_NOTIFY_URL"), Some("http://127.0.0.1:9000/pay-notify"));
        assert_eq!(env.get("HOME"), None);
        assert_eq!((env.get("WECHAT_API_URLS"), env.get("WECHATPAY_API_URLS")), (None, None));
        // A secret is read from AWS.
        assert_eq!(env.get("AWS_ACCESS_KEY_ID"), Some("AKIA"));
        assert!(has_given_key(&outside, &embedded));
    }

    #[test]
    fn credentials_stay_outside_where_nothing_outside_is_called() {
        let outside = Env::from_iter([("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_DEFAULT_REGION", "eu-west-1")]);
        let url = Some("http://127.0.0.1:1".to_owned());
        let (gateway_url, notify_url) = <_>::default();
        let embedded = Embedded { dynamodb_url: url.clone(), sandbox_url: url, gateway_url, notify_url };
        let env = build(&outside, &embedded, &Keys::random(false));
        assert_eq!(env.get("AWS_ACCESS_KEY_ID"), Some("local"));
        assert!(!has_given_key(&outside, &embedded));
        assert_eq!(with_own_key(&env, "user-info").get("AWS_ACCESS_KEY_ID"), Some("UserInfoRole"));
        assert_eq!(env.get("AWS_REGION"), Some("eu-west-1"));
    }

    #[test]
    fn a_given_key_is_known_by_having_been_given() {
        let embedded = |dynamodb_url: Option<&str>| Embedded {
            dynamodb_url: dynamodb_url.map(str::to_owned),
            sandbox_url: None,
            gateway_url: String::new(),
            notify_url: String::new(),
        };
        let outside = Env::from_iter([("AWS_ACCESS_KEY_ID", "local")]);
        assert!(has_given_key(&outside, &embedded(None)));
        assert!(!has_given_key(&outside, &embedded(Some("http://127.0.0.1:1"))), "it does not reach them");
        assert!(!has_given_key(&Env::default(), &embedded(None)));
    }
}
