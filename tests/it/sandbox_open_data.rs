//! What the sandbox's people let a mini program know: phone numbers and profiles.

use std::time::Duration;

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local::demo_user::{DEMO_CODE, DEMO_PHONE_CODE, DEMO_SESSION_KEY};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::http::Client;
use tests::world::World;

/// Where the apps are in `WECHAT_APPS`.
const MINI_PROGRAM: usize = 0;
const OFFICIAL_ACCOUNT: usize = 1;
const OTHER_MINI_PROGRAM: usize = 2;

/// Two mini programs and an official account.
async fn world() -> World {
    let apps = json!([
        { "appId": "wxmini", "appSecret": "s1", "kind": "mini-program" },
        { "appId": "wxofficial", "appSecret": "s2", "kind": "official-account" },
        { "appId": "wxother", "appSecret": "s3", "kind": "mini-program" },
    ]);
    World::start_with([("WECHAT_APPS", &apps.to_string())]).await
}

/// WeChat's answer about a login code.
async fn session(world: &World, app: usize, code: &str) -> Value {
    let app = &world.apps()[app];
    let (id, secret) = (app["appId"].as_str().unwrap(), app["appSecret"].as_str().unwrap());
    let query = format!("appid={id}&secret={secret}&js_code={code}&grant_type=authorization_code");
    world.wechat("GET", &format!("/sns/jscode2session?{query}"), Value::Null).await.json
}

/// A new person who has logged in: the name, and WeChat's answer.
async fn logged_in(world: &World, app: usize) -> (String, Value) {
    let person = world.person(true.into()).await;
    let code = world.code_of(&person, world.apps()[app]["appId"].as_str()).await;
    let session = session(world, app, &code).await;
    (person, session)
}

async fn token(world: &World, app: usize) -> String {
    let app = &world.apps()[app];
    let body = json!({ "grant_type": "client_credential", "appid": app["appId"], "secret": app["appSecret"] });
    let reply = world.wechat("POST", "/cgi-bin/stable_token", body).await;
    reply.json["access_token"].as_str().unwrap().to_owned()
}

async fn phone_by_code(world: &World, app: usize, body: Value) -> Value {
    let path = format!("/wxa/business/getuserphonenumber?access_token={}", token(world, app).await);
    world.wechat("POST", &path, body).await.json
}

/// What the button of a mini program gives.
async fn button(world: &World, person: &str, plaintext: Value) -> Value {
    world.sandbox("POST", "/getPhoneNumber", json!({ "user": person, "plaintext": plaintext })).await
}

/// Opens what came with an `iv`; `None` if the key is another one.
fn decrypt(data: &Value, session_key: &Value) -> Option<Value> {
    let decode = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let (key, iv): ([u8; 16], [u8; 16]) =
        (decode(session_key).try_into().unwrap(), decode(&data["iv"]).try_into().unwrap());
    let cipher = cbc::Decryptor::<Aes128>::new(&key.into(), &iv.into());
    let plaintext = cipher.decrypt_padded_vec::<Pkcs7>(&decode(&data["encryptedData"])).ok()?;
    serde_json::from_slice(&plaintext).ok()
}

fn watermark(world: &World) -> Value {
    json!({ "timestamp": Timestamp::from(world.now()).as_secs(), "appid": "wxmini" })
}

#[tokio::test]
async fn a_phone_code_is_good_once_for_five_minutes_in_its_own_mini_program() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    let code = button(&world, &person, json!({})).await["code"].take();
    for (app, body, errcode) in [
        (MINI_PROGRAM, json!({ "code": "nonsense" }), 40029),
        (MINI_PROGRAM, json!({ "code": code, "openid": "oSomebodyElse" }), 40029),
        (OTHER_MINI_PROGRAM, json!({ "code": code }), 40013),
    ] {
        assert_eq!(phone_by_code(&world, app, body.clone()).await["errcode"], errcode, "{body}");
    }
    let reply = phone_by_code(&world, MINI_PROGRAM, json!({ "code": code, "openid": session["openid"] })).await;
    let number = reply["phone_info"]["phoneNumber"].as_str().unwrap();
    assert!(number.len() == 11 && number.starts_with('1'), "{number}");
    let phone_info = json!({
        "phoneNumber": number, "purePhoneNumber": number, "countryCode": "86", "watermark": watermark(&world),
    });
    assert_eq!(reply, json!({ "errcode": 0, "errmsg": "ok", "phone_info": phone_info }));
    assert_eq!(phone_by_code(&world, MINI_PROGRAM, json!({ "code": code })).await["errcode"], 40029);

    let late = button(&world, &person, json!({})).await["code"].take();
    world.advance(Duration::from_secs(300));
    assert_eq!(phone_by_code(&world, MINI_PROGRAM, json!({ "code": late })).await["errcode"], 40029);
}

#[tokio::test]
async fn codes_for_logins_and_for_phone_numbers_are_not_the_same() {
    let world = world().await;
    let (person, _) = logged_in(&world, MINI_PROGRAM).await;
    let code = button(&world, &person, json!({})).await["code"].take();
    assert_eq!(session(&world, MINI_PROGRAM, code.as_str().unwrap()).await["errcode"], 40029);
    let code = world.code(&person).await;
    assert_eq!(phone_by_code(&world, MINI_PROGRAM, json!({ "code": code })).await["errcode"], 40029);
}

#[tokio::test]
async fn a_request_for_a_phone_number_is_refused_for_what_wechat_refuses_it_for() {
    let world = world().await;
    let path = "/wxa/business/getuserphonenumber";
    let good = format!("{path}?access_token={}", token(&world, MINI_PROGRAM).await);
    let official = format!("{path}?access_token={}", token(&world, OFFICIAL_ACCOUNT).await);
    let body = json!({ "code": DEMO_PHONE_CODE });
    for (method, path, body, errcode) in [
        ("POST", path, body.clone(), 41001),
        ("POST", "/wxa/business/getuserphonenumber?access_token=nonsense", body.clone(), 40014),
        ("POST", &official, body.clone(), 48001),
        ("GET", &good, Value::Null, 43002),
        ("POST", &good, Value::Null, 44002),
        ("POST", &good, json!([DEMO_PHONE_CODE]), 47001),
        ("POST", &good, json!({}), 47001),
    ] {
        assert_eq!(world.wechat(method, path, body.clone()).await.json["errcode"], errcode, "{method} {path} {body}");
    }
    let url = format!("{}{good}", world.machine.wechat_url());
    let reply = Client::default().send("POST", &url, &[], b"code".to_vec()).await;
    assert_eq!(reply.json["errcode"], 47001);
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    assert_eq!(world.wechat("POST", &good, body).await.json["errcode"], 40001);
}

#[tokio::test]
async fn the_session_key_of_a_login_opens_the_phone_number() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    let data = button(&world, &person, json!({})).await;
    assert_eq!(data["errMsg"], "getPhoneNumber:ok");
    let mut by_code = phone_by_code(&world, MINI_PROGRAM, json!({ "code": data["code"] })).await;
    assert_eq!(decrypt(&data, &session["session_key"]).unwrap(), by_code["phone_info"].take());
    assert_ne!(button(&world, &person, json!({})).await["iv"], data["iv"]);
}

#[tokio::test]
async fn only_the_session_key_of_the_next_login_opens_what_comes_after_a_rotation() {
    let world = world().await;
    let (person, old) = logged_in(&world, MINI_PROGRAM).await;
    world.sandbox("POST", &format!("/users/{person}/session-key"), Value::Null).await;
    let data = button(&world, &person, json!({})).await;
    assert_eq!(decrypt(&data, &old["session_key"]), None);
    let new = session(&world, MINI_PROGRAM, &world.code(&person).await).await;
    assert_eq!(decrypt(&data, &new["session_key"]).unwrap()["countryCode"], "86");
}

#[tokio::test]
async fn a_phone_number_may_be_of_another_country() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    let phone = json!({ "phoneNumber": "+85261234567", "purePhoneNumber": "61234567", "countryCode": "852" });
    world.sandbox("PUT", &format!("/users/{person}"), phone.clone()).await;
    let mut opened = decrypt(&button(&world, &person, json!({})).await, &session["session_key"]).unwrap();
    opened.as_object_mut().unwrap().remove("watermark").unwrap();
    assert_eq!(opened, phone);
    let changed = world.sandbox("PUT", &format!("/users/{person}"), json!({ "phoneNumber": "13900139000" })).await;
    assert_eq!((&changed["purePhoneNumber"], &changed["countryCode"]), (&json!("13900139000"), &json!("86")));
}

#[tokio::test]
async fn a_profile_is_signed_and_encrypted() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    let change = json!({ "nickName": "小明", "avatarUrl": "https://example.com/a.png" });
    world.sandbox("PUT", &format!("/users/{person}"), change).await;
    let wish = json!({ "user": person, "anonymous": false });
    let data = world.sandbox("POST", "/getUserInfo", wish.clone()).await;
    assert_eq!(data["errMsg"], "getUserInfo:ok");
    let (raw_data, key) = (data["rawData"].as_str().unwrap(), session["session_key"].as_str().unwrap());
    let signature = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{raw_data}{key}").as_bytes());
    let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(data["signature"], signature);

    let mut expected: Value = serde_json::from_str(raw_data).unwrap();
    let raw = json!({
        "nickName": "小明", "gender": 0, "language": "zh_CN", "city": "", "province": "", "country": "",
        "avatarUrl": "https://example.com/a.png",
    });
    assert_eq!(expected, raw);
    expected["watermark"] = watermark(&world);
    let bare = world.sandbox("POST", "/getUserProfile", wish).await;
    assert_eq!((&bare["errMsg"], &bare["rawData"]), (&json!("getUserProfile:ok"), &data["rawData"]));
    assert_eq!(decrypt(&bare, &session["session_key"]).unwrap(), expected);
    expected["openId"] = session["openid"].clone();
    expected["unionId"] = session["unionid"].clone();
    assert_eq!(decrypt(&data, &session["session_key"]).unwrap(), expected);
}

#[tokio::test]
async fn an_anonymous_profile_is_what_wechat_tells_of_everybody() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    world.sandbox("PUT", &format!("/users/{person}"), json!({ "unionid": false })).await;
    let data = world.sandbox("POST", "/getUserInfo", json!({ "user": person })).await;
    let opened = decrypt(&data, &session["session_key"]).unwrap();
    assert_eq!((&opened["nickName"], &opened["openId"]), (&json!("微信用户"), &session["openid"]));
    assert!(opened["avatarUrl"].as_str().unwrap().starts_with("https://thirdwx.qlogo.cn/mmopen/vi_32/POgEwh4mIHO4nib"));
    assert_eq!(opened.get("unionId"), None);
    let mut opened = opened;
    opened.as_object_mut().unwrap().remove("openId").unwrap();
    let data = world.sandbox("POST", "/getUserProfile", json!({ "user": person })).await;
    assert_eq!(decrypt(&data, &session["session_key"]).unwrap(), opened);
}

#[tokio::test]
async fn what_is_encrypted_can_be_made_wrong() {
    let world = world().await;
    let (person, session) = logged_in(&world, MINI_PROGRAM).await;
    let wrong = json!({ "watermark": { "appid": "wxother" }, "countryCode": null, "purePhoneNumber": 1 });
    let opened = decrypt(&button(&world, &person, wrong).await, &session["session_key"]).unwrap();
    assert_eq!((&opened["watermark"]["appid"], &opened["purePhoneNumber"]), (&json!("wxother"), &json!(1)));
    assert_eq!(opened["watermark"]["timestamp"], watermark(&world)["timestamp"]);
    assert_eq!(opened.get("countryCode"), None);
    let wish = json!({ "user": person, "plaintext": { "openId": "oSomebodyElse" } });
    let data = world.sandbox("POST", "/getUserProfile", wish).await;
    assert_eq!(decrypt(&data, &session["session_key"]).unwrap()["openId"], "oSomebodyElse");
}

#[tokio::test]
async fn each_mini_program_has_keys_openids_and_codes_of_its_own() {
    let world = world().await;
    let (person, first) = logged_in(&world, MINI_PROGRAM).await;
    let code = world.code_of(&person, Some("wxother")).await;
    let other = session(&world, OTHER_MINI_PROGRAM, &code).await;
    assert_ne!(other["session_key"], first["session_key"]);
    assert_ne!(other["openid"], first["openid"]);
    assert_eq!(other["unionid"], first["unionid"]);
    let data = world.sandbox("POST", "/getPhoneNumber", json!({ "user": person, "appId": "wxother" })).await;
    assert_eq!(decrypt(&data, &other["session_key"]).unwrap()["watermark"]["appid"], "wxother");
    assert_eq!(phone_by_code(&world, OTHER_MINI_PROGRAM, json!({ "code": data["code"] })).await["errcode"], 0);
}

#[tokio::test]
async fn the_demo_user_is_the_same_at_every_start() {
    let world = world().await;
    for _ in 0..2 {
        let reply = phone_by_code(&world, MINI_PROGRAM, json!({ "code": DEMO_PHONE_CODE })).await;
        assert_eq!(reply["phone_info"]["phoneNumber"], "13800138000");
        assert_eq!(session(&world, MINI_PROGRAM, DEMO_CODE).await["session_key"], DEMO_SESSION_KEY);
        world.advance(Duration::from_secs(301));
    }
    let profile = world.sandbox("POST", "/getUserProfile", json!({ "user": "demo", "anonymous": false })).await;
    assert_eq!(decrypt(&profile, &json!(DEMO_SESSION_KEY)).unwrap()["nickName"], "Demo");
    world.sandbox("POST", "/users/demo/session-key", Value::Null).await;
    assert_ne!(session(&world, MINI_PROGRAM, DEMO_CODE).await["session_key"], DEMO_SESSION_KEY);
}
