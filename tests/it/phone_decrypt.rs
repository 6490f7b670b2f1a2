//! `phone-decrypt`: the number, where it is kept, and every way in which encrypted data can be wrong.

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::callers::Caller;
use tests::http::Reply;
use tests::open_data::{encrypt, encrypt_blocks};
use tests::world::World;

const STALE: &str = "the data is not of this session; log in and ask the user again";

async fn decrypt(world: &World, caller: &Caller, data: &Value) -> Reply {
    let body = json!({ "encryptedData": data["encryptedData"], "iv": data["iv"] });
    caller.call(world, "phone-decrypt", body).await
}

/// A phone number as WeChat tells it, with a watermark of this moment.
fn plaintext(world: &World, caller: &Caller) -> Value {
    json!({
        "phoneNumber": "13912345678", "purePhoneNumber": "13912345678", "countryCode": "86",
        "watermark": { "timestamp": Timestamp::from(world.now()).as_secs(), "appid": caller.app_id },
    })
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

fn with(object: &Value, name: &str, value: &str) -> Value {
    let mut object = object.clone();
    object[name] = value.into();
    object
}

#[tokio::test]
async fn a_number_is_told_kept_sealed_and_shown_from_then_on() {
    for by_code in [true, false] {
        let world = World::start().await;
        let caller = world.caller().await;
        world.sandbox("PUT", &format!("/users/{}", caller.person), json!({ "phoneNumber": "13912345678" })).await;
        let button = caller.phone_button(&world, json!({})).await;
        let body = match by_code {
            true => json!({ "code": button["code"] }),
            false => json!({ "encryptedData": button["encryptedData"], "iv": button["iv"] }),
        };
        let reply = caller.call(&world, "phone-decrypt", body).await;
        let told = json!({ "phoneNumber": "13912345678", "purePhoneNumber": "13912345678", "countryCode": "86" });
        assert_eq!((reply.status, reply.json), (200, told), "{by_code}");

        assert!(caller.row(&world).await["phoneNumber"].is_b());
        assert!(!world.table_shows("13912345678").await);
        assert_eq!(caller.user(&world).await["phoneNumber"], "13912345678");
        let login = world.login(&world.code(&caller.person).await).await;
        assert_eq!(login.json["user"]["phoneNumber"], "13912345678");
    }
}

#[tokio::test]
async fn a_foreign_number_keeps_its_country_and_takes_the_place_of_the_one_before() {
    let world = World::start().await;
    let caller = world.caller().await;
    let before = caller.phone_button(&world, json!({})).await;
    assert_eq!(decrypt(&world, &caller, &before).await.status, 200);
    let foreign = json!({ "phoneNumber": "+85261234567", "purePhoneNumber": "61234567", "countryCode": "852" });
    world.sandbox("PUT", &format!("/users/{}", caller.person), foreign.clone()).await;
    let button = caller.phone_button(&world, json!({})).await;
    for body in [json!({ "code": button["code"] }), without(without(button, "code"), "errMsg")] {
        let reply = caller.call(&world, "phone-decrypt", body).await;
        assert_eq!((reply.status, reply.json), (200, foreign.clone()));
        assert_eq!(caller.user(&world).await["phoneNumber"], "+85261234567");
    }
}

#[tokio::test]
async fn a_number_is_of_its_own_user() {
    let world = World::start().await;
    let (caller, other) = (world.caller().await, world.caller().await);
    let button = caller.phone_button(&world, json!({})).await;
    assert_eq!(decrypt(&world, &caller, &button).await.status, 200);
    assert_eq!(other.user(&world).await["phoneNumber"], Value::Null);
    // And nobody else's session opens the data.
    let reply = decrypt(&world, &other, &button).await;
    assert_eq!((reply.status, reply.code()), (409, "session_key_stale"));
}

#[tokio::test]
async fn a_request_that_has_not_the_form_of_one_names_the_field_and_never_reaches_wechat() {
    let world = World::start().await;
    let caller = world.caller().await;
    let button = caller.phone_button(&world, json!({})).await;
    let (code, data, iv) = (&button["code"], &button["encryptedData"], &button["iv"]);
    let (both, alone) = ("field `code` goes without `encryptedData` and `iv`", "field `encryptedData` is not valid");
    let (no_iv, no_code) = ("field `iv` is not valid", "field `code` is not valid");
    for (body, message) in [
        (json!({}), "missing field `code`, or `encryptedData` and `iv`"),
        (json!({ "code": null }), "missing field `code`, or `encryptedData` and `iv`"),
        (json!({ "encryptedData": data }), "missing field `iv`"),
        (json!({ "iv": iv }), "missing field `encryptedData`"),
        (json!({ "code": code, "encryptedData": data, "iv": iv }), both),
        (json!({ "code": code, "encryptedData": data }), both),
        (json!({ "code": code, "iv": iv }), both),
        (json!({ "encryptedData": "not base64!", "iv": iv }), alone),
        (json!({ "encryptedData": "AAAA_-==", "iv": iv }), alone),
        (json!({ "encryptedData": "AAA", "iv": iv }), alone),
        (json!({ "encryptedData": data.as_str().unwrap().replace('=', "") + " ", "iv": iv }), alone),
        (json!({ "encryptedData": ["AAAA"], "iv": iv }), alone),
        (json!({ "encryptedData": data, "iv": "" }), no_iv),
        (json!({ "encryptedData": data, "iv": "not base64!" }), no_iv),
        (json!({ "encryptedData": data, "iv": "AAAAAAAAAAAAAAAAAAAA" }), no_iv),
        (json!({ "encryptedData": data, "iv": "AAAAAAAAAAAAAAAAAAAAAAA=" }), no_iv),
        (json!({ "encryptedData": data, "iv": "AAAAAAAAAAAAAAAAAAAAAA" }), no_iv),
        (json!({ "encryptedData": data, "iv": 1 }), no_iv),
        (json!({ "code": "" }), no_code),
        (json!({ "code": "a b" }), no_code),
        (json!({ "code": "手机" }), no_code),
        (json!({ "code": "x".repeat(129) }), no_code),
        (json!({ "code": 1 }), no_code),
        (json!({ "code": code, "openid": "o" }), "unknown field `openid`"),
        (json!([code]), "the body is not a JSON object"),
    ] {
        let reply = caller.call(&world, "phone-decrypt", body.clone()).await;
        let expected = json!({ "code": "invalid_request", "message": message });
        assert_eq!(reply.without_id(), (400, expected), "{body}");
    }
    assert_eq!(world.count_of("/wxa/business/getuserphonenumber").await, 0);
    assert!(!caller.row(&world).await.contains_key("phoneNumber"));
}

#[tokio::test]
async fn data_that_does_not_open_gets_one_answer_whatever_is_wrong() {
    let world = World::start().await;
    let caller = world.caller().await;
    let (key, good) = (caller.session_key(&world).await, plaintext(&world, &caller));
    let json = |value: &Value| encrypt(&key, value.to_string().as_bytes());
    let (text, other_key) = (good.to_string(), "AAAAAAAAAAAAAAAAAAAAAA==");
    let watermark = |watermark: Value| {
        let mut changed = good.clone();
        changed["watermark"] = watermark;
        json(&changed)
    };
    let now = good["watermark"]["timestamp"].clone();
    let padded = |padding: &[u8]| encrypt_blocks(&key, &[&b"0123456789abcdef"[padding.len()..], padding].concat());
    let mut not_utf8 = text.clone().into_bytes();
    not_utf8[text.find("139").unwrap()] = 0xff;
    let mut cut = json(&good);
    cut["encryptedData"] = "AAAAAAAAAAAAAAAAAAAAAAAA".into();
    let mut other_iv = json(&good);
    other_iv["iv"] = "AAAAAAAAAAAAAAAAAAAAAA==".into();
    for (name, data) in [
        ("nothing", json!({ "encryptedData": "", "iv": "AAAAAAAAAAAAAAAAAAAAAA==" })),
        ("no whole blocks", cut),
        ("another key", encrypt(other_key, text.as_bytes())),
        ("another iv", other_iv),
        ("padding of 0", padded(&[0])),
        ("padding of 17", padded(&[17])),
        ("padding of 255", padded(&[255])),
        ("padding that is not all the same", padded(&[3, 2, 3])),
        ("only padding", encrypt(&key, b"")),
        ("not UTF-8", encrypt(&key, &not_utf8)),
        ("not JSON", encrypt(&key, b"phoneNumber=13912345678")),
        ("half of it", encrypt(&key, &text.as_bytes()[..40])),
        ("more behind it", encrypt(&key, format!("{text}{text}").as_bytes())),
        ("an array", json(&json!([good]))),
        ("a text", json(&json!("13912345678"))),
        ("null", json(&Value::Null)),
        ("no phoneNumber", json(&without(good.clone(), "phoneNumber"))),
        ("no purePhoneNumber", json(&without(good.clone(), "purePhoneNumber"))),
        ("no countryCode", json(&without(good.clone(), "countryCode"))),
        ("an empty phoneNumber", json(&with(&good, "phoneNumber", ""))),
        ("a phoneNumber that is a number", json(&json!({ "phoneNumber": 1, "watermark": good["watermark"] }))),
        ("no watermark", json(&without(good.clone(), "watermark"))),
        ("a watermark that is an array", watermark(json!([caller.app_id, now]))),
        ("a watermark without time", watermark(json!({ "appid": caller.app_id }))),
        ("a watermark without app", watermark(json!({ "timestamp": now }))),
        ("a watermark of another app", watermark(json!({ "appid": "wxother", "timestamp": now }))),
        ("a watermark of no time", watermark(json!({ "appid": caller.app_id, "timestamp": "now" }))),
        ("a watermark before all time", watermark(json!({ "appid": caller.app_id, "timestamp": -1 }))),
        ("a watermark of 1970", watermark(json!({ "appid": caller.app_id, "timestamp": 0 }))),
        ("a watermark after all time", watermark(json!({ "appid": caller.app_id, "timestamp": u64::MAX }))),
    ] {
        let reply = decrypt(&world, &caller, &data).await;
        let expected = json!({ "code": "session_key_stale", "message": STALE });
        assert_eq!(reply.without_id(), (409, expected), "{name}");
    }
    assert!(!caller.row(&world).await.contains_key("phoneNumber"));
    assert_eq!(decrypt(&world, &caller, &json(&good)).await.status, 200);
}
