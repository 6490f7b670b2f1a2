//! `phone-decrypt` by a code: what WeChat may say to it, and the access token that it takes.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::http::Reply;
use tests::logs;
use tests::world::World;

const PATH: &str = "/wxa/business/getuserphonenumber";
const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

const APPS: &str = r#"[{"appId":"wxone","appSecret":"s1","kind":"mini-program"},
                       {"appId":"wxtwo","appSecret":"s2","kind":"mini-program"}]"#;

async fn fresh_code(world: &World, caller: &Caller) -> Value {
    caller.phone_button(world, json!({})).await["code"].take()
}

async fn by_code(world: &World, caller: &Caller, code: &Value) -> Reply {
    caller.call(world, "phone-decrypt", json!({ "code": code })).await
}

#[tokio::test]
async fn a_code_that_is_not_the_callers_own_and_fresh_is_invalid() {
    let world = World::start_with([("WECHAT_APPS", APPS)]).await;
    let (caller, other) = (world.caller().await, world.caller().await);
    let elsewhere = world.log_in(&caller.person, "wxtwo").await;
    let (used, expired) = (fresh_code(&world, &caller).await, fresh_code(&world, &caller).await);
    assert_eq!(by_code(&world, &other, &used).await.code(), "phone_code_invalid");
    assert_eq!(by_code(&world, &elsewhere, &used).await.code(), "phone_code_invalid");
    // Nobody who was refused has used it up.
    assert_eq!(by_code(&world, &caller, &used).await.status, 200);
    world.advance(Duration::from_secs(300));
    for (name, code) in [
        ("used", used),
        ("expired", expired),
        ("of somebody else", fresh_code(&world, &other).await),
        ("of another mini program", fresh_code(&world, &elsewhere).await),
        ("of wx.login", world.code(&caller.person).await.into()),
        ("nobody's", "nobodys-code".into()),
        ("as long as may be", "x".repeat(128).into()),
    ] {
        let reply = by_code(&world, &caller, &code).await;
        let message = "the code is wrong, too old or used up; get a new one";
        assert_eq!(reply.without_id(), (400, json!({ "code": "phone_code_invalid", "message": message })), "{name}");
        assert_eq!(reply.header("retry-after"), "", "{name}");
    }
    assert!(!other.row(&world).await.contains_key("phoneNumber"));
}

#[tokio::test]
async fn the_log_says_what_wechat_said_to_a_code() {
    let world = World::start_with([("WECHAT_APPS", APPS)]).await;
    let caller = world.caller().await;
    let elsewhere = world.log_in(&caller.person, "wxtwo").await;
    for (code, errcode) in [(json!("nobodys-code"), 40029), (fresh_code(&world, &elsewhere).await, 40013)] {
        let reply = by_code(&world, &caller, &code).await;
        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!((&line["errcode"], &line["code"]), (&json!(errcode), &json!("phone_code_invalid")));
        assert_eq!((&line["function"], line["rid"].as_str().unwrap().len()), (&json!("phone-decrypt"), 26));
    }
}

#[tokio::test]
async fn every_errcode_has_its_answer() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (fault, status, code, retry_after, calls) in [
        (json!({ "errcode": -1, "times": 9 }), 503, "wechat_unavailable", "2", 3),
        (json!({ "errcode": -1, "times": 2 }), 200, "", "", 3),
        (json!({ "status": 502, "times": 9 }), 503, "wechat_unavailable", "2", 3),
        (json!({ "emptyBody": true }), 503, "wechat_unavailable", "2", 1),
        (json!({ "errcode": 99999 }), 503, "wechat_unavailable", "2", 1),
        (json!({ "drop": "before" }), 200, "", "", 2),
        (json!({ "drop": "after" }), 400, "phone_code_invalid", "", 2),
        (json!({ "errcode": 40163 }), 400, "phone_code_invalid", "", 1),
        (json!({ "errcode": 40003 }), 400, "phone_code_invalid", "", 1),
        (json!({ "errcode": 43104 }), 400, "phone_code_invalid", "", 1),
        (json!({ "errcode": 40226 }), 403, "user_blocked", "", 1),
        (json!({ "errcode": 45011 }), 429, "rate_limited", "60", 1),
        (json!({ "errcode": 45009 }), 429, "rate_limited", "3600", 1),
        (json!({ "errcode": 40164 }), 500, "misconfigured", "", 1),
        (json!({ "errcode": 48001 }), 500, "misconfigured", "", 1),
        (json!({ "errcode": 47001 }), 500, "internal", "", 1),
    ] {
        let (body, before) = (fresh_code(&world, &caller).await, world.count_of(PATH).await);
        world.fault(PATH, fault.clone()).await;
        let reply = by_code(&world, &caller, &body).await;
        let answer = (reply.status, reply.code(), reply.header("retry-after"));
        assert_eq!(answer, (status, code, retry_after), "{fault}");
        assert_eq!(world.count_of(PATH).await - before, calls, "{fault}");
        assert!(!reply.json["message"].to_string().contains("injected"), "{fault}");
    }
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
}

#[tokio::test]
async fn an_answer_without_a_number_is_none() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "phoneNumber": "" })).await;
    let code = fresh_code(&world, &caller).await;
    let reply = by_code(&world, &caller, &code).await;
    assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"));
    assert!(!caller.row(&world).await.contains_key("phoneNumber"));
}

#[tokio::test]
async fn a_wechat_that_hangs_is_unavailable_and_not_asked_again() {
    let world = World::start().await;
    let caller = world.caller().await;
    let code = fresh_code(&world, &caller).await;
    world.fault(PATH, json!({ "latencyMs": 60_000, "times": 9 })).await;
    let reply = by_code(&world, &caller, &code).await;
    assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "wechat_unavailable", "2"));
    assert_eq!(world.count_of(PATH).await, 1);
}

#[tokio::test]
async fn an_address_outside_the_whitelist_is_named_in_the_log_and_not_to_the_client() {
    let world = World::start_with([("EGRESS_IP", "203.0.113.9")]).await;
    let caller = world.caller().await;
    world.fault(PATH, json!({ "errcode": 40164 })).await;
    let reply = by_code(&world, &caller, &json!("any-code")).await;
    let message = "this backend is not set up correctly";
    assert_eq!(reply.without_id(), (500, json!({ "code": "misconfigured", "message": message })));
    let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
    assert!(lines.iter().any(|line| line["appId"] == caller.app_id && line["egressIp"] == "203.0.113.9"), "{lines:?}");
    assert!(lines.iter().any(|line| line["IpNotInWhitelist"] == 1 && line["function"] == "phone-decrypt"));
}

#[tokio::test]
async fn a_revoked_token_costs_one_more_and_the_call_is_made_again() {
    let world = World::start().await;
    let caller = world.caller().await;
    let code = fresh_code(&world, &caller).await;
    assert_eq!(by_code(&world, &caller, &code).await.status, 200);
    assert_eq!((world.count_of(STABLE_TOKEN).await, world.count_of(PATH).await), (1, 1));
    world.sandbox("POST", "/tokens/revoke", json!({ "appId": caller.app_id })).await;
    for (tokens, calls) in [(2, 3), (2, 4)] {
        let code = fresh_code(&world, &caller).await;
        assert_eq!(by_code(&world, &caller, &code).await.status, 200);
        assert_eq!((world.count_of(STABLE_TOKEN).await, world.count_of(PATH).await), (tokens, calls));
    }
}

#[tokio::test]
async fn a_token_that_wechat_always_refuses_is_replaced_once_if_there_is_another() {
    for errcode in [40001, 40014, 42001] {
        for is_revoked in [true, false] {
            let world = World::start().await;
            let caller = world.caller().await;
            let code = fresh_code(&world, &caller).await;
            assert_eq!(by_code(&world, &caller, &code).await.status, 200);
            if is_revoked {
                world.sandbox("POST", "/tokens/revoke", json!({ "appId": caller.app_id })).await;
            }
            world.fault(PATH, json!({ "errcode": errcode, "times": 9 })).await;
            let code = fresh_code(&world, &caller).await;
            let reply = by_code(&world, &caller, &code).await;
            assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{errcode}");
            assert_ne!(reply.header("retry-after"), "", "{errcode}");
            let calls = world.count_of(PATH).await;
            assert_eq!(calls, if is_revoked { 3 } else { 2 }, "{errcode}, revoked: {is_revoked}");
            assert_eq!(world.count_of(STABLE_TOKEN).await, 2);
        }
    }
}

#[tokio::test]
async fn a_token_that_wechat_does_not_give_is_said_by_its_reason() {
    for (errcode, status, code) in [(-1, 503, "wechat_unavailable"), (40125, 500, "misconfigured")] {
        let world = World::start().await;
        let caller = world.caller().await;
        world.fault(STABLE_TOKEN, json!({ "errcode": errcode, "times": 99 })).await;
        let phone_code = fresh_code(&world, &caller).await;
        let reply = by_code(&world, &caller, &phone_code).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{errcode}");
        assert_eq!(reply.header("retry-after").is_empty(), status == 500, "{errcode}");
        assert_eq!(world.count_of(PATH).await, 0);
    }
}

#[tokio::test]
async fn each_mini_program_calls_with_a_token_of_its_own() {
    let world = World::start_with([("WECHAT_APPS", APPS)]).await;
    let person = world.person(true.into()).await;
    for (at, app_id) in ["wxone", "wxtwo", "wxone"].into_iter().enumerate() {
        let caller = world.log_in(&person, app_id).await;
        let code = fresh_code(&world, &caller).await;
        assert_eq!(by_code(&world, &caller, &code).await.status, 200, "{app_id}");
        assert_eq!(world.calls_of(PATH).await[at]["appId"], app_id);
    }
    assert_ne!(world.live("wxone", "access_token").await, world.live("wxtwo", "access_token").await);
    assert_eq!(world.count_of(STABLE_TOKEN).await, 2);
}

#[tokio::test]
async fn a_warm_instance_reads_the_session_asks_wechat_and_writes_the_user() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let code = fresh_code(&world, &caller).await;
    assert_eq!(by_code(&world, &caller, &code).await.status, 200);
    proxy.take_calls();
    let code = fresh_code(&world, &caller).await;
    assert_eq!(by_code(&world, &caller, &code).await.status, 200);
    assert_eq!(proxy.take_calls(), ["GetItem", "UpdateItem"]);
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
}
