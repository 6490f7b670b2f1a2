//! `login`: codes, sessions, and the same code twice.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use tests::callers::CODE2SESSION;
use tests::dynamodb_proxy::Kind;
use tests::world::{World, event_with_body, reply};

#[tokio::test]
async fn a_code_becomes_a_session_and_a_user() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;

    let first = world.login(&world.code(&person).await).await;
    assert_eq!(first.status, 200);
    let (token, user) = (&first.json["token"], &first.json["user"]);
    assert_eq!(token.as_str().unwrap().len(), 43);
    let id = user["id"].as_str().unwrap();
    let expected_user = json!({ "id": id, "isNew": true, "hasUnionId": false, "phoneNumber": null });
    assert_eq!(first.json, json!({ "token": token, "expiresIn": 604_800, "user": expected_user }));

    let second = world.login(&world.code(&person).await).await;
    assert_eq!(second.json["user"]["id"], id);
    assert_eq!(second.json["user"]["isNew"], false);
    assert_ne!(second.json["token"], first.json["token"]);
}

#[tokio::test]
async fn a_returning_user_costs_one_wechat_call_and_two_round_trips() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(json!(true)).await;
    world.login(&world.code(&person).await).await;
    let (wechat_before, _) = (world.count_of(CODE2SESSION).await, proxy.take_calls());

    assert_eq!(world.login(&world.code(&person).await).await.status, 200);
    assert_eq!(world.count_of(CODE2SESSION).await - wechat_before, 1);
    // The user's row is read while the session is written.
    let mut calls = proxy.take_calls();
    assert_eq!(calls.remove(0), "BatchGetItem");
    calls.sort();
    assert_eq!(calls, ["GetItem", "TransactWriteItems"]);
}

#[tokio::test]
async fn the_same_code_again_gets_the_same_session() {
    let world = World::start().await;
    let code = world.code(&world.person(json!(true)).await).await;
    let first = world.login(&code).await;
    world.advance(Duration::from_secs(100));
    let second = world.login(&code).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.json["token"], first.json["token"]);
    assert_eq!(second.json["user"], first.json["user"]);
    assert_eq!(second.json["expiresIn"], 604_700);
}

#[tokio::test]
async fn the_same_code_at_the_same_moment_gets_the_same_session_from_every_instance() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    let instances = join_all((0..12).map(|_| world.instance("login"))).await;
    let event = event_with_body("login", "valid", &json!({ "code": code }));

    let results = join_all(instances.iter().map(|instance| instance.invoke(event.clone(), world.now()))).await;
    let replies: Vec<_> = results.into_iter().map(|result| reply(&result.unwrap())).collect();
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    let tokens: HashSet<_> = replies.iter().map(|reply| reply.json["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 1);
}

#[tokio::test]
async fn a_code_is_forgotten_after_two_minutes_by_the_clock_though_the_row_is_still_there() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    assert_eq!(world.login(&code).await.status, 200);
    world.advance(Duration::from_secs(120));
    let rows = world.rows().await;
    assert!(rows.iter().any(|row| row["pk"].as_s().unwrap().starts_with("CODE#")));

    let late = world.login(&code).await;
    assert_eq!((late.status, late.code()), (400, "login_code_invalid"));
}

#[tokio::test]
async fn a_code_leads_nowhere_once_its_session_has_ended() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    let token = world.login(&code).await.json["token"].as_str().unwrap().to_owned();
    assert_eq!(world.call("logout", Some(&token), json!({})).await.status, 200);

    let again = world.login(&code).await;
    assert_eq!((again.status, again.code()), (400, "login_code_invalid"));
}

#[tokio::test]
async fn an_invalid_code_is_looked_for_once() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.take_calls();
    let reply = world.login("nobody-has-this-code").await;
    assert_eq!((reply.status, reply.code()), (400, "login_code_invalid"));
    assert_eq!(proxy.take_calls(), ["GetItem"]);
}

#[tokio::test]
async fn a_session_that_is_not_visible_yet_is_waited_for() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let code = world.code(&world.person(Value::Null).await).await;
    let first = world.login(&code).await;
    // The code's row is there, and the session's is not, as a reader in the middle of a commit may see them.
    proxy.inject_after("GetItem", 1, 2, Kind::Refuse(StatusCode::OK, json!({})));
    let second = world.login(&code).await;
    assert_eq!(second.json["token"], first.json["token"]);
}

#[tokio::test]
async fn a_code_that_wechat_has_forgotten_still_finds_its_session() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    let first = world.login(&code).await;
    world.fault(CODE2SESSION, json!({ "errcode": 40029 })).await;
    let again = world.login(&code).await;
    assert_eq!(again.json["token"], first.json["token"]);
}

#[tokio::test]
async fn a_code_that_somebody_else_used_up_is_invalid_after_a_short_wait() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    world.fault(CODE2SESSION, json!({ "errcode": 40163 })).await;
    let reply = world.login(&code).await;
    assert_eq!((reply.status, reply.code()), (400, "login_code_invalid"));
}

#[tokio::test]
async fn an_expired_code_is_invalid() {
    let world = World::start().await;
    let code = world.code(&world.person(Value::Null).await).await;
    world.advance(Duration::from_secs(301));
    assert_eq!(world.login(&code).await.code(), "login_code_invalid");
}

#[tokio::test]
async fn what_is_not_visible_ascii_never_reaches_wechat() {
    let world = World::start().await;
    for code in [json!(""), json!(" "), json!("a\u{e9}"), json!("x".repeat(129)), json!(1), json!(null), json!(["x"])] {
        let reply = world.call("login", None, json!({ "code": code })).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid_request"), "{code}");
        assert_eq!(reply.json["message"], "field `code` is not valid", "{code}");
    }
    assert_eq!(world.count_of(CODE2SESSION).await, 0);
}

#[tokio::test]
async fn without_a_mini_program_an_app_has_to_be_named() {
    let apps = json!([
        { "appId": "wxofficial", "appSecret": "s", "kind": "official-account" },
        { "appId": "wxmobile", "appSecret": "s", "kind": "mobile-app" },
    ]);
    let world = World::start_with([("WECHAT_APPS", &apps.to_string())]).await;
    let reply = world.login("x").await;
    assert_eq!((reply.status, reply.code()), (400, "invalid_request"));
    assert_eq!(reply.json["message"], "field `appId` is missing, and there is no mini program");
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_configured_to() {
    let world = World::start_with([("SESSION_TTL_SECS", "90")]).await;
    let login = world.logged_in().await;
    assert_eq!(login["expiresIn"], 90);
    let token = login["token"].as_str();
    world.advance(Duration::from_secs(88));
    assert_eq!(world.call("user-info", token, json!({})).await.status, 200);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.call("user-info", token, json!({})).await.code(), "session_invalid");
}
