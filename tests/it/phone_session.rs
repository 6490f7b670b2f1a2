//! `phone-decrypt`: whose session it is, of which app, with which key, and when.

use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::callers::Caller;
use tests::http::Reply;
use tests::world::World;

async fn decrypt(world: &World, caller: &Caller, data: &Value) -> Reply {
    let body = json!({ "encryptedData": data["encryptedData"], "iv": data["iv"] });
    caller.call(world, "phone-decrypt", body).await
}

#[tokio::test]
async fn data_of_ten_minutes_before_or_after_is_fresh_and_of_a_second_more_is_not() {
    let world = World::start().await;
    let caller = world.caller().await;
    let now = Timestamp::from(world.now()).as_secs();
    for (timestamp, status) in [(now - 600, 200), (now + 600, 200), (now - 601, 409), (now + 601, 409), (now, 200)] {
        let data = caller.phone_button(&world, json!({ "watermark": { "timestamp": timestamp } })).await;
        let reply = decrypt(&world, &caller, &data).await;
        assert_eq!(reply.status, status, "{timestamp} at {now}: {:?}", reply.json);
    }
    let data = caller.phone_button(&world, json!({})).await;
    world.advance(Duration::from_secs(600));
    assert_eq!(decrypt(&world, &caller, &data).await.status, 200);
    world.advance(Duration::from_secs(1));
    assert_eq!(decrypt(&world, &caller, &data).await.code(), "session_key_stale");
}

#[tokio::test]
async fn what_wechat_encrypts_with_a_new_key_only_the_next_login_opens() {
    let world = World::start().await;
    let old = world.caller().await;
    let before = old.phone_button(&world, json!({})).await;
    world.sandbox("POST", &format!("/users/{}/session-key", old.person), Value::Null).await;
    let after = old.phone_button(&world, json!({})).await;
    assert_eq!(decrypt(&world, &old, &after).await.code(), "session_key_stale");
    let new = world.log_in(&old.person, MINI_PROGRAM).await;
    assert_eq!(decrypt(&world, &new, &after).await.status, 200);
    // Each session keeps its own key.
    assert_eq!(decrypt(&world, &old, &before).await.status, 200);
    assert_eq!(decrypt(&world, &new, &before).await.code(), "session_key_stale");
}

#[tokio::test]
async fn data_of_another_mini_program_is_not_of_this_session() {
    let apps = json!([
        { "appId": "wxone", "appSecret": "s1", "kind": "mini-program" },
        { "appId": "wxtwo", "appSecret": "s2", "kind": "mini-program" },
    ]);
    let world = World::start_with([("WECHAT_APPS", &apps.to_string())]).await;
    let person = world.person(true.into()).await;
    let (one, two) = (world.log_in(&person, "wxone").await, world.log_in(&person, "wxtwo").await);
    assert_eq!(one.id, two.id);
    let of_one = one.phone_button(&world, json!({})).await;
    assert_eq!(decrypt(&world, &two, &of_one).await.code(), "session_key_stale");
    assert_eq!(decrypt(&world, &one, &of_one).await.status, 200);
    let disguised = two.phone_button(&world, json!({ "watermark": { "appid": "wxone" } })).await;
    assert_eq!(decrypt(&world, &two, &disguised).await.code(), "session_key_stale");
}

#[tokio::test]
async fn a_session_of_another_kind_of_app_is_the_wrong_one() {
    let world = World::start().await;
    let person = world.person(true.into()).await;
    let in_mini_program = world.log_in(&person, MINI_PROGRAM).await;
    let button = in_mini_program.phone_button(&world, json!({})).await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let caller = world.log_in(&person, app_id).await;
        assert_eq!(caller.id, in_mini_program.id);
        let by_code = caller.call(&world, "phone-decrypt", json!({ "code": button["code"] })).await;
        for reply in [by_code, decrypt(&world, &caller, &button).await] {
            let expected = json!({ "code": "wrong_app_kind", "message": "this needs a mini program" });
            assert_eq!(reply.without_id(), (400, expected), "{app_id}");
        }
        // What is wrong with the request is said first.
        assert_eq!(caller.call(&world, "phone-decrypt", json!({})).await.code(), "invalid_request");
    }
    assert_eq!(world.count_of("/wxa/business/getuserphonenumber").await, 0);
    assert!(!in_mini_program.row(&world).await.contains_key("phoneNumber"));
}

#[tokio::test]
async fn without_a_session_nothing_is_looked_at() {
    let world = World::start().await;
    for body in [json!({ "code": "demo-phone-code" }), json!({ "code": "a b" }), json!([])] {
        let reply = world.call("phone-decrypt", None, body).await;
        assert_eq!((reply.status, reply.code(), reply.header("www-authenticate")), (401, "session_invalid", "Bearer"));
    }
    assert_eq!(world.count_of("/wxa/business/getuserphonenumber").await, 0);
}

#[tokio::test]
async fn a_user_who_was_deleted_by_hand_is_not_made_anew_by_a_number() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.delete(&format!("USER#{}", caller.id), "USER").await;
    let button = caller.phone_button(&world, json!({})).await;
    assert_eq!(decrypt(&world, &caller, &button).await.code(), "session_invalid");
    assert!(world.rows_at(&format!("USER#{}", caller.id), "USER").await.is_empty());
    let again = world.log_in(&caller.person, MINI_PROGRAM).await;
    assert_eq!(again.id, caller.id);
    assert_eq!(decrypt(&world, &again, &button).await.status, 200);
}

/// The functions with something else in a variable, over the same table and with the same WeChat.
async fn with(world: &World, variable: &str, value: &str) -> World {
    let mut env = world.machine.env().clone();
    env.set(variable, value);
    let names = ["AWS_ENDPOINT_URL_DYNAMODB", "TABLE_NAME", "WECHAT_API_URLS", "WECHAT_APPS", "SEAL_KEY"];
    World::start_with(names.map(|name| (name, env.get(name).unwrap()))).await
}

#[tokio::test]
async fn a_session_whose_seal_key_is_gone_is_stale_and_one_whose_key_still_opens_is_not() {
    let (old, new) = ("the-old-key-of-43-characters-or-even-more-01", "the-new-key-of-43-characters-or-even-more-02");
    let before = World::start_with([("SEAL_KEY", old)]).await;
    let caller = before.caller().await;
    let data = caller.phone_button(&before, json!({})).await;
    assert_eq!(decrypt(&before, &caller, &data).await.status, 200);

    let without = with(&before, "SEAL_KEY", new).await;
    assert_eq!(decrypt(&without, &caller, &data).await.code(), "session_key_stale");
    assert_eq!(caller.user(&without).await["phoneNumber"], Value::Null);
    let both = with(&before, "SEAL_KEY", &format!("{new},{old}")).await;
    assert_eq!(decrypt(&both, &caller, &data).await.status, 200);
    // It is sealed with the new key now.
    assert!(caller.user(&without).await["phoneNumber"].is_string());
    assert_eq!(caller.user(&before).await["phoneNumber"], Value::Null);
}

#[tokio::test]
async fn a_code_needs_no_key_of_the_session_and_a_token_that_does_not_open_is_none() {
    let before = World::start_with([("SEAL_KEY", "the-old-key-of-43-characters-or-even-more-01")]).await;
    let caller = before.caller().await;
    let codes = [caller.phone_button(&before, json!({})).await, caller.phone_button(&before, json!({})).await];
    let by_code = async |world: &World, at: usize| {
        caller.call(world, "phone-decrypt", json!({ "code": codes[at]["code"] })).await.status
    };
    assert_eq!(by_code(&before, 0).await, 200);
    let after = with(&before, "SEAL_KEY", "the-new-key-of-43-characters-or-even-more-02").await;
    assert_eq!(by_code(&after, 1).await, 200);
    assert_eq!(before.count_of("/cgi-bin/stable_token").await, 2);
}

#[tokio::test]
async fn a_session_of_an_app_that_is_configured_no_more_is_a_mistake_of_ours() {
    let one = json!({ "appId": "wxone", "appSecret": "s1", "kind": "mini-program" });
    let two = json!({ "appId": "wxtwo", "appSecret": "s2", "kind": "mini-program" });
    let before = World::start_with([("WECHAT_APPS", &json!([one, two]).to_string())]).await;
    let caller = before.log_in(&before.person(Value::Null).await, "wxtwo").await;
    let after = with(&before, "WECHAT_APPS", &json!([one]).to_string()).await;
    let button = caller.phone_button(&before, json!({})).await;
    let reply = caller.call(&after, "phone-decrypt", json!({ "code": button["code"] })).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(before.count_of("/cgi-bin/stable_token").await, 0);
    // What needs no token of the app goes on.
    assert_eq!(decrypt(&after, &caller, &button).await.status, 200);
}
