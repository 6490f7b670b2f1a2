//! The sandbox answers as WeChat does, and checks what it is sent.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP};
use tests::http::{Client, Reply};
use tests::world::{World, until_midnight_in_beijing};

const OFFICIAL: &str = "wxofficial";

/// A mini program and an official account.
async fn world() -> World {
    let apps = json!([
        { "appId": "wxmini", "appSecret": "s1", "kind": "mini-program" },
        { "appId": "wxother", "appSecret": "s2", "kind": "mini-program" },
        { "appId": OFFICIAL, "appSecret": "s3", "kind": "official-account" },
    ]);
    World::start_with([("WECHAT_APPS", &apps.to_string())]).await
}

async fn code2session(world: &World, method: &str, query: &str) -> Reply {
    let url = format!("{}/sns/jscode2session?{query}", world.machine.wechat_url());
    Client::default().send(method, &url, &[], Vec::new()).await
}

#[tokio::test]
async fn it_refuses_what_wechat_refuses() {
    let world = world().await;
    let code = world.code(&world.person(Value::Null).await).await;
    let grant = "grant_type=authorization_code";
    for (query, errcode) in [
        (format!("secret=s1&js_code={code}&{grant}"), 41002),
        (format!("appid=wxmini&js_code={code}&{grant}"), 41004),
        (format!("appid=wxmini&secret=s1&{grant}"), 41008),
        (format!("appid=wxmini&secret=s1&js_code=&{grant}"), 41008),
        (format!("appid=wxmini&secret=s1&js_code={code}"), 40002),
        (format!("appid=wxmini&secret=s1&js_code={code}&grant_type=client_credential"), 40002),
        (format!("appid=wxnobody&secret=s1&js_code={code}&{grant}"), 40013),
        (format!("appid={OFFICIAL}&secret=s3&js_code={code}&{grant}"), 40013),
        (format!("appid=wxmini&secret=s2&js_code={code}&{grant}"), 40125),
        (format!("appid=wxmini&secret=s1&js_code=nobody&{grant}"), 40029),
        (format!("appid=wxother&secret=s2&js_code={code}&{grant}"), 40029),
    ] {
        let reply = code2session(&world, "GET", &query).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "text/plain"), "{query}");
        assert_eq!(reply.json["errcode"], errcode, "{query}");
        let errmsg = reply.json["errmsg"].as_str().unwrap();
        assert_eq!(errmsg.split(", rid: ").nth(1).unwrap().len(), 26, "{errmsg}");
    }
    let good = format!("appid=wxmini&secret=s1&js_code={code}&{grant}");
    assert_eq!(code2session(&world, "POST", &good).await.json["errcode"], 43001);
    let reply = code2session(&world, "GET", &good).await;
    assert_eq!(reply.json["openid"].as_str().unwrap().len(), 28);
    assert_eq!(reply.json["session_key"].as_str().unwrap().len(), 24);
    assert_eq!(reply.json.get("errcode"), None);
    assert_eq!(code2session(&world, "GET", &good).await.json["errcode"], 40163);
}

#[tokio::test]
async fn controls_that_would_do_nothing_are_refused() {
    let world = World::start().await;
    let control = async |path: &str, body: Value| {
        let url = format!("{}/sandbox{path}", world.machine.wechat_url());
        let method = if path == "/quotas" || path == "/users/demo" { "PUT" } else { "POST" };
        let headers = [("content-type", "application/json")];
        Client::default().send(method, &url, &headers, body.to_string().into_bytes()).await.status
    };
    assert_eq!(control("/faults", json!({ "path": "/sns/typo", "errcode": -1 })).await, 400);
    assert_eq!(control("/faults", json!({ "path": "/sns/jscode2session", "status": 99 })).await, 400);
    assert_eq!(control("/faults", json!({ "path": "/sns/jscode2session", "latency": 1 })).await, 422);
    assert_eq!(control("/quotas", json!({ "path": "/sns/typo" })).await, 400);
    assert_eq!(control("/wx.login", json!({ "user": "nobody" })).await, 404);
    assert_eq!(control("/users/nobody/session-key", json!({})).await, 404);
    let authorize = async |app_id: &str, snapshot: bool| {
        control("/oauth2/authorize", json!({ "user": "demo", "appId": app_id, "snapshot": snapshot })).await
    };
    assert_eq!(authorize(MINI_PROGRAM, false).await, 404);
    assert_eq!(authorize(MOBILE_APP, true).await, 400);
    assert_eq!(control("/users/demo", json!({ "countryCode": "852" })).await, 400);
    for path in ["/getPhoneNumber", "/getUserInfo", "/getUserProfile"] {
        assert_eq!(control(path, json!({ "user": "nobody" })).await, 404);
        let never_logged_in = world.person(Value::Null).await;
        assert_eq!(control(path, json!({ "user": never_logged_in })).await, 404);
    }
    assert_eq!(control("/tokens/revoke", json!({ "appId": "wxnobody" })).await, 404);
    assert_eq!(control("/tokens/revoke", json!({ "kind": "other" })).await, 422);
}

#[tokio::test]
async fn the_sandbox_keeps_a_session_key_for_a_while_and_then_makes_a_new_one() {
    let world = World::start().await;
    let person = world.person(Value::Null).await;
    let apps = world.apps();
    let key = async || {
        let code = world.code(&person).await;
        let (id, secret) = (apps[0]["appId"].as_str().unwrap(), apps[0]["appSecret"].as_str().unwrap());
        let query = format!("appid={id}&secret={secret}&js_code={code}&grant_type=authorization_code");
        let url = format!("{}/sns/jscode2session?{query}", world.machine.wechat_url());
        let reply = Client::default().send("GET", &url, &[], Vec::new()).await;
        assert_eq!(reply.header("content-type"), "text/plain");
        reply.json["session_key"].as_str().unwrap().to_owned()
    };
    let first = key().await;
    assert_eq!(key().await, first);
    world.sandbox("POST", &format!("/users/{person}/session-key"), Value::Null).await;
    let second = key().await;
    assert_ne!(second, first);
    world.advance(Duration::from_secs(301));
    assert_ne!(key().await, second);
}

#[tokio::test]
async fn the_day_of_a_quota_ends_at_midnight_in_beijing() {
    let world = world().await;
    world.sandbox("PUT", "/quotas", json!({ "path": "/sns/jscode2session", "perDay": 1 })).await;
    let query = "appid=wxmini&secret=s1&js_code=nobody&grant_type=authorization_code";
    let errcode = async || code2session(&world, "GET", query).await.json["errcode"].as_i64().unwrap();
    assert_eq!([errcode().await, errcode().await], [40029, 45009]);
    world.advance(until_midnight_in_beijing(&world) - Duration::from_secs(1));
    assert_eq!(errcode().await, 45009);
    world.advance(Duration::from_secs(1));
    assert_eq!([errcode().await, errcode().await], [40029, 45009]);
}
