//! `user-info` links a unionid that WeChat's profile brings, by the rules of `login`.

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};
use tests::apps::MINI_PROGRAM;
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::http::Reply;
use tests::logs;
use tests::world::World;

const APPS: &str = r#"[{"appId":"wxone","appSecret":"s1","kind":"mini-program"},
                       {"appId":"wxtwo","appSecret":"s2","kind":"mini-program"}]"#;

async fn world() -> World {
    World::start_with([("WECHAT_APPS", APPS)]).await
}

/// Somebody logs in at the first mini program with the one unionid, and has the other from then on.
async fn somebody(world: &World, before: Value, after: Value) -> Caller {
    let caller = world.log_in(&world.person(before).await, "wxone").await;
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "unionid": after })).await;
    caller
}

async fn take(world: &World, caller: &Caller) -> Reply {
    let mut body = world.sandbox("POST", "/getUserInfo", json!({ "user": caller.person, "anonymous": false })).await;
    body.as_object_mut().unwrap().remove("errMsg").unwrap();
    caller.call(world, "user-info", body).await
}

#[tokio::test]
async fn a_unionid_that_nobody_has_becomes_the_users() {
    let world = world().await;
    let caller = somebody(&world, Value::Null, json!("union-new")).await;
    assert_eq!(caller.user(&world).await["hasUnionId"], false);
    for _ in 0..2 {
        let reply = take(&world, &caller).await;
        assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)));
    }
    assert_eq!(caller.row(&world).await["unionId"].as_s().unwrap(), "union-new");
    assert_eq!(world.rows_at("UNIONID#union-new", "UNIONID").await[0]["userId"].as_s().unwrap(), &caller.id);
    assert!(world.rows_at("USER#", "CONFLICT#").await.is_empty());
    // It leads there from another mini program.
    assert_eq!(world.log_in(&caller.person, "wxtwo").await.id, caller.id);
}

#[tokio::test]
async fn a_unionid_of_another_user_is_a_conflict_and_nothing_is_linked() {
    let world = world().await;
    let other = somebody(&world, json!("union-taken"), json!("union-taken")).await;
    let caller = somebody(&world, Value::Null, json!("union-taken")).await;
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "nickName": "小明" })).await;
    for _ in 0..2 {
        let reply = take(&world, &caller).await;
        let user = &reply.json["user"];
        assert_eq!((reply.status, &user["id"], &user["hasUnionId"]), (200, &json!(caller.id), &json!(false)));
        assert_eq!(user["nickName"], "小明");
    }
    let conflicts = world.rows_at("USER#", "CONFLICT#").await;
    assert_eq!(conflicts.len(), 1, "once per pair");
    assert_eq!(conflicts[0]["pk"].as_s().unwrap(), &format!("USER#{}", caller.id));
    assert_eq!(conflicts[0]["otherUserId"].as_s().unwrap(), &other.id);
    assert_eq!(world.rows_at("UNIONID#", "UNIONID").await[0]["userId"].as_s().unwrap(), &other.id);

    let lines = logs::all();
    let lines = lines.lines().filter(|line| line.contains("nothing was linked") && line.contains(&caller.id));
    let warnings: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(warnings.len(), 2, "logged each time");
    for warning in warnings {
        assert_eq!((&warning["function"], &warning["otherUserId"]), (&json!("user-info"), &json!(other.id)));
        let lines = logs::of_request(warning["requestId"].as_str().unwrap());
        assert!(lines.iter().any(|line| line["IdentityConflict"] == 1 && line["function"] == "user-info"));
    }
}

#[tokio::test]
async fn a_user_who_has_another_unionid_keeps_it() {
    let world = world().await;
    let caller = somebody(&world, json!("union-first"), json!("union-second")).await;
    let reply = take(&world, &caller).await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)));
    let conflicts = world.rows_at("USER#", "CONFLICT#").await;
    assert_eq!((conflicts.len(), conflicts[0].contains_key("otherUserId")), (1, false));
    assert_eq!(conflicts[0]["unionId"].as_s().unwrap(), "union-second");
    assert_eq!(caller.row(&world).await["unionId"].as_s().unwrap(), "union-first");
    assert_eq!(world.rows_at("UNIONID#", "UNIONID").await.len(), 1);
}

#[tokio::test]
async fn a_profile_without_a_unionid_takes_none_away() {
    let world = world().await;
    let caller = somebody(&world, json!("union-kept"), json!(false)).await;
    let reply = take(&world, &caller).await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)));
    assert!(world.rows_at("USER#", "CONFLICT#").await.is_empty());
}

#[tokio::test]
async fn many_profiles_and_logins_at_once_link_once() {
    let world = world().await;
    let caller = somebody(&world, Value::Null, json!("union-at-once")).await;
    let logins = join_all((0..10).map(|_| world.log_in(&caller.person, "wxone")));
    let (replies, logins) = tokio::join!(join_all((0..10).map(|_| take(&world, &caller))), logins);
    for reply in replies {
        assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)), "{:?}", reply.json);
    }
    assert!(logins.iter().all(|login| login.id == caller.id));
    assert!(world.rows_at("USER#", "CONFLICT#").await.is_empty());
    assert_eq!(world.rows_at("UNIONID#", "UNIONID").await.len(), 1);
}

#[tokio::test]
async fn a_unionid_that_was_linked_a_moment_ago_is_the_users() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    let unlinked = json!({ "pk": { "S": format!("USER#{}", caller.id) }, "sk": { "S": "USER" } });
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "unionid": "union-a-moment-ago" })).await;
    assert_eq!(world.log_in(&caller.person, &caller.app_id).await.id, caller.id);
    let mut body = world.sandbox("POST", "/getUserInfo", json!({ "user": caller.person })).await;
    body.as_object_mut().unwrap().remove("errMsg").unwrap();
    // The session is read, and then the user as before that login.
    proxy.inject_after("GetItem", 1, 1, Kind::Refuse(StatusCode::OK, json!({ "Item": unlinked })));
    let reply = caller.call(&world, "user-info", body).await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)));
    assert!(world.rows_at(&format!("USER#{}", caller.id), "CONFLICT#").await.is_empty());
}

#[tokio::test]
async fn a_link_that_meets_trouble_is_tried_again_and_one_that_meets_the_same_link_is_no_conflict() {
    for reasons in [
        &["TransactionConflict", "None"][..],
        &["ConditionalCheckFailed", "TransactionConflict"],
        &["None", "ConditionalCheckFailed"],
    ] {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        let caller = world.caller().await;
        world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "unionid": true })).await;
        proxy.inject("TransactWriteItems", 1, Kind::cancelled(reasons));
        let reply = take(&world, &caller).await;
        assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)), "{reasons:?}");
        assert!(world.rows_at(&format!("USER#{}", caller.id), "CONFLICT#").await.is_empty());
    }
}

#[tokio::test]
async fn a_conflict_that_cannot_be_recorded_does_not_spoil_the_profile() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let other = world.log_in(&world.person(json!("union-unrecorded")).await, MINI_PROGRAM).await;
    let caller = world.caller().await;
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "unionid": "union-unrecorded" })).await;
    proxy.inject("TransactWriteItems", 1, Kind::error("ValidationException"));
    let reply = take(&world, &caller).await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(false)));
    assert_ne!(other.id, caller.id);
    assert!(world.rows_at("USER#", "CONFLICT#").await.is_empty());
    let warned = |line: &str| line.contains("\"unrecorded\":") && line.contains(&caller.id);
    assert!(logs::all().lines().any(warned));
}
