//! The sandbox tells whether a session_key is the live one, as WeChat's `checkSession` does.

use ring::hmac;
use serde_json::{Value, json};
use tests::world::World;

/// What the server of a mini program knows of a user.
struct Session {
    openid: String,
    key: String,
}

fn app(world: &World) -> (String, String) {
    let app = &world.apps()[0];
    (app["appId"].as_str().unwrap().to_owned(), app["appSecret"].as_str().unwrap().to_owned())
}

async fn session_of(world: &World, person: &str) -> Session {
    let ((id, secret), code) = (app(world), world.code(person).await);
    let query = format!("appid={id}&secret={secret}&js_code={code}&grant_type=authorization_code");
    let answer = world.wechat("GET", &format!("/sns/jscode2session?{query}"), Value::Null).await.json;
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Session { openid: text("openid"), key: text("session_key") }
}

async fn token(world: &World) -> String {
    let (id, secret) = app(world);
    let body = json!({ "grant_type": "client_credential", "appid": id, "secret": secret });
    world.wechat("POST", "/cgi-bin/stable_token", body).await.json["access_token"].as_str().unwrap().to_owned()
}

/// The signature of nothing: a GET has no body. The key is the session_key's text, not what it decodes to.
fn signature(session_key: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, session_key.as_bytes()), b"");
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn check(world: &World, query: &str) -> Value {
    world.wechat("GET", &format!("/wxa/checksession?{query}"), Value::Null).await.json
}

#[tokio::test]
async fn the_live_key_is_valid_and_a_replaced_one_is_not() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let (session, token) = (session_of(&world, &person).await, token(&world).await);
    let (openid, good) = (&session.openid, signature(&session.key));
    let query = format!("access_token={token}&openid={openid}&signature={good}&sig_method=hmac_sha256");
    assert_eq!(check(&world, &query).await, json!({ "errcode": 0, "errmsg": "ok" }));
    world.sandbox("POST", &format!("/users/{person}/session-key"), Value::Null).await;
    assert_eq!(check(&world, &query).await["errcode"], 87009);
    let calls = world.calls_of("/wxa/checksession").await;
    assert_eq!((calls.len(), &calls[0]["appId"]), (2, &world.apps()[0]["appId"]));
}

#[tokio::test]
async fn it_refuses_what_wechat_refuses() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let (session, token) = (session_of(&world, &person).await, token(&world).await);
    let (openid, good, method) = (&session.openid, signature(&session.key), "sig_method=hmac_sha256");
    let other = session_of(&world, &world.person(Value::Null).await).await;
    for (query, errcode) in [
        (format!("openid={openid}&signature={good}&{method}"), 41001),
        (format!("access_token=x&openid={openid}&signature={good}&{method}"), 40014),
        (format!("access_token={token}&signature={good}&{method}"), 41009),
        (format!("access_token={token}&openid=oNobody&signature={good}&{method}"), 40003),
        (format!("access_token={token}&openid={openid}&signature={good}&sig_method=sha1"), 87008),
        (format!("access_token={token}&openid={openid}&signature={good}"), 87008),
        (format!("access_token={token}&openid={openid}&{method}"), 87009),
        (format!("access_token={token}&openid={openid}&signature=nothex&{method}"), 87009),
        (format!("access_token={token}&openid={}&signature={good}&{method}", other.openid), 87009),
    ] {
        assert_eq!(check(&world, &query).await["errcode"], errcode, "{query}");
    }
    let posted = world.wechat("POST", "/wxa/checksession", json!({})).await;
    assert_eq!(posted.json["errcode"], 43001);
}
