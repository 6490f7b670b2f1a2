//! `user-info`: the profile that a user sets.

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::world::World;

/// Names whole of any script, with what belongs together.
const NAMES: [&str; 9] =
    ["小明", "👨‍👩‍👧‍👦", "🏳️‍🌈 🇨🇳 👍🏽", "Zoë e\u{301}", "नमस्ते", "שלום", "مرحبا", "微信用户", "a\u{200b}\"\\/<b>'{}$&"];

#[tokio::test]
async fn what_is_given_is_set_and_the_rest_stays() {
    let world = World::start().await;
    let caller = world.caller().await;
    let mut expected = json!({
        "id": caller.id, "nickName": null, "avatarUrl": null, "hasUnionId": false, "phoneNumber": null,
    });
    for (name, value) in [
        ("nickName", "小明"),
        ("avatarUrl", "https://example.com/a.png?x=1&y=%E5%AD%97#z"),
        ("nickName", "大明"),
        ("avatarUrl", "https://例子.cn/头像.png"),
    ] {
        let reply = caller.call(&world, "user-info", json!({ name: value })).await;
        expected[name] = value.into();
        assert_eq!((reply.status, &reply.json), (200, &json!({ "user": expected })));
        assert_eq!(caller.user(&world).await, expected);
    }
    let both = json!({ "nickName": "A", "avatarUrl": "https://example.com/" });
    let reply = caller.call(&world, "user-info", both).await;
    (expected["nickName"], expected["avatarUrl"]) = (json!("A"), json!("https://example.com/"));
    assert_eq!((reply.status, &reply.json), (200, &json!({ "user": expected })));
    // Null is nothing, and so nothing changes.
    let reply = caller.call(&world, "user-info", json!({ "nickName": null, "avatarUrl": null })).await;
    assert_eq!((reply.status, &reply.json), (200, &json!({ "user": expected })));
}

#[tokio::test]
async fn a_profile_is_the_users_in_every_session_and_of_nobody_else() {
    let world = World::start().await;
    let person = world.person(true.into()).await;
    let mini_program = world.log_in(&person, MINI_PROGRAM).await;
    let set = mini_program.call(&world, "user-info", json!({ "nickName": "小明" })).await;
    assert_eq!((set.status, &set.json["user"]["hasUnionId"]), (200, &json!(true)));
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let caller = world.log_in(&person, app_id).await;
        assert_eq!(caller.user(&world).await["nickName"], "小明");
        let reply = caller.call(&world, "user-info", json!({ "avatarUrl": "https://example.com/" })).await;
        assert_eq!((reply.status, &reply.json["user"]["id"]), (200, &json!(mini_program.id)), "{app_id}");
    }
    assert_eq!(mini_program.user(&world).await["avatarUrl"], "https://example.com/");
    let somebody_else = world.caller().await;
    assert_eq!(somebody_else.user(&world).await["nickName"], Value::Null);
}

#[tokio::test]
async fn a_name_of_any_script_is_kept_as_it_is() {
    let world = World::start().await;
    let caller = world.caller().await;
    for name in NAMES.map(str::to_owned).into_iter().chain(["字".repeat(64), "👍".repeat(64), " ".to_owned()]) {
        let reply = caller.call(&world, "user-info", json!({ "nickName": name })).await;
        assert_eq!((reply.status, &reply.json["user"]["nickName"]), (200, &json!(name)));
        assert_eq!(caller.user(&world).await["nickName"], name);
        assert_eq!(caller.row(&world).await["nickName"].as_s().unwrap(), &name);
    }
}

#[tokio::test]
async fn what_is_not_fit_for_a_profile_is_refused_by_name_and_changes_nothing() {
    let world = World::start().await;
    let caller = world.caller().await;
    let kept = json!({ "nickName": "小明", "avatarUrl": "https://example.com/a" });
    assert_eq!(caller.call(&world, "user-info", kept.clone()).await.status, 200);
    let long = format!("https://example.com/{}", "x".repeat(1004));
    assert_eq!(caller.call(&world, "user-info", json!({ "avatarUrl": long })).await.status, 200);
    assert_eq!(caller.call(&world, "user-info", kept).await.status, 200);
    let too_long = format!("{long}x");
    let names =
        [json!(""), json!("字".repeat(65)), json!("👍".repeat(65)), json!(1), json!(["小明"]), json!({}), json!(true)];
    let controls = ["\n", "\u{0}", "\u{7f}", "\u{85}", "\u{1b}[0m", "\u{2028}", "\u{202e}", "\u{2066}"]
        .map(|c| json!(format!("小{c}明")));
    let urls =
        ["", "http://example.com/a", "https://", "example.com/a", "//example.com", "javascript:alert(1)", "data:,x"];
    let urls =
        urls.into_iter().chain(["https://u:p@example.com", "https://example.com/\n", &too_long]).map(Value::from);
    let names = names.into_iter().chain(controls).map(|value| ("nickName", value));
    for (name, value) in names.chain(urls.chain([json!(1), json!([])]).map(|value| ("avatarUrl", value))) {
        let other = if name == "nickName" { ("avatarUrl", "https://example.com/b") } else { ("nickName", "大明") };
        let reply = caller.call(&world, "user-info", json!({ name: value, other.0: other.1 })).await;
        let expected = json!({ "code": "invalid_request", "message": format!("field `{name}` is not valid") });
        assert_eq!(reply.without_id(), (400, expected), "{value}");
    }
    let user = caller.user(&world).await;
    assert_eq!((&user["nickName"], &user["avatarUrl"]), (&json!("小明"), &json!("https://example.com/a")));
}

#[tokio::test]
async fn nobody_sets_anything_else() {
    let world = World::start().await;
    let caller = world.caller().await;
    for name in ["id", "openid", "openId", "unionid", "unionId", "phoneNumber", "hasUnionId", "nickname"] {
        let reply = caller.call(&world, "user-info", json!({ name: "x" })).await;
        let expected = json!({ "code": "invalid_request", "message": format!("unknown field `{name}`") });
        assert_eq!(reply.without_id(), (400, expected));
    }
    let headers = [("content-type", "application/json"), ("authorization", &*format!("Bearer {}", caller.token))];
    let body = r#"{"nickName":"a","nickName":"b"}"#;
    let reply = world.send("POST", "/user-info", &headers, body).await;
    assert_eq!(reply.json["message"], "duplicate field `nickName`");
}

#[tokio::test]
async fn a_user_who_was_deleted_by_hand_has_no_profile() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.delete(&format!("USER#{}", caller.id), "USER").await;
    for body in [json!({}), json!({ "nickName": "小明" })] {
        let reply = caller.call(&world, "user-info", body).await;
        assert_eq!((reply.status, reply.code()), (401, "session_invalid"));
    }
    assert!(world.rows_at(&format!("USER#{}", caller.id), "USER").await.is_empty());
}

#[tokio::test]
async fn to_set_a_profile_takes_one_read_and_one_write() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let caller = world.caller().await;
    for (body, calls) in [
        (json!({}), ["GetItem", "GetItem"]),
        (json!({ "nickName": "小明", "avatarUrl": "https://example.com/" }), ["GetItem", "UpdateItem"]),
    ] {
        proxy.take_calls();
        assert_eq!(caller.call(&world, "user-info", body).await.status, 200);
        assert_eq!(proxy.take_calls(), calls);
    }
}
