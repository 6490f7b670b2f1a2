//! `user-info` with what WeChat says of the user: signed, encrypted, and sometimes with a unionid.

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::callers::Caller;
use tests::http::Reply;
use tests::open_data::{encrypt, sha1};
use tests::world::World;

const FIELDS: [&str; 4] = ["rawData", "signature", "encryptedData", "iv"];

/// What `wx.getUserInfo` gives, but with the real name; `wish` is what is special about it.
async fn profile(world: &World, caller: &Caller, wish: Value) -> Value {
    told(world, caller, "/getUserInfo", wish).await
}

async fn told(world: &World, caller: &Caller, api: &str, mut wish: Value) -> Value {
    (wish["user"], wish["appId"]) = (caller.person.clone().into(), caller.app_id.clone().into());
    if wish.get("anonymous").is_none() {
        wish["anonymous"] = false.into();
    }
    let mut data = world.sandbox("POST", api, wish).await;
    data.as_object_mut().unwrap().remove("errMsg").unwrap();
    data
}

async fn take(world: &World, caller: &Caller, wish: Value) -> Reply {
    let body = profile(world, caller, wish).await;
    caller.call(world, "user-info", body).await
}

async fn person_with(world: &World, unionid: Value, name: &str) -> Caller {
    let caller = world.log_in(&world.person(unionid).await, MINI_PROGRAM).await;
    let change = json!({ "nickName": name, "avatarUrl": "https://thirdwx.qlogo.cn/of/somebody/132" });
    world.sandbox("PUT", &format!("/users/{}", caller.person), change).await;
    caller
}

async fn has_from_now_on(world: &World, caller: &Caller, unionid: &str) {
    world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "unionid": unionid })).await;
}

#[tokio::test]
async fn a_profile_of_wechats_is_taken_over() {
    let world = World::start().await;
    let caller = person_with(&world, Value::Null, "小明👨‍👩‍👧‍👦").await;
    let reply = take(&world, &caller, json!({})).await;
    let user = json!({
        "id": caller.id, "nickName": "小明👨‍👩‍👧‍👦", "avatarUrl": "https://thirdwx.qlogo.cn/of/somebody/132",
        "hasUnionId": false, "phoneNumber": null,
    });
    assert_eq!((reply.status, &reply.json), (200, &json!({ "user": user })));
    assert_eq!(caller.user(&world).await, user);
}

#[tokio::test]
async fn data_without_openid_and_unionid_is_of_the_user_whose_session_key_it_is() {
    let world = World::start().await;
    let caller = person_with(&world, true.into(), "小明").await;
    // What `wx.getUserProfile` gives.
    let bare = async |of: &Caller, plaintext: Value| {
        told(&world, of, "/getUserProfile", json!({ "plaintext": plaintext })).await
    };
    let reply = caller.call(&world, "user-info", bare(&caller, json!({})).await).await;
    let taken = json!({
        "id": caller.id, "nickName": "小明", "avatarUrl": "https://thirdwx.qlogo.cn/of/somebody/132",
        "hasUnionId": true, "phoneNumber": null,
    });
    assert_eq!((reply.status, &reply.json), (200, &json!({ "user": taken })));
    let other = person_with(&world, json!("union-of-another"), "b").await;
    for (name, data) in [
        ("another app", bare(&caller, json!({ "watermark": { "appid": "wxother" } })).await),
        ("another's openid", bare(&caller, json!({ "openId": "oSomebodyElse" })).await),
        ("another's session_key", bare(&other, json!({})).await),
    ] {
        let reply = caller.call(&world, "user-info", data).await;
        assert_eq!((reply.status, reply.code()), (409, "session_key_stale"), "{name}");
    }
    // Other data that names no user, under a profile's signature.
    let profile = bare(&caller, json!({})).await;
    let wish = json!({ "user": caller.person, "appId": caller.app_id });
    let phone = world.sandbox("POST", "/getPhoneNumber", wish).await;
    let watermark = json!({ "timestamp": 1_700_000_000, "appid": caller.app_id });
    let steps = json!({ "stepInfoList": [{ "timestamp": 1_700_000_000, "step": 100 }], "watermark": watermark });
    let steps = encrypt(&caller.session_key(&world).await, steps.to_string().as_bytes());
    for (name, other) in [("a phone number", phone), ("steps", steps)] {
        let mut data = profile.clone();
        (data["encryptedData"], data["iv"]) = (other["encryptedData"].clone(), other["iv"].clone());
        let reply = caller.call(&world, "user-info", data).await;
        assert_eq!((reply.status, reply.code()), (409, "session_key_stale"), "{name}");
    }
    // A unionid counts beside the openid, as WeChat gives it.
    let reply = other.call(&world, "user-info", bare(&other, json!({ "unionId": "union-new" })).await).await;
    assert_eq!((reply.status, other.row(&world).await["unionId"].as_s().unwrap().as_str()), (200, "union-of-another"));
    assert!(world.rows_at("USER#", "CONFLICT#").await.is_empty());
    assert_eq!(caller.user(&world).await, taken);
}

#[tokio::test]
async fn how_old_a_profile_is_does_not_matter_and_an_old_picture_is_fetched_by_https() {
    let world = World::start().await;
    let caller = person_with(&world, Value::Null, "小明").await;
    let plaintext = json!({ "watermark": { "timestamp": 1 }, "avatarUrl": "http://wx.qlogo.cn/old/0", "unionId": "" });
    let reply = take(&world, &caller, json!({ "plaintext": plaintext })).await;
    assert_eq!((reply.status, &reply.json["user"]["avatarUrl"]), (200, &json!("https://wx.qlogo.cn/old/0")));
    assert_eq!(reply.json["user"]["hasUnionId"], false);
}

#[tokio::test]
async fn what_is_not_fit_for_a_profile_is_left_out() {
    let world = World::start().await;
    let caller = person_with(&world, Value::Null, "小明").await;
    assert_eq!(take(&world, &caller, json!({})).await.status, 200);
    for (plaintext, name, url) in [
        (json!({ "nickName": "x".repeat(65), "avatarUrl": "https://a.qlogo.cn/1" }), "小明", "https://a.qlogo.cn/1"),
        (json!({ "nickName": "", "avatarUrl": "" }), "小明", "https://a.qlogo.cn/1"),
        (json!({ "nickName": null, "avatarUrl": null }), "小明", "https://a.qlogo.cn/1"),
        (json!({ "nickName": "大明", "avatarUrl": "http://example.com/a" }), "大明", "https://a.qlogo.cn/1"),
    ] {
        let reply = take(&world, &caller, json!({ "plaintext": plaintext })).await;
        let user = &reply.json["user"];
        assert_eq!((reply.status, &user["nickName"], &user["avatarUrl"]), (200, &json!(name), &json!(url)));
    }
}

#[tokio::test]
async fn what_wechat_says_of_everybody_is_not_taken() {
    let world = World::start().await;
    let caller = person_with(&world, Value::Null, "小明").await;
    let reply = take(&world, &caller, json!({ "anonymous": true })).await;
    assert_eq!((reply.status, &reply.json["user"]["nickName"]), (200, &Value::Null));
    assert_eq!(reply.json["user"]["avatarUrl"], Value::Null);
    let own = json!({ "nickName": "我", "avatarUrl": "https://example.com/me" });
    assert_eq!(caller.call(&world, "user-info", own.clone()).await.status, 200);
    has_from_now_on(&world, &caller, "union-of-an-anonymous-profile").await;
    let reply = take(&world, &caller, json!({ "anonymous": true })).await;
    let user = &reply.json["user"];
    assert_eq!((&user["nickName"], &user["avatarUrl"]), (&own["nickName"], &own["avatarUrl"]));
    // But what it says of the person alone is.
    assert_eq!(user["hasUnionId"], true);
}

#[tokio::test]
async fn a_profile_that_is_not_the_callers_gets_one_answer_whatever_is_wrong() {
    let world = World::start().await;
    let (caller, other) = (person_with(&world, Value::Null, "小明").await, person_with(&world, Value::Null, "b").await);
    let good = profile(&world, &caller, json!({})).await;
    let changed = async |plaintext: Value| profile(&world, &caller, json!({ "plaintext": plaintext })).await;
    let with = |name: &str, value: String| {
        let mut data = good.clone();
        data[name] = value.into();
        data
    };
    let key = caller.session_key(&world).await;
    let mut not_json = encrypt(&key, b"not JSON");
    (not_json["rawData"], not_json["signature"]) = (good["rawData"].clone(), good["signature"].clone());
    let raw_data = good["rawData"].as_str().unwrap();
    for (name, data) in [
        ("raw data that was not signed", with("rawData", raw_data.replace("小明", "大明"))),
        ("a signature of other data", with("signature", sha1(&format!("{{}}{key}")))),
        ("a signature with another key", with("signature", sha1(&format!("{raw_data}{}", "AAAAAAAAAAAAAAAAAAAAAA==")))),
        ("somebody else's", profile(&world, &other, json!({})).await),
        ("somebody else's openid", changed(json!({ "openId": "oSomebodyElse" })).await),
        ("an empty openid", changed(json!({ "openId": "" })).await),
        ("an openid that is no text", changed(json!({ "openId": 7 })).await),
        ("another app", changed(json!({ "watermark": { "appid": "wxother" } })).await),
        ("no watermark", changed(json!({ "watermark": null })).await),
        ("not JSON", not_json),
    ] {
        let reply = caller.call(&world, "user-info", data).await;
        let message = "the data is not of this session; log in and ask the user again";
        let expected = json!({ "code": "session_key_stale", "message": message });
        assert_eq!(reply.without_id(), (409, expected), "{name}");
    }
    world.sandbox("POST", &format!("/users/{}/session-key", caller.person), Value::Null).await;
    assert_eq!(take(&world, &caller, json!({})).await.code(), "session_key_stale");
    assert_eq!(caller.user(&world).await["nickName"], Value::Null);
    assert_eq!(caller.call(&world, "user-info", good).await.status, 200);
}

#[tokio::test]
async fn all_four_fields_are_needed_each_in_its_form_and_nothing_beside_them() {
    let world = World::start().await;
    let caller = person_with(&world, Value::Null, "小明").await;
    let good = profile(&world, &caller, json!({})).await;
    let refused = async |body: Value, message: &str| {
        let reply = caller.call(&world, "user-info", body).await;
        assert_eq!(reply.without_id(), (400, json!({ "code": "invalid_request", "message": message })));
    };
    let with = |name: &str, value: Value| {
        let mut data = good.clone();
        data[name] = value;
        data
    };
    for name in FIELDS {
        refused(with(name, Value::Null), &format!("missing field `{name}`")).await;
        refused(with(name, json!(1)), &format!("field `{name}` is not valid")).await;
        if name != "rawData" {
            refused(with(name, json!("not of this form")), &format!("field `{name}` is not valid")).await;
        }
    }
    refused(with("signature", json!("g".repeat(40))), "field `signature` is not valid").await;
    refused(with("signature", json!("字".repeat(40))), "field `signature` is not valid").await;
    refused(with("iv", json!("AAAA")), "field `iv` is not valid").await;
    refused(with("openid", json!("o")), "unknown field `openid`").await;
    let message = "field `rawData` and what goes with it go without `nickName` and `avatarUrl`";
    refused(with("nickName", json!("a")), message).await;
    refused(with("avatarUrl", json!("https://example.com")), message).await;
    refused(json!({ "nickName": "a", "signature": good["signature"] }), message).await;
    assert_eq!(caller.user(&world).await["nickName"], Value::Null);
}

#[tokio::test]
async fn only_a_mini_program_has_such_profiles() {
    let world = World::start().await;
    let person = world.person(true.into()).await;
    let good = profile(&world, &world.log_in(&person, MINI_PROGRAM).await, json!({})).await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let caller = world.log_in(&person, app_id).await;
        let reply = caller.call(&world, "user-info", good.clone()).await;
        assert_eq!((reply.status, reply.code()), (400, "wrong_app_kind"), "{app_id}");
    }
}
