//! Sessions at work: `user-info`, `logout`, and what is in the table.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::setup::Setup;
use tests::dynamodb_proxy::Kind;
use tests::world::World;

#[tokio::test]
async fn user_info_shows_the_caller() {
    let world = World::start().await;
    let login = world.logged_in().await;
    let reply = world.call("user-info", login["token"].as_str(), json!({})).await;
    let user = json!({
        "id": login["user"]["id"], "nickName": null, "avatarUrl": null, "hasUnionId": false, "phoneNumber": null,
    });
    assert_eq!((reply.status, reply.json), (200, json!({ "user": user })));
}

#[tokio::test]
async fn every_reason_for_401_looks_the_same() {
    let world = World::start().await;
    let token = world.logged_in().await["token"].as_str().unwrap().to_owned();
    let changed = format!("{}{}", &token[..42], if token.ends_with('A') { 'Q' } else { 'A' });
    let ended = world.logged_in().await["token"].as_str().unwrap().to_owned();
    world.call("logout", Some(&ended), json!({})).await;
    world.advance(Duration::from_secs(1));
    for token in [None, Some("x"), Some(changed.as_str()), Some(ended.as_str()), Some("")] {
        let mut reply = world.call("user-info", token, json!({})).await;
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        reply.json.as_object_mut().unwrap().remove("requestId").unwrap();
        let expected = json!({
            "code": "session_invalid", "message": "there is no such session (any more); log in",
        });
        assert_eq!((reply.status, reply.json), (401, expected));
    }
    assert_eq!(world.call("user-info", Some(&token), json!({})).await.status, 200);
}

#[tokio::test]
async fn an_expired_session_is_none_though_its_row_is_still_there() {
    let world = World::start().await;
    let login = world.logged_in().await;
    world.advance(Duration::from_secs(604_800));
    let rows = world.rows().await;
    assert!(rows.iter().any(|row| row["pk"].as_s().unwrap().starts_with("SESSION#")));
    assert_eq!(world.call("user-info", login["token"].as_str(), json!({})).await.code(), "session_invalid");
}

#[tokio::test]
async fn logout_ends_this_session_and_no_other() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let login = world.login(&world.code(&person).await).await;
        tokens.push(login.json["token"].as_str().unwrap().to_owned());
    }
    let reply = world.call("logout", Some(&tokens[0]), json!({ "all": false })).await;
    assert_eq!((reply.status, reply.json), (200, json!({})));
    assert_eq!(world.call("user-info", Some(&tokens[0]), json!({})).await.status, 401);
    assert_eq!(world.call("user-info", Some(&tokens[1]), json!({})).await.status, 200);
    assert_eq!(world.call("logout", Some(&tokens[0]), json!({})).await.status, 401);
}

#[tokio::test]
async fn logout_of_all_ends_every_session_of_the_user_and_nobody_elses() {
    let world = World::start().await;
    let other = world.logged_in().await;
    let person = world.person(Value::Null).await;
    let codes = join_all((0..60).map(|_| world.code(&person))).await;
    let logins = join_all(codes.iter().map(|code| world.login(code))).await;
    let tokens: Vec<_> = logins.iter().map(|login| login.json["token"].as_str().unwrap()).collect();

    assert_eq!(world.call("logout", Some(tokens[7]), json!({ "all": true })).await.status, 200);
    let statuses = join_all(tokens.iter().map(|token| world.call("user-info", Some(token), json!({})))).await;
    assert!(statuses.iter().all(|reply| reply.status == 401));
    let user = format!("USER#{}", logins[0].json["user"]["id"].as_str().unwrap());
    let rows = world.rows().await;
    assert!(
        !rows.iter().any(|row| *row["pk"].as_s().unwrap() == user && row["sk"].as_s().unwrap().starts_with("SESSION#"))
    );
    assert_eq!(world.call("user-info", other["token"].as_str(), json!({})).await.status, 200);
}

#[tokio::test]
async fn a_logout_of_all_ends_the_callers_session_even_where_it_is_not_listed() {
    let world = World::start().await;
    let login = world.logged_in().await;
    let user = format!("USER#{}", login["user"]["id"].as_str().unwrap());
    let table = world.table();
    for row in world.rows().await.into_iter().filter(|row| *row["pk"].as_s().unwrap() == user) {
        let delete = table.client().delete_item().table_name(table.name());
        delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
    }
    assert_eq!(world.call("logout", login["token"].as_str(), json!({ "all": true })).await.status, 200);
    assert_eq!(world.call("logout", login["token"].as_str(), json!({ "all": true })).await.status, 401);
}

#[tokio::test]
async fn a_logout_of_all_that_is_interrupted_can_be_repeated_with_the_same_token() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(Value::Null).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let login = world.login(&world.code(&person).await).await;
        tokens.push(login.json["token"].as_str().unwrap().to_owned());
    }
    // The sessions of the others are deleted, and then their lines in the user's partition are not.
    proxy.inject("BatchWriteItem", 1, Kind::LoseAnswer);
    proxy.inject("BatchWriteItem", 1, Kind::error("ValidationException"));
    let interrupted = world.call("logout", Some(&tokens[0]), json!({ "all": true })).await;
    assert_eq!((interrupted.status, interrupted.code()), (500, "internal"));

    assert_eq!(world.call("logout", Some(&tokens[0]), json!({ "all": true })).await.status, 200);
    for token in &tokens {
        assert_eq!(world.call("user-info", Some(token), json!({})).await.status, 401);
    }
}

#[tokio::test]
async fn a_phone_number_is_opened_for_its_owner_and_null_when_the_key_is_gone() {
    let world = World::start().await;
    let login = world.logged_in().await;
    let id = login["user"]["id"].as_str().unwrap();
    let sealer = Setup::new(world.machine.env().clone(), Clock::system()).unwrap().sealer().await.unwrap();
    let sealed = |context: String| AttributeValue::B(Blob::new(sealer.seal(b"+8613800138000", &context)));
    let table = world.table();
    let set_phone = async |value| {
        let update = table.client().update_item().table_name(table.name());
        let update =
            update.key("pk", AttributeValue::S(format!("USER#{id}"))).key("sk", AttributeValue::S("USER".into()));
        let update = update.update_expression("SET phoneNumber = :n").expression_attribute_values(":n", value);
        update.send().await.unwrap();
    };
    set_phone(sealed(format!("USER#{id}\nUSER\nphoneNumber"))).await;
    let reply = world.call("user-info", login["token"].as_str(), json!({})).await;
    assert_eq!(reply.json["user"]["phoneNumber"], "+8613800138000");

    set_phone(sealed("USER#somebody-else\nUSER\nphoneNumber".to_owned())).await;
    let reply = world.call("user-info", login["token"].as_str(), json!({})).await;
    assert_eq!((reply.status, &reply.json["user"]["phoneNumber"]), (200, &Value::Null));
}
