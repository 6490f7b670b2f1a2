//! The sandbox logs the users of official accounts and mobile apps in as WeChat does.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::world::World;

async fn authorize(world: &World, wish: Value) -> String {
    world.sandbox("POST", "/oauth2/authorize", wish).await["code"].as_str().unwrap().to_owned()
}

fn secret(world: &World, app_id: &str) -> String {
    let apps = world.apps();
    let app = apps.as_array().unwrap().iter().find(|app| app["appId"] == app_id).unwrap();
    app["appSecret"].as_str().unwrap().to_owned()
}

async fn access_token(world: &World, app_id: &str, code: &str) -> Value {
    let secret = secret(world, app_id);
    let query = format!("appid={app_id}&secret={secret}&code={code}&grant_type=authorization_code");
    world.wechat("GET", &format!("/sns/oauth2/access_token?{query}"), Value::Null).await.json
}

#[tokio::test]
async fn a_code_of_each_kind_of_app_is_good_once_for_its_own_time() {
    let world = World::start().await;
    let person = world.person("union-of-all".into()).await;
    for (app_id, secs) in [(OFFICIAL_ACCOUNT, 300), (MOBILE_APP, 600)] {
        let wish = json!({ "user": person, "appId": app_id });
        let (code, late) = (authorize(&world, wish.clone()).await, authorize(&world, wish.clone()).await);
        world.advance(Duration::from_secs(secs - 1));
        let reply = access_token(&world, app_id, &code).await;
        assert_eq!((&reply["unionid"], &reply["expires_in"]), (&json!("union-of-all"), &json!(7200)), "{reply}");
        assert_eq!((&reply["scope"], reply["openid"].as_str().unwrap().len()), (&json!("snsapi_userinfo"), 28));
        assert!(reply["access_token"].is_string() && reply["refresh_token"].is_string(), "{reply}");
        assert_eq!((reply.get("errcode"), reply.get("session_key"), reply.get("is_snapshotuser")), (None, None, None));
        assert_eq!(access_token(&world, app_id, &code).await["errcode"], 40163);
        world.advance(Duration::from_secs(1));
        assert_eq!(access_token(&world, app_id, &late).await["errcode"], 40029);
        let again = access_token(&world, app_id, &authorize(&world, wish).await).await;
        assert_eq!(again["openid"], reply["openid"]);
        // It is the user's token, not the app's.
        let path = format!("/cgi-bin/ticket/getticket?access_token={}", reply["access_token"].as_str().unwrap());
        assert_eq!(world.wechat("GET", &path, Value::Null).await.json["errcode"], 40014);
    }
}

#[tokio::test]
async fn a_person_without_a_unionid_has_none_anywhere() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let code = authorize(&world, json!({ "user": person, "appId": MOBILE_APP })).await;
    let mobile = access_token(&world, MOBILE_APP, &code).await;
    let code = authorize(&world, json!({ "user": person, "appId": OFFICIAL_ACCOUNT })).await;
    let official = access_token(&world, OFFICIAL_ACCOUNT, &code).await;
    assert_eq!((mobile.get("unionid"), official.get("unionid")), (None, None));
    assert_ne!(mobile["openid"], official["openid"]);
}

#[tokio::test]
async fn a_snapshot_is_of_somebody_made_up() {
    let world = World::start().await;
    let person = world.person("union-of-somebody".into()).await;
    let wish = json!({ "user": person, "appId": OFFICIAL_ACCOUNT });
    let real = access_token(&world, OFFICIAL_ACCOUNT, &authorize(&world, wish.clone()).await).await;
    let mut wish = wish;
    wish["snapshot"] = true.into();
    let reply = access_token(&world, OFFICIAL_ACCOUNT, &authorize(&world, wish).await).await;
    assert_eq!(reply["is_snapshotuser"], 1);
    assert_ne!(reply["openid"], real["openid"]);
    assert!(reply["unionid"].is_string() && reply["unionid"] != real["unionid"], "{reply}");
}

#[tokio::test]
async fn it_refuses_what_wechat_refuses_and_what_is_of_another_kind() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let code = authorize(&world, json!({ "user": person, "appId": OFFICIAL_ACCOUNT })).await;
    let (good, grant) = (secret(&world, OFFICIAL_ACCOUNT), "grant_type=authorization_code");
    let (mini, mobile) = (secret(&world, MINI_PROGRAM), secret(&world, MOBILE_APP));
    let login_code = world.code(&person).await;
    for (query, errcode) in [
        (format!("secret={good}&code={code}&{grant}"), 41002),
        (format!("appid={OFFICIAL_ACCOUNT}&code={code}&{grant}"), 41004),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={good}&{grant}"), 41008),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={good}&js_code={code}&{grant}"), 41008),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={good}&code={code}"), 40002),
        (format!("appid=wxnobody&secret={good}&code={code}&{grant}"), 40013),
        (format!("appid={MINI_PROGRAM}&secret={mini}&code={login_code}&{grant}"), 40013),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={mobile}&code={code}&{grant}"), 40125),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={good}&code=nonsense&{grant}"), 40029),
        (format!("appid={OFFICIAL_ACCOUNT}&secret={good}&code={login_code}&{grant}"), 40029),
        (format!("appid={MOBILE_APP}&secret={mobile}&code={code}&{grant}"), 40029),
    ] {
        let reply = world.wechat("GET", &format!("/sns/oauth2/access_token?{query}"), Value::Null).await;
        assert_eq!((reply.status, &reply.json["errcode"]), (200, &json!(errcode)), "{query}");
    }
    let query = format!("appid={OFFICIAL_ACCOUNT}&secret={good}&code={code}&{grant}");
    let reply = world.wechat("POST", &format!("/sns/oauth2/access_token?{query}"), Value::Null).await;
    assert_eq!(reply.json["errcode"], 43001);
    // And the way of mini programs is not open to it.
    for (app_id, secret, errcode) in [(MINI_PROGRAM, &mini, 40029), (OFFICIAL_ACCOUNT, &good, 40013)] {
        let query = format!("appid={app_id}&secret={secret}&js_code={code}&{grant}");
        let reply = world.wechat("GET", &format!("/sns/jscode2session?{query}"), Value::Null).await;
        assert_eq!(reply.json["errcode"], errcode, "{app_id}");
    }
    assert!(access_token(&world, OFFICIAL_ACCOUNT, &code).await["openid"].is_string());
}

async fn userinfo(world: &World, token: &Value, openid: &Value) -> Value {
    let (token, openid) = (token.as_str().unwrap(), openid.as_str().unwrap());
    let path = format!("/sns/userinfo?access_token={token}&openid={openid}&lang=zh_CN");
    world.wechat("GET", &path, Value::Null).await.json
}

async fn auth(world: &World, token: &str, openid: &str) -> Value {
    world.wechat("GET", &format!("/sns/auth?access_token={token}&openid={openid}"), Value::Null).await.json
}

#[tokio::test]
async fn the_token_of_a_user_tells_who_that_is_for_two_hours() {
    let world = World::start().await;
    let person = world.person("union-of-all".into()).await;
    let change = json!({ "nickName": "小明", "avatarUrl": "https://example.com/a.png" });
    world.sandbox("PUT", &format!("/users/{person}"), change).await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let code = authorize(&world, json!({ "user": person, "appId": app_id })).await;
        let granted = access_token(&world, app_id, &code).await;
        let expected = json!({
            "openid": granted["openid"], "nickname": "小明", "sex": 0, "province": "", "city": "", "country": "",
            "headimgurl": "https://example.com/a.png", "privilege": [], "unionid": "union-of-all",
        });
        assert_eq!(userinfo(&world, &granted["access_token"], &granted["openid"]).await, expected);
        let (token, openid) = (granted["access_token"].as_str().unwrap(), granted["openid"].as_str().unwrap());
        assert_eq!(auth(&world, token, openid).await, json!({ "errcode": 0, "errmsg": "ok" }));
        for (token, openid, errcode) in
            [("", openid, 41001), ("nonsense", openid, 40014), (token, "", 41009), (token, "oNobody", 40003)]
        {
            assert_eq!(auth(&world, token, openid).await["errcode"], errcode, "{errcode}");
            let refused = userinfo(&world, &token.into(), &openid.into()).await;
            assert_eq!(refused["errcode"], errcode, "{errcode}");
        }
        assert_eq!(world.calls_of("/sns/auth").await.pop().unwrap()["appId"], app_id);
        world.advance(Duration::from_secs(7200));
        assert_eq!(auth(&world, token, openid).await["errcode"], 42001);
    }
}

#[tokio::test]
async fn a_snapshot_has_no_name_and_a_person_without_a_unionid_has_none_there_either() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let mut wish = json!({ "user": person, "appId": OFFICIAL_ACCOUNT });
    let real = access_token(&world, OFFICIAL_ACCOUNT, &authorize(&world, wish.clone()).await).await;
    let told = userinfo(&world, &real["access_token"], &real["openid"]).await;
    assert_eq!((told["openid"].as_str(), told.get("unionid")), (real["openid"].as_str(), None));
    wish["snapshot"] = true.into();
    let made_up = access_token(&world, OFFICIAL_ACCOUNT, &authorize(&world, wish).await).await;
    let told = userinfo(&world, &made_up["access_token"], &made_up["openid"]).await;
    assert_eq!((&told["openid"], &told["nickname"]), (&made_up["openid"], &json!("微信用户")));
    // The one's token says nothing of the other.
    let mixed = userinfo(&world, &made_up["access_token"], &real["openid"]).await;
    assert_eq!(mixed["errcode"], 40003);
}
