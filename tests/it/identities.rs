//! Who is who: openid, unionid, and what happens when they disagree.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use serde_json::{Value, json};
use tests::dynamodb_proxy::Kind;
use tests::logs;
use tests::world::{Row, World};

const APPS: &str = r#"[{"appId":"wxone","appSecret":"s1","kind":"mini-program"},
                       {"appId":"wxtwo","appSecret":"s2","kind":"mini-program"}]"#;

async fn two_apps() -> World {
    World::start_with([("WECHAT_APPS", APPS)]).await
}

async fn login_at(world: &World, person: &str, app_id: &str) -> Value {
    let code = world.code_of(person, Some(app_id)).await;
    let reply = world.call("login", None, json!({ "code": code, "appId": app_id })).await;
    assert_eq!(reply.status, 200, "{:?}", reply.json);
    reply.json["user"].clone()
}

async fn rows_of(world: &World, prefix: &str) -> Vec<Row> {
    let rows = world.rows().await;
    rows.into_iter().filter(|row| row["sk"].as_s().unwrap().starts_with(prefix)).collect()
}

#[tokio::test]
async fn one_unionid_is_one_user_in_all_apps() {
    let world = two_apps().await;
    let person = world.person(json!(true)).await;
    let one = login_at(&world, &person, "wxone").await;
    let two = login_at(&world, &person, "wxtwo").await;
    assert_eq!(one["id"], two["id"]);
    assert_eq!((&one["isNew"], &two["isNew"]), (&json!(true), &json!(false)));
    assert_eq!(two["hasUnionId"], true);
    // From now on the openid alone leads there.
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": false })).await;
    assert_eq!(login_at(&world, &person, "wxtwo").await["id"], one["id"]);
}

#[tokio::test]
async fn without_a_unionid_two_apps_are_two_users() {
    let world = two_apps().await;
    let person = world.person(Value::Null).await;
    let (one, two) = (login_at(&world, &person, "wxone").await, login_at(&world, &person, "wxtwo").await);
    assert_ne!(one["id"], two["id"]);
    assert_eq!(one["hasUnionId"], false);
}

#[tokio::test]
async fn a_unionid_may_come_later_and_stays_when_it_is_missing_again() {
    let world = two_apps().await;
    let person = world.person(Value::Null).await;
    let before = login_at(&world, &person, "wxone").await;
    assert_eq!(before["hasUnionId"], false);
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-late" })).await;
    let after = login_at(&world, &person, "wxone").await;
    assert_eq!((&after["id"], &after["hasUnionId"]), (&before["id"], &json!(true)));
    assert_eq!(login_at(&world, &person, "wxtwo").await["id"], before["id"]);

    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": false })).await;
    assert_eq!(login_at(&world, &person, "wxone").await["hasUnionId"], true);
}

#[tokio::test]
async fn where_openid_and_unionid_disagree_the_openid_logs_in_and_nothing_is_linked() {
    let world = two_apps().await;
    let (ann, bob) = (world.person(Value::Null).await, world.person(json!("union-bob")).await);
    let ann_before = login_at(&world, &ann, "wxone").await;
    let bob_before = login_at(&world, &bob, "wxone").await;

    world.sandbox("PUT", &format!("/users/{ann}"), json!({ "unionid": "union-bob" })).await;
    for _ in 0..2 {
        let ann_after = login_at(&world, &ann, "wxone").await;
        assert_eq!((&ann_after["id"], &ann_after["hasUnionId"]), (&ann_before["id"], &json!(false)));
    }
    let conflicts = rows_of(&world, "CONFLICT#").await;
    assert_eq!(conflicts.len(), 1, "once per pair");
    assert_eq!(conflicts[0]["pk"].as_s().unwrap(), &format!("USER#{}", ann_before["id"].as_str().unwrap()));
    assert_eq!(conflicts[0]["otherUserId"].as_s().unwrap(), bob_before["id"].as_str().unwrap());
    assert_eq!(login_at(&world, &bob, "wxone").await["id"], bob_before["id"]);
}

#[tokio::test]
async fn a_user_keeps_the_first_unionid_and_the_second_is_a_conflict() {
    let world = two_apps().await;
    let person = world.person(json!("union-first")).await;
    let before = login_at(&world, &person, "wxone").await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-second" })).await;
    let after = login_at(&world, &person, "wxone").await;
    assert_eq!((&after["id"], &after["hasUnionId"]), (&before["id"], &json!(true)));

    let conflicts = rows_of(&world, "CONFLICT#").await;
    assert_eq!(conflicts.len(), 1);
    assert!(!conflicts[0].contains_key("otherUserId"));
    assert_eq!(conflicts[0]["unionId"].as_s().unwrap(), "union-second");
    let users = rows_of(&world, "USER").await;
    assert!(users.iter().any(|row| row.get("unionId").is_some_and(|id| id.as_s().unwrap() == "union-first")));
    assert_eq!(rows_of(&world, "UNIONID").await.len(), 1);
}

#[tokio::test]
async fn a_link_that_meets_the_same_link_is_no_conflict() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(Value::Null).await;
    world.login(&world.code(&person).await).await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-twice" })).await;
    // The user's row has been linked by another login, and the unionid's is still in its hands.
    let reasons = ["ConditionalCheckFailed", "TransactionConflict", "None", "None", "None"];
    proxy.inject("TransactWriteItems", 1, Kind::cancelled(&reasons));
    let reply = world.login(&world.code(&person).await).await;
    assert_eq!((reply.status, &reply.json["user"]["hasUnionId"]), (200, &json!(true)));
    assert!(rows_of(&world, "CONFLICT#").await.is_empty());
}

#[tokio::test]
async fn a_conflict_that_cannot_be_recorded_does_not_stop_the_login() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(json!("union-one")).await;
    world.login(&world.code(&person).await).await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-two" })).await;
    // The first fails to link, the second logs in, the third records.
    proxy.inject_after("TransactWriteItems", 2, 1, Kind::error("ValidationException"));
    let reply = world.login(&world.code(&person).await).await;
    assert_eq!(reply.status, 200);
    assert!(rows_of(&world, "CONFLICT#").await.is_empty());
    assert_eq!(world.login(&world.code(&person).await).await.status, 200);
    assert_eq!(rows_of(&world, "CONFLICT#").await.len(), 1);
}

async fn delete_user(world: &World, id: &str) {
    let table = world.table();
    let delete = table.client().delete_item().table_name(table.name());
    let delete = delete.key("pk", AttributeValue::S(format!("USER#{id}"))).key("sk", AttributeValue::S("USER".into()));
    delete.send().await.unwrap();
}

#[tokio::test]
async fn a_user_who_was_deleted_by_hand_is_made_anew_under_the_same_id() {
    // What the person has of a unionid before and after.
    for (before, after) in [(None, None), (Some("union-a"), Some("union-a")), (None, Some("union-a"))] {
        let world = two_apps().await;
        let person = world.person(json!(before)).await;
        let id = login_at(&world, &person, "wxone").await["id"].as_str().unwrap().to_owned();
        delete_user(&world, &id).await;
        world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": after })).await;

        let user = login_at(&world, &person, "wxone").await;
        assert_eq!((user["id"].as_str(), &user["hasUnionId"]), (Some(id.as_str()), &json!(after.is_some())));
        let user = login_at(&world, &person, "wxone").await;
        assert_eq!((user["id"].as_str(), &user["hasUnionId"]), (Some(id.as_str()), &json!(after.is_some())));
        assert!(rows_of(&world, "CONFLICT#").await.is_empty(), "{before:?} {after:?}");
    }
}

#[tokio::test]
async fn a_user_who_was_deleted_by_hand_keeps_the_first_unionid() {
    let world = two_apps().await;
    let person = world.person(json!("union-a")).await;
    let id = login_at(&world, &person, "wxone").await["id"].as_str().unwrap().to_owned();
    delete_user(&world, &id).await;
    // From another app, where the unionid leads there.
    assert_eq!(login_at(&world, &person, "wxtwo").await["id"], id);
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-b" })).await;
    assert_eq!(login_at(&world, &person, "wxone").await["id"], id);
    assert_eq!(rows_of(&world, "CONFLICT#").await.len(), 1);
    assert_eq!(rows_of(&world, "UNIONID").await.len(), 1);
}

#[tokio::test]
async fn the_logins_of_a_user_in_conflict_share_no_row_in_their_transactions() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(json!("union-mine")).await;
    world.login(&world.code(&person).await).await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-other" })).await;
    proxy.take_requests();
    for _ in 0..2 {
        assert_eq!(world.login(&world.code(&person).await).await.status, 200);
    }
    let transactions = proxy.take_requests().into_iter().filter(|(operation, _)| operation == "TransactWriteItems");
    let conflicts: Vec<_> = transactions.filter(|(_, body)| body.to_string().contains("CONFLICT#")).collect();
    assert_eq!(conflicts.len(), 2);
    assert!(conflicts.iter().all(|(_, body)| body["TransactItems"].as_array().unwrap().len() == 1));
    assert_eq!(rows_of(&world, "CONFLICT#").await.len(), 1);
}

#[tokio::test]
async fn a_conflict_is_logged_and_counted_without_naming_anybody() {
    let world = two_apps().await;
    let person = world.person(json!("union-logged-first")).await;
    let user = login_at(&world, &person, "wxone").await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": "union-logged-second" })).await;
    login_at(&world, &person, "wxone").await;

    let lines = logs::all();
    let warning =
        lines.lines().find(|line| line.contains("nothing was linked") && line.contains(user["id"].as_str().unwrap()));
    let warning: Value = serde_json::from_str(warning.unwrap()).unwrap();
    assert_eq!(warning["level"], "WARN");
    let of_request = logs::of_request(warning["requestId"].as_str().unwrap());
    let metric = of_request.iter().find(|line| line.get("_aws").is_some()).unwrap();
    assert_eq!(metric["IdentityConflict"], 1);
    assert_eq!(metric["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "IdentityConflict");
    assert_eq!(metric["function"], "login");
    assert!(!lines.contains("union-logged"));
}

#[tokio::test]
async fn two_hundred_logins_of_a_new_user_at_once_make_one_user() {
    let world = World::start().await;
    stampede(&world, 200).await;
}

#[tokio::test]
async fn two_hundred_logins_at_once_make_one_user_when_transactions_conflict() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject("TransactWriteItems", 150, Kind::cancelled(&["None", "TransactionConflict", "None"]));
    proxy.inject("TransactWriteItems", 30, Kind::error("TransactionInProgressException"));
    proxy.inject("BatchGetItem", 40, Kind::error("ProvisionedThroughputExceededException"));
    proxy.inject("TransactWriteItems", 20, Kind::LoseAnswer);
    stampede(&world, 200).await;
}

async fn stampede(world: &World, count: usize) {
    let person = world.person(json!(true)).await;
    let codes = join_all((0..count).map(|_| world.code(&person))).await;
    let replies = join_all(codes.iter().map(|code| world.login(code))).await;
    let failed: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(failed.is_empty(), "{failed:?}");

    let users: HashSet<_> = replies.iter().map(|reply| reply.json["user"]["id"].as_str().unwrap()).collect();
    assert_eq!(users.len(), 1);
    let tokens: HashSet<_> = replies.iter().map(|reply| reply.json["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.len(), count);
    assert_eq!(replies.iter().filter(|reply| reply.json["user"]["isNew"] == true).count(), 1);
    assert_eq!(rows_of(world, "UNIONID").await.len(), 1);
}
