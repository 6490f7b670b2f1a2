//! What a function needs at start, and what it says when that is not there.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use shared::http::{App, HttpFunction};
use shared::setup::Setup;
use tokio::sync::Barrier;

const SEAL_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
const APPS: &str = r#"[{"appId":"wx1","appSecret":"canary-app-secret","kind":"mini-program"}]"#;

fn env() -> Env {
    Env::from_iter([
        ("TABLE_NAME", "t"),
        ("WECHAT_APPS", APPS),
        ("SEAL_KEY", SEAL_KEY),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ])
}

async fn start<F: HttpFunction>(env: Env) -> Result<(), String> {
    let chain = |err: &dyn std::error::Error| {
        let chain = std::iter::successors(Some(err), |err| err.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let setup = Setup::new(env, Clock::system()).map_err(|err| chain(&err))?;
    App::<F>::start(&setup).await.map(|_| ()).map_err(|err| chain(&err))
}

async fn problem(name: &str, value: &str) -> String {
    let mut env = env();
    env.set(name, value);
    start::<login::Login>(env).await.unwrap_err()
}

#[tokio::test]
async fn each_function_asks_for_what_it_uses_and_for_nothing_else() {
    start::<login::Login>(env()).await.unwrap();
    let mut without_apps = env();
    without_apps.set("WECHAT_APPS", "");
    start::<user_info::UserInfo>(without_apps.clone()).await.unwrap();
    without_apps.set("SEAL_KEY", "");
    start::<logout::Logout>(without_apps).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_named() {
    for (name, expected) in [
        ("TABLE_NAME", "TABLE_NAME is not set"),
        ("WECHAT_APPS", "WECHAT_APPS is not set, and neither is WECHAT_APPS_SECRET_ARN"),
        ("SEAL_KEY", "SEAL_KEY is not set, and neither is SEAL_KEY_SECRET_ARN"),
        ("AWS_REGION", "AWS_REGION is not set"),
        ("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID is not set"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY is not set"),
    ] {
        assert_eq!(problem(name, "").await, expected);
    }
}

#[tokio::test]
async fn what_is_malformed_is_named_and_not_shown() {
    for (name, value) in [
        ("WECHAT_APPS", "canary"),
        ("SEAL_KEY", "canary"),
        ("SESSION_TTL_SECS", "canary"),
        ("SESSION_TTL_SECS", "0"),
        ("SESSION_TTL_SECS", "-1"),
        ("WECHAT_API_URLS", "canary"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "canary"),
        ("EGRESS_IP", "canary"),
        ("SSL_CERT_FILE", "/canary"),
    ] {
        let problem = problem(name, value).await;
        assert!(problem.starts_with(&format!("{name} is malformed: ")), "{problem}");
        assert!(!problem.contains("canary"), "{problem}");
    }
}

#[tokio::test]
async fn a_secret_that_fits_into_no_url_is_malformed() {
    let apps = json!([{ "appId": "wx1", "appSecret": "x".repeat(257), "kind": "mini-program" }]).to_string();
    let expected = "WECHAT_APPS is malformed: an appId or appSecret is longer than 256 bytes";
    assert_eq!(problem("WECHAT_APPS", &apps).await, expected);
}

#[tokio::test]
async fn tickets_are_those_of_an_official_account() {
    let apps =
        |kind: &str, tickets: Value| json!([{ "appId": "wx1", "appSecret": "s", "kind": kind, "tickets": tickets }]);
    for (tickets, expected) in [
        (json!(["access_token"]), "the tickets of app 1 are not a list of wx_card and jsapi"),
        (json!(["wx_card", "wx_card"]), "the tickets of app 1 are not a list of wx_card and jsapi"),
        (json!(["canary"]), "expected a JSON array"),
        (json!("wx_card"), "expected a JSON array"),
    ] {
        let problem = problem("WECHAT_APPS", &apps("official-account", tickets).to_string()).await;
        assert!(problem.starts_with(&format!("WECHAT_APPS is malformed: {expected}")), "{problem}");
    }
    for kind in ["mini-program", "mobile-app"] {
        let problem = problem("WECHAT_APPS", &apps(kind, json!(["wx_card"])).to_string()).await;
        assert_eq!(problem, "WECHAT_APPS is malformed: app 1 has tickets, and is no official account");
    }
}

/// As they come from a console or a file. Inside of a text, nothing is looked at.
#[tokio::test]
async fn a_blank_around_an_app_id_or_a_secret_is_refused_at_start_and_named() {
    let app = |id: &str, secret: &str| json!({ "appId": id, "appSecret": secret, "kind": "mini-program" });
    for around in
        [" canary", "canary ", "\ncanary", "canary\r\n", "canary\t", "\u{a0}canary", "canary\u{3000}", "\u{feff}canary"]
    {
        for (field, apps) in [
            ("appId", json!([app("wx1", "s"), app(around, "s")])),
            ("appSecret", json!([app("wx1", "s"), app("wx2", around)])),
        ] {
            let problem = problem("WECHAT_APPS", &apps.to_string()).await;
            let expected = format!("WECHAT_APPS is malformed: the {field} of app 2 begins or ends with a blank");
            assert_eq!(problem, expected, "{around:?}");
        }
    }
    let mut env = env();
    env.set("WECHAT_APPS", json!([app("w x", "s s")]).to_string());
    start::<login::Login>(env).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_is_used_as_it_is_understood() {
    // What surrounds a URL in a file belongs to no request.
    let mut env = secrets_manager("apps", "seal").await;
    let endpoint = format!(" {}\n", env.get("AWS_ENDPOINT_URL_SECRETS_MANAGER").unwrap());
    env.set("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint);
    start::<login::Login>(env).await.unwrap();
}

#[tokio::test]
async fn two_sources_of_one_thing_are_contradictory() {
    for name in ["WECHAT_APPS", "SEAL_KEY"] {
        let arn = format!("{name}_SECRET_ARN");
        assert_eq!(problem(&arn, "arn:x").await, format!("{name} and {arn} are both set; set one of them"));
    }
}

/// Answers only once two requests are there, so that a caller who asks one after the other gets nothing.
async fn two_at_once(State(both): State<Arc<Barrier>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=id/"), "{authorization}");
    assert!(authorization.contains("/cn-north-1/secretsmanager/aws4_request"), "{authorization}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    if tokio::time::timeout(Duration::from_secs(2), both.wait()).await.is_err() {
        return (StatusCode::BAD_REQUEST, Json(json!({ "__type": "OneByOne" })));
    }
    let secret = match body["SecretId"].as_str().unwrap().rsplit(':').next().unwrap() {
        "apps" => APPS,
        "seal" => SEAL_KEY,
        "short" => "canary",
        _ => return (StatusCode::BAD_REQUEST, Json(json!({ "__type": "x#ResourceNotFoundException" }))),
    };
    (StatusCode::OK, Json(json!({ "ARN": body["SecretId"], "SecretString": secret })))
}

async fn secrets_manager(apps: &str, seal: &str) -> Env {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(two_at_once).with_state(Arc::new(Barrier::new(2)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut env = env();
    env.set("AWS_ENDPOINT_URL_SECRETS_MANAGER", url);
    env.set("WECHAT_APPS", "");
    env.set("SEAL_KEY", "");
    env.set("WECHAT_APPS_SECRET_ARN", format!("arn:aws-cn:secretsmanager:cn-north-1:1:secret:{apps}"));
    env.set("SEAL_KEY_SECRET_ARN", format!("arn:aws-cn:secretsmanager:cn-north-1:1:secret:{seal}"));
    env
}

#[tokio::test]
async fn secrets_are_fetched_side_by_side_and_signed() {
    start::<login::Login>(secrets_manager("apps", "seal").await).await.unwrap();
}

#[tokio::test]
async fn a_malformed_secret_names_the_variable_that_is_set() {
    let problem = start::<login::Login>(secrets_manager("apps", "short").await).await.unwrap_err();
    assert_eq!(problem, "SEAL_KEY_SECRET_ARN is malformed: every key must have at least 43 characters");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_names_its_variable_and_the_reason() {
    let problem = start::<login::Login>(secrets_manager("nobody", "seal").await).await.unwrap_err();
    let expected = "the secret that WECHAT_APPS_SECRET_ARN names could not be read: Secrets Manager answered 400 Bad \
                    Request ResourceNotFoundException";
    assert_eq!(problem, expected);
}
