//! `login` with OAuth codes: the users of official accounts and mobile apps.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::callers::CODE2SESSION;
use tests::http::Reply;
use tests::logs;
use tests::world::{World, event_with_body, reply};

const PATH: &str = "/sns/oauth2/access_token";

async fn login(world: &World, app_id: &str, code: &str) -> Reply {
    world.call("login", None, json!({ "code": code, "appId": app_id })).await
}

async fn snapshot(world: &World, person: &str) -> String {
    let wish = json!({ "user": person, "appId": OFFICIAL_ACCOUNT, "snapshot": true });
    world.sandbox("POST", "/oauth2/authorize", wish).await["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_code_becomes_a_session_and_a_user_without_a_session_key() {
    let world = World::start().await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let person = world.person(Value::Null).await;
        let first = login(&world, app_id, &world.code_for(&person, app_id).await).await;
        let (token, id) = (first.json["token"].as_str().unwrap(), first.json["user"]["id"].as_str().unwrap());
        let user = json!({ "id": id, "isNew": true, "hasUnionId": false, "phoneNumber": null });
        assert_eq!((first.status, &first.json), (200, &json!({ "token": token, "expiresIn": 604_800, "user": user })));
        let second = login(&world, app_id, &world.code_for(&person, app_id).await).await;
        assert_eq!((&second.json["user"]["id"], &second.json["user"]["isNew"]), (&json!(id), &json!(false)));

        let sessions = world.rows_at("SESSION#", "SESSION").await;
        let of_user: Vec<_> = sessions.iter().filter(|row| row["userId"].as_s().unwrap() == id).collect();
        assert_eq!(of_user.len(), 2);
        assert!(of_user.iter().all(|row| row["appId"].as_s().unwrap() == app_id && !row.contains_key("sessionKey")));
        // It is a session like any other.
        assert_eq!(world.call("user-info", Some(token), json!({})).await.json["user"]["id"], id);
        assert_eq!(world.call("logout", Some(token), json!({ "all": true })).await.status, 200);
        assert_eq!(world.call("user-info", second.json["token"].as_str(), json!({})).await.status, 401);
    }
    world.caller().await;
    let sessions = world.rows_at("SESSION#", "SESSION").await;
    assert!(sessions.iter().any(|row| row["appId"].as_s().unwrap() == MINI_PROGRAM && row.contains_key("sessionKey")));
}

#[tokio::test]
async fn one_unionid_is_one_user_in_apps_of_every_kind() {
    let world = World::start().await;
    for order in [[MINI_PROGRAM, OFFICIAL_ACCOUNT, MOBILE_APP], [MOBILE_APP, OFFICIAL_ACCOUNT, MINI_PROGRAM]] {
        let person = world.person(true.into()).await;
        let mut users = Vec::new();
        for app_id in order {
            let reply = login(&world, app_id, &world.code_for(&person, app_id).await).await;
            let user = &reply.json["user"];
            assert_eq!((reply.status, &user["hasUnionId"]), (200, &json!(true)));
            assert_eq!(user["isNew"], users.is_empty(), "{app_id}");
            users.push(user["id"].clone());
        }
        assert_eq!((&users[0], &users[0]), (&users[1], &users[2]));
    }
    let person = world.person(Value::Null).await;
    let mut users = HashSet::new();
    for app_id in [MINI_PROGRAM, OFFICIAL_ACCOUNT, MOBILE_APP] {
        users.insert(world.log_in(&person, app_id).await.id);
    }
    assert_eq!(users.len(), 3, "without a unionid nobody knows that they are one");
}

#[tokio::test]
async fn a_phone_number_of_the_mini_program_is_the_users_everywhere() {
    let world = World::start().await;
    let person = world.person(true.into()).await;
    let caller = world.log_in(&person, MINI_PROGRAM).await;
    let code = caller.phone_button(&world, json!({})).await["code"].take();
    let number = caller.call(&world, "phone-decrypt", json!({ "code": code })).await.json["phoneNumber"].take();
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let reply = login(&world, app_id, &world.code_for(&person, app_id).await).await;
        assert_eq!(reply.json["user"]["phoneNumber"], number, "{app_id}");
    }
}

#[tokio::test]
async fn a_snapshot_is_nobody_and_leaves_nothing_behind() {
    let world = World::start().await;
    let (stranger, known) = (world.person(true.into()).await, world.person(true.into()).await);
    world.log_in(&known, OFFICIAL_ACCOUNT).await;
    let before = world.rows().await.len();
    for person in [stranger, known] {
        let reply = login(&world, OFFICIAL_ACCOUNT, &snapshot(&world, &person).await).await;
        let message = "the code is wrong, too old or used up; get a new one";
        assert_eq!(reply.without_id(), (400, json!({ "code": "login_code_invalid", "message": message })));
    }
    assert_eq!(world.rows().await.len(), before);
}

#[tokio::test]
async fn the_same_code_within_two_minutes_gets_the_same_session() {
    let world = World::start().await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let code = world.code_for(&world.person(true.into()).await, app_id).await;
        let first = login(&world, app_id, &code).await;
        world.advance(Duration::from_secs(119));
        let second = login(&world, app_id, &code).await;
        assert_eq!((second.status, &second.json["token"]), (200, &first.json["token"]));
        assert_eq!((&second.json["user"], &second.json["expiresIn"]), (&first.json["user"], &json!(604_681)));
        world.advance(Duration::from_secs(1));
        assert_eq!(login(&world, app_id, &code).await.code(), "login_code_invalid");
    }
}

#[tokio::test]
async fn the_same_code_at_the_same_moment_gets_the_same_session_from_every_instance() {
    let world = World::start().await;
    let code = world.code_for(&world.person(Value::Null).await, OFFICIAL_ACCOUNT).await;
    let instances = join_all((0..8).map(|_| world.instance("login"))).await;
    let event = event_with_body("login", "valid", &json!({ "code": code, "appId": OFFICIAL_ACCOUNT }));
    let results = join_all(instances.iter().map(|instance| instance.invoke(event.clone(), world.now()))).await;
    let tokens: HashSet<_> =
        results.into_iter().map(|result| reply(&result.unwrap()).json["token"].to_string()).collect();
    assert_eq!(tokens.len(), 1);
    assert!(!tokens.contains("null"));
}

#[tokio::test]
async fn a_code_is_good_in_its_own_app_only() {
    let world = World::start().await;
    let person = world.person(true.into()).await;
    let apps = [MINI_PROGRAM, OFFICIAL_ACCOUNT, MOBILE_APP];
    for issued_by in apps {
        let code = world.code_for(&person, issued_by).await;
        for app_id in apps.into_iter().filter(|app_id| *app_id != issued_by) {
            let reply = login(&world, app_id, &code).await;
            assert_eq!((reply.status, reply.code()), (400, "login_code_invalid"), "{issued_by} at {app_id}");
        }
        // Nobody who was refused has used it up.
        assert_eq!(login(&world, issued_by, &code).await.status, 200, "{issued_by}");
    }
    // And a session that a code made is no other app's either.
    let code = world.code_for(&person, OFFICIAL_ACCOUNT).await;
    assert_eq!(login(&world, OFFICIAL_ACCOUNT, &code).await.status, 200);
    assert_eq!(login(&world, MOBILE_APP, &code).await.code(), "login_code_invalid");
}

#[tokio::test]
async fn a_code_lives_as_long_as_wechat_says() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    for (app_id, secs) in [(OFFICIAL_ACCOUNT, 300), (MOBILE_APP, 600)] {
        let codes = [world.code_for(&person, app_id).await, world.code_for(&person, app_id).await];
        world.advance(Duration::from_secs(secs - 1));
        assert_eq!(login(&world, app_id, &codes[0]).await.status, 200);
        world.advance(Duration::from_secs(1));
        assert_eq!(login(&world, app_id, &codes[1]).await.code(), "login_code_invalid");
    }
}

#[tokio::test]
async fn every_errcode_has_its_answer() {
    let world = World::start_with([("EGRESS_IP", "203.0.113.9")]).await;
    let person = world.person(Value::Null).await;
    for (fault, status, code, retry_after, calls) in [
        (json!({ "errcode": -1, "times": 2 }), 200, "", "", 3),
        (json!({ "errcode": -1, "times": 9 }), 503, "wechat_unavailable", "2", 3),
        (json!({ "emptyBody": true }), 503, "wechat_unavailable", "2", 1),
        (json!({ "drop": "before" }), 200, "", "", 2),
        (json!({ "drop": "after" }), 400, "login_code_invalid", "", 2),
        (json!({ "errcode": 40029 }), 400, "login_code_invalid", "", 1),
        (json!({ "errcode": 42003 }), 400, "login_code_invalid", "", 1),
        (json!({ "errcode": 40226 }), 403, "user_blocked", "", 1),
        (json!({ "errcode": 45011 }), 429, "rate_limited", "60", 1),
        (json!({ "errcode": 40125 }), 500, "misconfigured", "", 1),
        (json!({ "errcode": 40164 }), 500, "misconfigured", "", 1),
        (json!({ "errcode": 50002 }), 500, "internal", "", 1),
    ] {
        let (oauth_code, before) = (world.code_for(&person, MOBILE_APP).await, world.count_of(PATH).await);
        world.fault(PATH, fault.clone()).await;
        let reply = login(&world, MOBILE_APP, &oauth_code).await;
        assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (status, code, retry_after), "{fault}");
        assert_eq!(world.count_of(PATH).await - before, calls, "{fault}");
        if fault["errcode"] == 40164 {
            let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
            assert!(lines.iter().any(|line| line["appId"] == MOBILE_APP && line["egressIp"] == "203.0.113.9"));
        }
    }
    assert_eq!(world.count_of(CODE2SESSION).await, 0, "codes of OAuth go nowhere else");
}
