//! The sandbox's access tokens and tickets live and die as WeChat's do.

use std::time::Duration;

use serde_json::{Value, json};
use tests::http::{Client, Reply};
use tests::world::{World, until_midnight_in_beijing};

/// Where the apps of the local machine are in `WECHAT_APPS`.
const MINI_PROGRAM: usize = 0;
const OFFICIAL_ACCOUNT: usize = 1;
const MOBILE_APP: usize = 2;

/// A request for a token that WeChat grants.
fn request(world: &World, app: usize) -> Value {
    let app = &world.apps()[app];
    json!({ "grant_type": "client_credential", "appid": app["appId"], "secret": app["appSecret"] })
}

async fn stable_token(world: &World, body: Value) -> Reply {
    world.wechat("POST", "/cgi-bin/stable_token", body).await
}

/// A token and its seconds.
async fn token(world: &World, app: usize) -> (String, u64) {
    let reply = stable_token(world, request(world, app)).await;
    (reply.json["access_token"].as_str().unwrap().to_owned(), reply.json["expires_in"].as_u64().unwrap())
}

/// A forced token.
async fn forced(world: &World, app: usize) -> Value {
    let mut body = request(world, app);
    body["force_refresh"] = true.into();
    stable_token(world, body).await.json
}

async fn ticket(world: &World, token: &str, kind: &str) -> Value {
    world.wechat("GET", &format!("/cgi-bin/ticket/getticket?access_token={token}&type={kind}"), Value::Null).await.json
}

async fn revoke(world: &World, app: usize, kind: &str) -> Value {
    let body = json!({ "appId": world.apps()[app]["appId"], "kind": kind });
    world.sandbox("POST", "/tokens/revoke", body).await["revoked"].take()
}

#[tokio::test]
async fn a_token_is_the_same_until_its_last_five_minutes_and_then_both_are_good() {
    let world = World::start().await;
    let (old, expires_in) = token(&world, OFFICIAL_ACCOUNT).await;
    assert_eq!(expires_in, 7200);
    assert!((120..=512).contains(&old.len()), "{}", old.len());
    assert!(old.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    world.advance(Duration::from_secs(6899));
    assert_eq!(token(&world, OFFICIAL_ACCOUNT).await, (old.clone(), 301));
    world.advance(Duration::from_secs(1));
    let (new, expires_in) = token(&world, OFFICIAL_ACCOUNT).await;
    assert_ne!(new, old);
    assert_eq!(expires_in, 7200);
    world.advance(Duration::from_secs(299));
    for good in [&old, &new] {
        assert_eq!(ticket(&world, good, "jsapi").await["errcode"], 0);
    }
    world.advance(Duration::from_secs(1));
    assert_eq!(ticket(&world, &old, "jsapi").await["errcode"], 42001);
    assert_eq!(ticket(&world, &new, "jsapi").await["errcode"], 0);
}

#[tokio::test]
async fn each_app_has_a_token_of_its_own() {
    let world = World::start().await;
    assert_ne!(token(&world, MINI_PROGRAM).await.0, token(&world, OFFICIAL_ACCOUNT).await.0);
}

#[tokio::test]
async fn a_token_is_refused_for_what_wechat_refuses_it_for() {
    let world = World::start().await;
    let with = |field: &str, value: Value| {
        let mut body = request(&world, MINI_PROGRAM);
        body[field] = value;
        body
    };
    for (body, errcode) in [
        (with("appid", Value::Null), 41002),
        (with("appid", "".into()), 41002),
        (with("secret", Value::Null), 41004),
        (with("grant_type", Value::Null), 40002),
        (with("grant_type", "authorization_code".into()), 40002),
        (with("appid", "wxnobody".into()), 40013),
        (request(&world, MOBILE_APP), 40013),
        (with("secret", world.apps()[OFFICIAL_ACCOUNT]["appSecret"].clone()), 40125),
        (with("appid", 1.into()), 47001),
        (json!([]), 47001),
        (Value::Null, 47001),
    ] {
        let reply = stable_token(&world, body.clone()).await;
        assert_eq!((reply.status, &reply.json["errcode"]), (200, &json!(errcode)), "{body}");
    }
    let reply = world.wechat("GET", "/cgi-bin/stable_token", Value::Null).await;
    assert_eq!(reply.json["errcode"], 43002);
    let url = format!("{}/cgi-bin/stable_token", world.machine.wechat_url());
    let reply = Client::default().send("POST", &url, &[], b"grant_type=client_credential".to_vec()).await;
    assert_eq!(reply.json["errcode"], 47001);
    let reply = Client::default().send("POST", &url, &[], vec![b' '; 1024 * 1024 + 1]).await;
    assert_eq!(reply.status, 413);
    assert_eq!(world.sandbox("GET", "/tokens", Value::Null).await, json!({}));
}

#[tokio::test]
async fn a_forced_token_ends_those_before_it_at_once() {
    let world = World::start().await;
    let (oldest, _) = token(&world, OFFICIAL_ACCOUNT).await;
    world.advance(Duration::from_secs(6900));
    let (old, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let new = forced(&world, OFFICIAL_ACCOUNT).await;
    assert_eq!(new["expires_in"], 7200);
    for dead in [&oldest, &old] {
        assert_eq!(ticket(&world, dead, "jsapi").await["errcode"], 40001);
    }
    assert_eq!(token(&world, OFFICIAL_ACCOUNT).await.0, new["access_token"]);
    assert_eq!(ticket(&world, new["access_token"].as_str().unwrap(), "jsapi").await["errcode"], 0);
    let calls = world.calls_of("/cgi-bin/stable_token").await;
    let forced: Vec<_> = calls.iter().map(|call| call["forced"] == true).collect();
    assert_eq!(forced, [false, false, true, false]);
}

#[tokio::test]
async fn a_token_is_forced_every_thirty_seconds_and_twenty_times_a_day() {
    let world = World::start().await;
    world.advance(until_midnight_in_beijing(&world));
    let first = forced(&world, MINI_PROGRAM).await["access_token"].take();
    world.advance(Duration::from_secs(29));
    let again = forced(&world, MINI_PROGRAM).await;
    assert_eq!((&again["access_token"], &again["expires_in"]), (&first, &json!(7171)));
    for _ in 1..20 {
        world.advance(Duration::from_secs(30));
        assert_ne!(forced(&world, MINI_PROGRAM).await["access_token"], first);
    }
    world.advance(Duration::from_secs(30));
    assert_eq!(forced(&world, MINI_PROGRAM).await["errcode"], 45009);
    assert_eq!(forced(&world, OFFICIAL_ACCOUNT).await["expires_in"], 7200);
    assert_eq!(token(&world, MINI_PROGRAM).await.1, 7170);
    world.advance(until_midnight_in_beijing(&world) - Duration::from_secs(1));
    assert_eq!(forced(&world, MINI_PROGRAM).await["errcode"], 45009);
    world.advance(Duration::from_secs(1));
    assert_eq!(forced(&world, MINI_PROGRAM).await["expires_in"], 7200);
}

#[tokio::test]
async fn a_revoked_token_is_dead_and_followed_by_a_new_one() {
    let world = World::start().await;
    assert_eq!(revoke(&world, OFFICIAL_ACCOUNT, "access_token").await, false);
    let (old, _) = token(&world, OFFICIAL_ACCOUNT).await;
    assert_eq!(revoke(&world, OFFICIAL_ACCOUNT, "access_token").await, true);
    assert_eq!(ticket(&world, &old, "jsapi").await["errcode"], 40001);
    let (new, expires_in) = token(&world, OFFICIAL_ACCOUNT).await;
    assert_ne!(new, old);
    assert_eq!(expires_in, 7200);
    assert_eq!(ticket(&world, &new, "jsapi").await["errcode"], 0);
    // Without a name it is the mini program's.
    token(&world, MINI_PROGRAM).await;
    assert_eq!(world.sandbox("POST", "/tokens/revoke", json!({})).await["revoked"], true);
}

#[tokio::test]
async fn a_call_with_no_token_or_another_one_is_refused() {
    let world = World::start().await;
    let (foreign, _) = token(&world, MINI_PROGRAM).await;
    let (own, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let good = ticket(&world, &own, "jsapi").await;
    for (token, errcode) in
        [("", 41001), ("nonsense", 40014), (good["ticket"].as_str().unwrap(), 40014), (&foreign, 48001)]
    {
        assert_eq!(ticket(&world, token, "jsapi").await["errcode"], errcode, "{token}");
    }
    let path = "/cgi-bin/ticket/getticket";
    assert_eq!(world.wechat("GET", path, Value::Null).await.json["errcode"], 41001);
    assert_eq!(world.wechat("POST", &format!("{path}?access_token={own}"), Value::Null).await.json["errcode"], 43001);
}

#[tokio::test]
async fn a_ticket_is_the_same_until_its_last_five_minutes_or_its_end() {
    let world = World::start().await;
    let (access_token, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let card = ticket(&world, &access_token, "wx_card").await;
    assert_eq!((&card["errmsg"], &card["expires_in"]), (&json!("ok"), &json!(7200)));
    assert_ne!(ticket(&world, &access_token, "jsapi").await["ticket"], card["ticket"]);
    assert_eq!(ticket(&world, &access_token, "other").await["errcode"], 40097);
    world.advance(Duration::from_secs(6899));
    let same = ticket(&world, &access_token, "wx_card").await;
    assert_eq!((&same["ticket"], &same["expires_in"]), (&card["ticket"], &json!(301)));
    world.advance(Duration::from_secs(1));
    let second = ticket(&world, &access_token, "wx_card").await;
    assert_ne!(second["ticket"], card["ticket"]);
    assert_eq!(revoke(&world, OFFICIAL_ACCOUNT, "wx_card").await, true);
    assert_ne!(ticket(&world, &access_token, "wx_card").await["ticket"], second["ticket"]);
}

#[tokio::test]
async fn the_live_values_can_be_looked_at() {
    let world = World::start().await;
    let (mini, _) = token(&world, MINI_PROGRAM).await;
    world.advance(Duration::from_secs(60));
    let (official, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let card = ticket(&world, &official, "wx_card").await["ticket"].take();
    let (apps, seen) = (world.apps(), world.sandbox("GET", "/tokens", Value::Null).await);
    let of = |app: usize| &seen[apps[app]["appId"].as_str().unwrap()];
    assert_eq!(of(MINI_PROGRAM), &json!({ "access_token": { "value": mini, "expiresIn": 7140 } }));
    let expected = json!({
        "access_token": { "value": official, "expiresIn": 7200 },
        "wx_card": { "value": card, "expiresIn": 7200 },
    });
    assert_eq!(of(OFFICIAL_ACCOUNT), &expected);
    assert_eq!(of(MOBILE_APP), &Value::Null);
}

#[tokio::test]
async fn the_sandbox_can_be_ahead_of_everybody_else() {
    let world = World::start().await;
    let now = world.now();
    let (old, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let code = world.code(&world.person(Value::Null).await).await;
    for (advance, offset) in [(300, 300), (6900, 7200)] {
        let clock = world.sandbox("POST", "/clock", json!({ "advanceSecs": advance })).await;
        assert_eq!(clock["offsetSecs"], offset);
    }
    assert_eq!(world.now(), now);
    assert_eq!(ticket(&world, &old, "jsapi").await["errcode"], 42001);
    assert_eq!(world.login(&code).await.code(), "login_code_invalid");
}

#[tokio::test]
async fn calls_are_logged_counted_and_admitted_by_the_app_of_their_token() {
    let world = World::start().await;
    let app_id = world.apps()[OFFICIAL_ACCOUNT]["appId"].clone();
    let (access_token, _) = token(&world, OFFICIAL_ACCOUNT).await;
    // The whitelist is about who gets a token, not about who uses one.
    world.sandbox("PUT", "/whitelist", json!({ "appId": app_id, "ips": ["203.0.113.9"] })).await;
    assert_eq!(stable_token(&world, request(&world, OFFICIAL_ACCOUNT)).await.json["errcode"], 40164);
    assert_eq!(stable_token(&world, request(&world, MINI_PROGRAM)).await.json["expires_in"], 7200);
    assert_eq!(ticket(&world, &access_token, "jsapi").await["errcode"], 0);

    world.sandbox("PUT", "/quotas", json!({ "path": "/cgi-bin/ticket/getticket", "perDay": 1 })).await;
    revoke(&world, OFFICIAL_ACCOUNT, "access_token").await;
    assert_eq!(ticket(&world, &access_token, "jsapi").await["errcode"], 40001);
    assert_eq!(ticket(&world, &access_token, "jsapi").await["errcode"], 45009);
    let fault = json!({ "path": "/cgi-bin/stable_token", "errcode": -1, "times": u32::MAX });
    world.sandbox("POST", "/faults", fault).await;
    for _ in 0..3 {
        assert_eq!(stable_token(&world, request(&world, MINI_PROGRAM)).await.json["errcode"], -1);
    }
    let calls = world.sandbox("GET", "/calls?path=/cgi-bin/ticket/getticket", Value::Null).await;
    assert_eq!(calls["total"], 3);
    assert!(calls["calls"].as_array().unwrap().iter().all(|call| call["appId"] == app_id), "{calls}");
    let calls = world.sandbox("GET", "/calls?path=/cgi-bin/stable_token", Value::Null).await;
    assert_eq!(calls["calls"][1]["appId"], app_id);
}

#[tokio::test]
async fn the_classic_token_is_never_given_out_and_every_try_is_seen() {
    let world = World::start().await;
    let app_id = world.apps()[MINI_PROGRAM]["appId"].take();
    let query = format!("grant_type=client_credential&appid={}&secret=any", app_id.as_str().unwrap());
    let path = format!("/cgi-bin/token?{query}");
    assert_eq!(world.wechat("GET", &path, Value::Null).await.json["errcode"], 50004);
    let calls = world.sandbox("GET", "/calls?path=/cgi-bin/token", Value::Null).await;
    assert_eq!((&calls["total"], &calls["calls"][0]["appId"]), (&json!(1), &app_id));
}

/// The classic way to a token, where it is switched on.
async fn classic(world: &World, app: usize) -> Value {
    let request = request(world, app);
    let (id, secret) = (request["appid"].as_str().unwrap(), request["secret"].as_str().unwrap());
    let path = format!("/cgi-bin/token?grant_type=client_credential&appid={id}&secret={secret}");
    world.wechat("GET", &path, Value::Null).await.json
}

#[tokio::test]
async fn the_classic_token_can_be_switched_on_and_ends_the_one_before_it_after_five_minutes() {
    let world = World::start().await;
    let switched = world.sandbox("PUT", "/classic-token", json!({ "enabled": true })).await;
    assert_eq!(switched, json!({ "enabled": true }));
    let (stable, _) = token(&world, OFFICIAL_ACCOUNT).await;
    let first = classic(&world, OFFICIAL_ACCOUNT).await;
    assert_eq!((first["expires_in"].as_u64(), first.as_object().unwrap().len()), (Some(7200), 2), "{first}");
    let second = classic(&world, OFFICIAL_ACCOUNT).await;
    let text = |token: &Value| token["access_token"].as_str().unwrap().to_owned();
    let (first, second) = (text(&first), text(&second));
    assert_ne!(first, second);
    world.advance(Duration::from_secs(299));
    assert_eq!(ticket(&world, &first, "jsapi").await["errcode"], 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(ticket(&world, &first, "jsapi").await["errcode"], 40001);
    assert_eq!(ticket(&world, &second, "jsapi").await["errcode"], 0);
    // Neither of the two kinds ends the other.
    assert_eq!(token(&world, OFFICIAL_ACCOUNT).await.0, stable);
    assert_ne!(forced(&world, OFFICIAL_ACCOUNT).await["access_token"], stable);
    assert_eq!(ticket(&world, &second, "jsapi").await["errcode"], 0);
    world.advance(Duration::from_secs(6900));
    assert_eq!(ticket(&world, &second, "jsapi").await["errcode"], 42001);
    world.sandbox("PUT", "/classic-token", json!({ "enabled": false })).await;
    assert_eq!(classic(&world, OFFICIAL_ACCOUNT).await["errcode"], 50004);
}

#[tokio::test]
async fn the_classic_token_is_refused_for_what_wechat_refuses_it_for() {
    let world = World::start().await;
    world.sandbox("PUT", "/classic-token", json!({ "enabled": true })).await;
    let apps = world.apps();
    let (id, secret) =
        (apps[MINI_PROGRAM]["appId"].as_str().unwrap(), apps[MINI_PROGRAM]["appSecret"].as_str().unwrap());
    let (mobile, grant) = (apps[MOBILE_APP]["appId"].as_str().unwrap(), "grant_type=client_credential");
    for (query, errcode) in [
        (format!("{grant}&secret={secret}"), 41002),
        (format!("{grant}&appid={id}"), 41004),
        (format!("appid={id}&secret={secret}"), 40002),
        (format!("{grant}&appid=wxnobody&secret={secret}"), 40013),
        (format!("{grant}&appid={mobile}&secret={secret}"), 40013),
        // `stable_token` says 40125 to that.
        (format!("{grant}&appid={id}&secret=wrong"), 40001),
    ] {
        let reply = world.wechat("GET", &format!("/cgi-bin/token?{query}"), Value::Null).await;
        assert_eq!((reply.status, &reply.json["errcode"]), (200, &json!(errcode)), "{query}");
    }
    world.sandbox("PUT", "/whitelist", json!({ "appId": id, "ips": ["203.0.113.9"] })).await;
    let refused = classic(&world, MINI_PROGRAM).await;
    assert_eq!(refused["errcode"], 40164);
    let errmsg = refused["errmsg"].as_str().unwrap();
    assert!(errmsg.starts_with("invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: "), "{errmsg}");
}
