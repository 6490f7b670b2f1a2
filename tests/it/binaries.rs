//! The functions as the processes that run on Lambda: the real binaries, behind the Runtime API.

use std::collections::BTreeMap;

use local::demo_user::{DEMO_PHONE_CODE, DEMO_SESSION_KEY, DEMO_TOKEN};
use local::sample;
use serde_json::{Value, json};
use stubs::runtime_api::Process;
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::upstream::ClosedPort;
use tests::world::World;
use tests::{binary, root};

pub(crate) fn variables(world: &World, logical_id: &str) -> BTreeMap<String, String> {
    let mut variables = tests::variables::variables(world, logical_id);
    variables.insert("RUST_LOG".to_owned(), "trace".to_owned());
    variables
}

pub(crate) fn event(function: &str, case: &str) -> Value {
    sample::read(&root(), function, case).unwrap()
}

#[tokio::test]
async fn every_binary_answers_behind_the_runtime_api() {
    let world = World::start_embedded().await;
    for (function, logical_id) in [
        ("card-ext", "CardExtFunction"),
        ("create-order", "CreateOrderFunction"),
        ("login", "LoginFunction"),
        ("logout", "LogoutFunction"),
        ("phone-decrypt", "PhoneDecryptFunction"),
        ("query-order", "QueryOrderFunction"),
        ("user-info", "UserInfoFunction"),
    ] {
        let process = Process::start(&binary(function).await, &variables(&world, logical_id)).await;
        let first = process.invoke(&event(function, "valid")).await.outcome.unwrap();
        assert_eq!(first["statusCode"], 200, "{function}: {first}");
        assert_eq!(first["headers"]["content-type"], "application/json");
        assert_eq!(first["isBase64Encoded"], false);
        let written = text(process.stop().await);
        assert!(written.contains(r#""message":"request""#), "{function}: {written}");
        for secret in [DEMO_TOKEN, DEMO_SESSION_KEY, DEMO_PHONE_CODE, "13800138000", "oDemoUserOfTheLocalMachine"] {
            assert!(!written.contains(secret), "{function}: {secret} in {written}");
        }
    }
}

#[tokio::test]
async fn a_binary_that_is_invoked_directly_takes_and_returns_json() {
    let world = World::start_embedded().await;
    let process = Process::start(&binary("token-refresher").await, &variables(&world, "TokenRefresherFunction")).await;
    let reply = process.invoke(&event("token-refresher", "scheduled")).await.outcome.unwrap();
    assert_eq!((reply["refreshed"].as_array().unwrap().len(), &reply["failures"]), (4, &json!([])), "{reply}");
    let nothing_due = process.invoke(&event("token-refresher", "eventbridge-rule")).await.outcome.unwrap();
    assert_eq!(nothing_due, json!({ "refreshed": [], "failures": [] }));
    let refused = process.invoke(&event("token-refresher", "unknown-app")).await.outcome.unwrap_err();
    assert_eq!(refused["errorType"], "invalid_request");
    assert_eq!(refused["errorMessage"], "field `appId` is not an app of this backend");
    let written = text(process.stop().await);
    for (app_id, kind) in [
        (MINI_PROGRAM, "access_token"),
        (OFFICIAL_ACCOUNT, "access_token"),
        (OFFICIAL_ACCOUNT, "wx_card"),
        (OFFICIAL_ACCOUNT, "jsapi"),
    ] {
        assert!(!written.contains(&world.live(app_id, kind).await), "{app_id} {kind}");
    }
    let lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let requests = lines.filter(|line| line["message"] == "request" && line["function"] == "token-refresher");
    assert_eq!(requests.count(), 3);
}

#[tokio::test]
async fn the_binaries_of_refunds_and_sweeps_take_and_return_json() {
    let world = World::start_embedded().await;
    let process = Process::start(&binary("refund-order").await, &variables(&world, "RefundOrderFunction")).await;
    let reply = process.invoke(&event("refund-order", "valid")).await.outcome.unwrap();
    assert_eq!(reply["status"], "PROCESSING", "{reply}");
    let refused = process.invoke(&event("refund-order", "too-much")).await.outcome.unwrap_err();
    assert_eq!(refused["errorType"], "refund_exceeds_paid");
    let written = text(process.stop().await);
    assert!(written.contains(r#""code":"refund_exceeds_paid""#), "{written}");
    let process = Process::start(&binary("order-sweeper").await, &variables(&world, "OrderSweeperFunction")).await;
    let reply = process.invoke(&event("order-sweeper", "any-age")).await.outcome.unwrap();
    assert_eq!(reply["failures"], 0, "{reply}");
    let written = text(process.stop().await) + &written;
    assert!(written.contains(r#""message":"swept""#), "{written}");
    assert!(!written.contains("oDemoUserOfTheLocalMachine"), "{written}");
}

#[tokio::test]
async fn a_binary_logs_json_lines_without_secrets_at_trace() {
    let world = World::start_embedded().await;
    let variables = variables(&world, "LoginFunction");
    let process = Process::start(&binary("login").await, &variables).await;
    let mut written = String::new();
    let mut secrets = vec!["demo-code".to_owned(), "canary-code".to_owned(), variables["SEAL_KEY"].clone()];
    secrets.push(variables["WECHAT_APPS"].split('"').nth(7).unwrap().to_owned());

    let reply = process.invoke(&event("login", "valid")).await.outcome.unwrap();
    let body: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
    secrets.push(body["token"].as_str().unwrap().to_owned());
    let mut bad = event("login", "valid");
    bad["body"] = json!({ "code": "canary-code" }).to_string().into();
    assert_eq!(process.invoke(&bad).await.outcome.unwrap()["statusCode"], 400);
    let refused = process.invoke(&json!({ "code": "canary-code" })).await.outcome.unwrap_err();
    assert!(refused["errorMessage"].as_str().unwrap().contains("API Gateway"), "{refused}");
    written += &text(process.stop().await);
    // And where one of its upstreams cannot be reached.
    let closed = ClosedPort::default();
    for name in ["WECHAT_API_URLS", "AWS_ENDPOINT_URL_DYNAMODB"] {
        let mut variables = variables.clone();
        variables.insert(name.to_owned(), closed.url.clone());
        let process = Process::start(&binary("login").await, &variables).await;
        assert_eq!(process.invoke(&event("login", "valid")).await.outcome.unwrap()["statusCode"], 503);
        written += &text(process.stop().await);
    }

    let lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let requests = lines.filter(|line| line["message"] == "request" && line["function"] == "login");
    assert_eq!(requests.count(), 5);
    for secret in secrets {
        assert!(!written.contains(&secret), "{secret} in {written}");
    }
}

#[tokio::test]
async fn a_misconfigured_binary_ends_at_once_and_names_the_variable() {
    for function in [
        "card-ext",
        "create-order",
        "logout",
        "order-sweeper",
        "pay-notify",
        "phone-decrypt",
        "query-order",
        "refund-order",
        "token-refresher",
        "user-info",
    ] {
        let output = Process::start(&binary(function).await, &BTreeMap::new()).await.output().await;
        assert!(!output.status.success(), "{function}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "Error: TABLE_NAME is not set\n", "{function}");
    }
}

pub(crate) fn text(output: std::process::Output) -> String {
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}
