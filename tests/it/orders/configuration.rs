//! What the functions of orders need at start, and what they say when that is not right.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use shared::http::{App, HttpFunction};
use shared::setup::Setup;
use tests::pay_vectors::PayVectors;

const NOTIFY_URL: &str = "https://api.example.com/pay-notify";

fn merchant() -> Value {
    json!({
        "mchId": "1900000001",
        "serialNo": "0123456789ABCDEF0123456789ABCDEF01234567",
        "privateKey": PayVectors::default().key("merchant_private_key"),
        "apiV3Key": "canary-api-v3-key-canary-api-v3-",
        "publicKeyId": "PUB_KEY_ID_0119000000012026112100000000001",
        "publicKey": PayVectors::default().key("platform_public_key"),
    })
}

fn env() -> Env {
    Env::from_iter([
        ("TABLE_NAME", "t"),
        ("WECHATPAY", &merchant().to_string()),
        ("PAY_NOTIFY_URL", NOTIFY_URL),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ])
}

async fn start<F: HttpFunction>(env: Env) -> Result<(), String> {
    let setup = Setup::new(env, Clock::system()).map_err(|err| shared::cause::chain(&err))?;
    App::<F>::start(&setup).await.map(|_| ()).map_err(|err| shared::cause::chain(&err))
}

async fn problem(name: &str, value: &str) -> String {
    let mut env = env();
    env.set(name, value);
    start::<create_order::CreateOrder>(env).await.unwrap_err()
}

#[tokio::test]
async fn each_function_asks_for_what_it_uses_and_for_nothing_else() {
    start::<create_order::CreateOrder>(env()).await.unwrap();
    let mut env = env();
    env.set("PAY_NOTIFY_URL", "");
    start::<query_order::QueryOrder>(env.clone()).await.unwrap();
    env.set("WECHATPAY_API_URLS", "nonsense");
    env.set("ORDER_TTL_SECS", "nonsense");
    start::<pay_notify::PayNotify>(env).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_named() {
    for (name, expected) in [
        ("TABLE_NAME", "TABLE_NAME is not set"),
        ("WECHATPAY", "WECHATPAY is not set, and neither is WECHATPAY_SECRET_ARN"),
        ("PAY_NOTIFY_URL", "PAY_NOTIFY_URL is not set"),
    ] {
        assert_eq!(problem(name, "").await, expected);
    }
    let arn = problem("WECHATPAY_SECRET_ARN", "arn:x").await;
    assert_eq!(arn, "WECHATPAY and WECHATPAY_SECRET_ARN are both set; set one of them");
}

#[tokio::test]
async fn what_is_malformed_is_named_and_not_shown() {
    let long = format!("https://canary.example/{}", "x".repeat(256));
    for (name, value) in [
        ("WECHATPAY", "canary"),
        ("WECHATPAY", "\"canary\""),
        ("WECHATPAY", "[\"canary\"]"),
        ("WECHATPAY", "{\"canary\":1}"),
        ("PAY_NOTIFY_URL", "canary"),
        ("PAY_NOTIFY_URL", "http://canary.example/pay-notify"),
        ("PAY_NOTIFY_URL", "https://canary.example/pay-notify?canary=1"),
        ("PAY_NOTIFY_URL", "https://canary.example/#canary"),
        ("PAY_NOTIFY_URL", "https://canary:canary@example.com/"),
        ("PAY_NOTIFY_URL", &long),
        ("ORDER_TTL_SECS", "canary"),
        ("ORDER_TTL_SECS", "59"),
        ("ORDER_TTL_SECS", "7001"),
        ("ORDER_TTL_SECS", "0"),
        ("ORDER_TTL_SECS", "-60"),
        ("ORDER_TTL_SECS", "60.5"),
        ("ORDER_TTL_SECS", "18446744073709551616"),
        ("MAX_OPEN_ORDERS", "canary"),
        ("MAX_OPEN_ORDERS", "0"),
        ("MAX_OPEN_ORDERS", "-1"),
        ("MAX_OPEN_ORDERS", "5.5"),
        ("MAX_OPEN_ORDERS", "4294967296"),
        ("WECHATPAY_API_URLS", "canary"),
        ("WECHATPAY_API_URLS", "https://canary:canary@x"),
        ("WECHATPAY_API_URLS", "https://x?canary"),
        ("WECHATPAY_API_URLS", "https://x,canary"),
    ] {
        let problem = problem(name, value).await;
        assert!(problem.starts_with(&format!("{name} is malformed: ")), "{name}={value}: {problem}");
        assert!(!problem.contains("canary") && !problem.contains("7001"), "{problem}");
    }
}

#[tokio::test]
async fn each_field_of_the_merchant_is_named_and_not_shown() {
    let short_key = "canary-api-v3-key-of-31-bytes..";
    let multi_byte_key = "键".repeat(32);
    for (name, value, named) in [
        ("mchId", json!(""), "mchId"),
        ("mchId", json!("canary\"canary"), "mchId"),
        ("mchId", json!("canary".repeat(6)), "mchId"),
        ("mchId", json!(1900000001), "WECHATPAY"),
        ("mchId", Value::Null, "WECHATPAY"),
        ("serialNo", json!("canary, canary"), "serialNo"),
        ("serialNo", json!(""), "serialNo"),
        ("serialNo", json!("PUB_KEY_ID_0114232134912410000000000000"), "serialNo"),
        ("serialNo", json!("40:8B:07:E7:9B:82:69:FE:C3:D5:D3:E6:AB:8E:D1:63:A6:A3:80:DB"), "serialNo"),
        ("serialNo", json!("408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB "), "serialNo"),
        ("serialNo", json!("0x408B07E79B8269FEC3D5D3E6AB8ED163A6A380"), "serialNo"),
        ("serialNo", json!("0408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"), "serialNo"),
        ("serialNo", json!("408B07E"), "serialNo"),
        ("privateKey", json!("canary"), "privateKey"),
        ("privateKey", json!(PayVectors::default().key("platform_public_key")), "privateKey"),
        ("privateKey", json!(PayVectors::default().key("merchant_private_key").replace("MII", "canary")), "privateKey"),
        ("apiV3Key", json!(short_key), "apiV3Key"),
        ("apiV3Key", json!(format!("{short_key}xx")), "apiV3Key"),
        ("apiV3Key", json!(multi_byte_key), "apiV3Key"),
        ("publicKeyId", json!("canary"), "publicKeyId"),
        ("publicKeyId", json!("PUB_KEY_ID_canary canary"), "publicKeyId"),
        ("publicKeyId", Value::Null, "publicKeyId and publicKey"),
        ("publicKey", Value::Null, "publicKeyId and publicKey"),
        ("publicKey", json!("canary"), "publicKey"),
        ("publicKey", json!(PayVectors::default().key("merchant_private_key")), "publicKey"),
        ("mode", json!("v2"), "mode v2"),
        ("mode", json!("canary"), "mode"),
        ("mode", json!(["canary"]), "mode"),
        ("canary", json!("canary"), "WECHATPAY"),
    ] {
        let mut merchant = merchant();
        merchant[name] = value.clone();
        let mut problems = vec![problem("WECHATPAY", &merchant.to_string()).await];
        let mut env = env();
        env.set("WECHATPAY", merchant.to_string());
        let started = start::<pay_notify::PayNotify>(env).await;
        // Who signs nothing does not look at what signs.
        match ["serialNo", "privateKey"].contains(&name) {
            true => started.unwrap(),
            false => problems.push(started.unwrap_err()),
        }
        for problem in problems {
            assert!(problem.starts_with("WECHATPAY is malformed: ") && problem.contains(named), "{name}: {problem}");
            assert!(!problem.contains("canary") && !problem.contains("BEGIN PRIVATE"), "{problem}");
        }
    }
}

#[tokio::test]
async fn a_merchant_may_say_its_version() {
    let mut merchant = merchant();
    merchant["mode"] = "v3".into();
    let mut env = env();
    env.set("WECHATPAY", merchant.to_string());
    start::<create_order::CreateOrder>(env).await.unwrap();
}
