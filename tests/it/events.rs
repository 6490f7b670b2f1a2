//! Every sample event, invoked as it is: what comes back is what the READMEs of the functions promise.

use local::sample;
use serde_json::{Value, json};
use tests::root;
use tests::world::{World, reply};

/// Which replies have more than the expected fields, because part of them is random.
const RANDOM: [&str; 4] = ["token", "expiresIn", "user", "requestId"];

#[tokio::test]
async fn every_event_of_login_gets_its_answer() {
    let user = json!({ "status": 200 });
    check(
        "login",
        &[
            ("valid", user.clone()),
            ("valid-base64", user.clone()),
            ("with-app-id", user),
            ("bad-code", error(400, "login_code_invalid", "the code is wrong, too old or used up; get a new one")),
            ("malformed-code", error(400, "invalid_request", "field `code` is not valid")),
            ("missing-code", error(400, "invalid_request", "missing field `code`")),
            ("unknown-app", error(400, "invalid_request", "field `appId` is not an app of this backend")),
            ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
            ("repeated-field", error(400, "invalid_request", "duplicate field `code`")),
            ("array", error(400, "invalid_request", "the body is not a JSON object")),
            ("not-json", error(400, "invalid_request", "the body is not valid JSON")),
            ("empty-body", error(400, "invalid_request", "the body is not valid JSON")),
            ("wrong-content-type", error(415, "unsupported_media_type", "use Content-Type: application/json")),
            ("wrong-method", error(405, "method_not_allowed", "use POST")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_user_info_gets_its_answer() {
    let unauthorized = error(401, "session_invalid", "there is no such session (any more); log in");
    check(
        "user-info",
        &[
            ("valid", json!({ "status": 200 })),
            ("no-session", unauthorized.clone()),
            ("wrong-session", unauthorized),
            ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_logout_gets_its_answer() {
    check(
        "logout",
        &[
            ("valid", json!({ "status": 200 })),
            ("all", json!({ "status": 200 })),
            ("no-session", error(401, "session_invalid", "there is no such session (any more); log in")),
            ("malformed", error(400, "invalid_request", "field `all` is not valid")),
        ],
    )
    .await;
}

/// The fields of a success.
fn keys(function: &str) -> &'static [&'static str] {
    match function {
        "login" => &["token", "expiresIn", "user"],
        "user-info" => &["user"],
        _ => &[],
    }
}

fn error(status: u16, code: &str, message: &str) -> Value {
    json!({ "status": status, "code": code, "message": message })
}

async fn check(function: &str, expected: &[(&str, Value)]) {
    let world = World::start_embedded().await;
    let instance = world.instance(function).await;
    let mut cases: Vec<_> = expected.iter().map(|(case, _)| (*case).to_owned()).collect();
    cases.sort();
    assert_eq!(cases, sample::cases(&root(), function), "every file has an expectation");
    for (case, expected) in expected {
        let event = sample::fresh(&root(), function, case, world.now()).unwrap();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let mut reply = reply(&result);
        assert_eq!(reply.header("content-type"), "application/json", "{case}");
        assert_eq!(reply.header("cache-control"), "no-store", "{case}");
        let is_error = reply.status >= 400;
        let body = reply.json.as_object_mut().unwrap();
        assert_eq!(body.contains_key("requestId"), is_error, "{case}");
        for name in if reply.status == 200 { keys(function) } else { &["code", "message", "requestId"] } {
            assert!(body.contains_key(*name), "{case}: {name}");
        }
        body.retain(|name, _| !RANDOM.contains(&name.as_str()));
        body.insert("status".to_owned(), reply.status.into());
        assert_eq!(&reply.json, expected, "{case}");
    }
}
