//! WeChat's odd answers, and none at all.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::MINI_PROGRAM;
use tests::callers::CODE2SESSION;
use tests::logs;
use tests::root;
use tests::upstream::{After, ClosedPort, Upstream};
use tests::world::{World, event_with_body, reply};

async fn fresh_code(world: &World) -> String {
    world.code(&world.person(Value::Null).await).await
}

#[tokio::test]
async fn every_errcode_has_its_answer_and_is_in_the_log_with_its_trace_id() {
    let world = World::start().await;
    for (errcode, status, code, retry_after) in [
        (40029, 400, "login_code_invalid", ""),
        (40226, 403, "user_blocked", ""),
        (45011, 429, "rate_limited", "60"),
        (45009, 429, "rate_limited", "3600"),
        (40013, 500, "misconfigured", ""),
        (40125, 500, "misconfigured", ""),
        (41002, 500, "misconfigured", ""),
        (41004, 500, "misconfigured", ""),
        (40002, 500, "internal", ""),
        (41008, 500, "internal", ""),
        (99999, 503, "wechat_unavailable", "2"),
    ] {
        world.fault(CODE2SESSION, json!({ "errcode": errcode })).await;
        let reply = world.login(&fresh_code(&world).await).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{errcode}");
        assert_eq!(reply.header("retry-after"), retry_after, "{errcode}");
        let message = reply.json["message"].as_str().unwrap();
        assert!(!message.contains("injected") && !message.contains("rid"), "{message}");

        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!(
            (&line["errcode"], &line["code"], &line["function"]),
            (&json!(errcode), &json!(code), &json!("login"))
        );
        assert_eq!(line["rid"].as_str().unwrap().len(), 26, "{line}");
        assert!(line["durationMs"].is_u64());
        let fault = lines.iter().any(|line| line.get("Fault").is_some());
        assert_eq!(fault, status >= 500, "{errcode}");
    }
}

#[tokio::test]
async fn a_busy_wechat_is_asked_again() {
    let world = World::start().await;
    for fault in [json!({ "errcode": -1, "times": 2 }), json!({ "status": 502, "times": 2 })] {
        let before = world.count_of(CODE2SESSION).await;
        world.fault(CODE2SESSION, fault).await;
        assert_eq!(world.login(&fresh_code(&world).await).await.status, 200);
        assert_eq!(world.count_of(CODE2SESSION).await - before, 3);
    }
}

#[tokio::test]
async fn a_wechat_that_stays_busy_is_given_up_after_three_tries() {
    let world = World::start().await;
    for fault in [json!({ "errcode": -1, "times": 9 }), json!({ "status": 504, "times": 9 })] {
        let before = world.count_of(CODE2SESSION).await;
        world.fault(CODE2SESSION, fault).await;
        let reply = world.login(&fresh_code(&world).await).await;
        assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "wechat_unavailable", "2"));
        assert_eq!(world.count_of(CODE2SESSION).await - before, 3);
    }
}

#[tokio::test]
async fn an_empty_body_is_no_session() {
    let world = World::start().await;
    world.fault(CODE2SESSION, json!({ "emptyBody": true })).await;
    let reply = world.login(&fresh_code(&world).await).await;
    assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"));
}

#[tokio::test]
async fn a_connection_that_drops_before_the_work_costs_a_second_try() {
    let world = World::start().await;
    world.fault(CODE2SESSION, json!({ "drop": "before" })).await;
    assert_eq!(world.login(&fresh_code(&world).await).await.status, 200);
    assert_eq!(world.count_of(CODE2SESSION).await, 2);
}

#[tokio::test]
async fn a_connection_that_drops_after_the_work_costs_the_code() {
    let world = World::start().await;
    world.fault(CODE2SESSION, json!({ "drop": "after" })).await;
    let person = world.person(Value::Null).await;
    let reply = world.login(&world.code(&person).await).await;
    assert_eq!((reply.status, reply.code()), (400, "login_code_invalid"));
    assert_eq!(world.login(&world.code(&person).await).await.status, 200);
}

#[tokio::test]
async fn a_wechat_that_hangs_is_given_up_before_lambda_gives_up_the_function() {
    let world = World::start().await;
    world.fault(CODE2SESSION, json!({ "latencyMs": 60_000, "times": 9 })).await;
    let event = event_with_body("login", "valid", &json!({ "code": fresh_code(&world).await }));
    let instance = world.instance("login").await;
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(2)).await;
    let reply = reply(&result.expect("the function answers before its timeout"));
    assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "wechat_unavailable", "2"));
    assert_eq!(world.count_of(CODE2SESSION).await, 1, "after a timeout it is not asked again");
}

#[tokio::test]
async fn a_timeout_moves_no_request_to_another_host() {
    let other = Upstream::start(r#"{"openid":"o","session_key":"k"}"#, After::Stay).await;
    let silent = World::start().await;
    silent.fault(CODE2SESSION, json!({ "latencyMs": 60_000 })).await;
    let hosts = format!("{},{}", silent.machine.wechat_url(), other.url);
    let world = World::start_with([("WECHAT_API_URLS", &hosts)]).await;
    let instance = world.instance("login").await;
    let event = event_with_body("login", "valid", &json!({ "code": "x" }));
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(2)).await;
    assert_eq!(reply(&result.unwrap()).code(), "wechat_unavailable");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_costs_the_code() {
    let world = World::start().await;
    world.fault(CODE2SESSION, json!({ "answerLatencyMs": 60_000 })).await;
    let person = world.person(Value::Null).await;
    let event = event_with_body("login", "valid", &json!({ "code": world.code(&person).await }));
    let instance = world.instance("login").await;
    for expected in ["wechat_unavailable", "login_code_invalid"] {
        let result = instance.invoke_within(event.clone(), world.now(), Duration::from_secs(2)).await;
        assert_eq!(reply(&result.unwrap()).code(), expected);
    }
}

#[tokio::test]
async fn quotas_and_blocked_users_are_passed_on() {
    let world = World::start().await;
    world.sandbox("PUT", "/quotas", json!({ "path": "/sns/jscode2session", "perMinute": 1 })).await;
    assert_eq!(world.login(&fresh_code(&world).await).await.status, 200);
    let minute = world.login(&fresh_code(&world).await).await;
    assert_eq!((minute.code(), minute.header("retry-after")), ("rate_limited", "60"));
    world.sandbox("PUT", "/quotas", json!({ "path": "/sns/jscode2session", "perDay": 0 })).await;
    let day = world.login(&fresh_code(&world).await).await;
    assert_eq!((day.code(), day.header("retry-after")), ("rate_limited", "3600"));
    world.sandbox("PUT", "/quotas", json!({ "path": "/sns/jscode2session" })).await;

    let person = world.person(Value::Null).await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "blocked": true })).await;
    let blocked = world.login(&world.code(&person).await).await;
    assert_eq!((blocked.status, blocked.code()), (403, "user_blocked"));
}

#[tokio::test]
async fn an_address_outside_the_whitelist_is_named_in_the_log_and_not_to_the_client() {
    let world = World::start_with([("EGRESS_IP", "203.0.113.9, 203.0.113.10")]).await;
    world.sandbox("PUT", "/whitelist", json!({ "appId": MINI_PROGRAM, "ips": ["203.0.113.9"] })).await;
    let reply = world.login(&fresh_code(&world).await).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(reply.json["message"], "this backend is not set up correctly");

    let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
    let line = lines.iter().find(|line| line.get("seenIp").is_some()).unwrap();
    assert_eq!((&line["appId"], &line["seenIp"]), (&json!(MINI_PROGRAM), &json!("127.0.0.1")));
    assert_eq!(line["egressIp"], "203.0.113.9,203.0.113.10");
    assert!(lines.iter().any(|line| line["IpNotInWhitelist"] == 1));

    world.sandbox("PUT", "/whitelist", json!({ "appId": MINI_PROGRAM, "ips": null })).await;
    assert_eq!(world.login(&fresh_code(&world).await).await.status, 200);
}

#[tokio::test]
async fn the_sandbox_refuses_a_wrong_secret_as_wechat_does() {
    let right = World::start().await;
    let apps = json!([{ "appId": MINI_PROGRAM, "appSecret": "wrong", "kind": "mini-program" }]);
    let url = right.machine.wechat_url();
    let world = World::start_with([("WECHAT_APPS", &apps.to_string()), ("WECHAT_API_URLS", url)]).await;
    let reply = world.login("demo-code").await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    let calls = right.sandbox("GET", "/calls", Value::Null).await;
    assert_eq!(calls["calls"][0]["errcode"], 40125);
}

#[tokio::test]
async fn another_server_can_be_wechat() {
    let body = r#"{"openid":"oSomebody","session_key":"tiihtNczf5v6AKRyjwEUhQ==","unionid":"","expires_in":7200}"#;
    let other = Upstream::start(body, After::Stay).await;
    let apps = json!([{ "appId": "wxother", "appSecret": "s", "kind": "mini-program" }]);
    let world = World::start_with([("WECHAT_APPS", &apps.to_string()), ("WECHAT_API_URLS", &other.url)]).await;
    let reply = world.login("any-code").await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(false)));
    assert_eq!(other.requests(), 1);
}

#[tokio::test]
async fn answers_of_the_documented_shape_are_understood() {
    let vectors = std::fs::read_to_string(root().join("tests/vectors/code2session.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let outcomes = [
        ("code2session_ok", 200, ""),
        ("code2session_invalid_code", 400, "login_code_invalid"),
        ("code2session_code_used", 400, "login_code_invalid"),
        ("code2session_blocked", 403, "user_blocked"),
    ];
    assert_eq!(vectors.len(), outcomes.len());
    for (vector, (name, status, code)) in vectors.iter().zip(outcomes) {
        assert_eq!(vector["name"], name);
        let wechat = Upstream::start(&vector["body"].to_string(), After::Stay).await;
        let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
        let reply = world.login("any-code").await;
        assert_eq!((reply.status, reply.code()), (status, code), "{name}");
        if let Some(rid) = vector["body"]["errmsg"].as_str().and_then(|text| text.rsplit(' ').next()) {
            let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
            assert!(lines.iter().any(|line| line["rid"] == rid), "{name}");
        }
    }
}

#[tokio::test]
async fn the_next_host_is_asked_where_the_first_cannot_be_reached() {
    let other = Upstream::start(r#"{"openid":"o","session_key":"k"}"#, After::Stay).await;
    let closed = ClosedPort::default();
    let hosts = format!("{},{}", closed.url, other.url);
    let world = World::start_with([("WECHAT_API_URLS", &hosts)]).await;
    assert_eq!(world.login("one").await.status, 200);
    assert_eq!(world.login("two").await.status, 200);
    assert_eq!(other.requests(), 2);
}

#[tokio::test]
async fn no_host_at_all_is_unavailable() {
    let closed = ClosedPort::default();
    let world = World::start_with([("WECHAT_API_URLS", &closed.url)]).await;
    let reply = world.login("one").await;
    assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"));
}
