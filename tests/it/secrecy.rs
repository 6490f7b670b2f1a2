//! Nothing secret is logged or kept in the clear.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::logs;
use tests::upstream::{After, ClosedPort, Upstream};
use tests::world::{World, event_with_body, reply};

const CANARIES: [&str; 7] = [
    "canary-app-secret",
    "canary-seal-key",
    "canary-code",
    "canary-openid",
    "canary-unionid",
    "Y2FuYXJ5LXNlc3Npb24ta2V5",
    "canary-unknown-field-value",
];

fn apps() -> String {
    json!([{ "appId": "wxcanary", "appSecret": "canary-app-secret", "kind": "mini-program" }]).to_string()
}

const SEAL_KEY: &str = "canary-seal-key-canary-seal-key-canary-seal-key";

async fn world(wechat: &str) -> World {
    World::start_with([("WECHAT_APPS", &apps()), ("SEAL_KEY", SEAL_KEY), ("WECHAT_API_URLS", wechat)]).await
}

#[tokio::test]
async fn no_log_line_at_trace_holds_a_secret() {
    let answer = json!({
        "openid": "canary-openid", "session_key": "Y2FuYXJ5LXNlc3Npb24ta2V5", "unionid": "canary-unionid",
    });
    let (mut tokens, mut failed) = (Vec::new(), Vec::new());
    // A whole life: login, use, logout.
    let good = Upstream::start(&answer.to_string(), After::Stay).await;
    let good_world = world(&good.url).await;
    let login = good_world.login("canary-code-1").await;
    assert_eq!(login.status, 200);
    let token = login.json["token"].as_str().unwrap().to_owned();
    assert_eq!(good_world.call("user-info", Some(&token), json!({})).await.status, 200);
    assert_eq!(good_world.call("logout", Some(&token), json!({ "all": true })).await.status, 200);
    assert_eq!(good_world.call("user-info", Some(&token), json!({})).await.status, 401);
    tokens.push(token);
    // Every way in which a request can be wrong.
    for body in [
        json!({ "code": "canary-code with spaces" }),
        json!({ "code": ["canary-code"] }),
        json!({ "code": "canary-code", "secret": "canary-unknown-field-value" }),
        json!(["canary-code"]),
    ] {
        let reply = good_world.call("login", None, body).await;
        assert_eq!(reply.status, 400);
        failed.push(reply);
    }
    // Every way in which WeChat can fail.
    let closed = ClosedPort::default();
    let mut wechats = vec![closed.url.clone()];
    for body in [
        r#"{"errcode":40029,"errmsg":"invalid code canary-code, rid: 1-2-3"}"#,
        r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 canary-app-secret"}"#,
        r#"{"errcode":-1,"errmsg":"canary-openid"}"#,
        r#"{"openid":"canary-openid"}"#,
        "canary-openid",
        "",
    ] {
        wechats.push(Upstream::start(body, After::Close).await.url);
    }
    for wechat in wechats {
        let world = world(&wechat).await;
        let reply = world.login("canary-code-2").await;
        assert_ne!(reply.status, 200, "{wechat}");
        failed.push(reply);
    }
    // Every way in which DynamoDB can fail.
    let proxy = DynamoDbProxy::start(good_world.machine.dynamodb_url()).await;
    let table = good_world.machine.env().get("TABLE_NAME").unwrap();
    let faulty = World::start_with([
        ("WECHAT_APPS", &apps()),
        ("SEAL_KEY", SEAL_KEY),
        ("WECHAT_API_URLS", &good.url),
        ("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url),
        ("TABLE_NAME", table),
    ])
    .await;
    for name in ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"] {
        for operation in ["BatchGetItem", "TransactWriteItems", "GetItem"] {
            proxy.inject(operation, 1, Kind::error(name));
            let reply = faulty.login("canary-code-3").await;
            assert_eq!(reply.status, 500, "{operation} {name}");
            failed.push(reply);
        }
    }
    proxy.inject("TransactWriteItems", u32::MAX, Kind::cancelled(&["TransactionConflict"]));
    let instance = faulty.instance("login").await;
    let event = event_with_body("login", "valid", &json!({ "code": "canary-code-4" }));
    let busy = reply(&instance.invoke_within(event, faulty.now(), Duration::from_secs(2)).await.unwrap());
    assert_eq!(busy.code(), "busy");
    failed.push(busy);

    for reply in failed {
        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        assert!(lines.iter().any(|line| line["function"] == "login" && line["code"] == reply.code()), "{lines:?}");
    }
    let lines = logs::all();
    for canary in CANARIES.iter().copied().chain(tokens.iter().map(String::as_str)) {
        let line = lines.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary}");
    }
}

#[tokio::test]
async fn the_table_holds_no_token_no_code_and_no_session_key_in_the_clear() {
    let answer = json!({ "openid": "o", "session_key": "Y2FuYXJ5LXNlc3Npb24ta2V5" });
    let wechat = Upstream::start(&answer.to_string(), After::Stay).await;
    let world = world(&wechat.url).await;
    let login = world.login("canary-code-in-table").await;
    let token = login.json["token"].as_str().unwrap();
    let rows = world.rows().await;
    assert!(rows.len() >= 5, "{}", rows.len());
    for value in rows.iter().flat_map(|row| row.values()) {
        let bytes = match value {
            AttributeValue::S(text) | AttributeValue::N(text) => text.as_bytes(),
            AttributeValue::B(blob) => blob.as_ref(),
            other => panic!("{other:?}"),
        };
        for secret in [token, "canary-code-in-table", "Y2FuYXJ5LXNlc3Npb24ta2V5"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_session_keeps_the_session_key_of_its_own_login() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let first = world.login(&world.code(&person).await).await;
    world.sandbox("POST", &format!("/users/{person}/session-key"), Value::Null).await;
    let second = world.login(&world.code(&person).await).await;
    let keys = [first, second].map(|login| login.json["token"].as_str().unwrap().to_owned());
    let setup = shared::setup::Setup::new(world.machine.env().clone(), shared::clock::Clock::system()).unwrap();
    let sealer = setup.sealer().await.unwrap();
    let sessions = shared::store::Sessions::new(setup.table().unwrap(), shared::clock::Clock::system());
    let mut opened = Vec::new();
    for token in keys {
        let hash = shared::store::SessionToken::parse(&token).unwrap().hash();
        let deadline = shared::deadline::Deadline::after(std::time::Duration::from_secs(5));
        let session = sessions.find(&hash, deadline).await.unwrap().unwrap();
        opened.push(session.session_key(&sealer).unwrap().expose().to_owned());
    }
    assert_eq!(opened[0].len(), 24);
    assert_ne!(opened[0], opened[1]);
}
