//! Nothing that WeChat gives to apps and tells of people is logged, shown to anybody else, or kept in the clear.

use std::time::Duration;

use serde_json::{Value, json};
use shared::random;
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::callers::Caller;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::http::Reply;
use tests::logs;
use tests::upstream::{After, Upstream};
use tests::world::World;

const PHONE: &str = "/wxa/business/getuserphonenumber";
const OAUTH: &str = "/sns/oauth2/access_token";

/// What may be nowhere; and what is kept in the clear, but may not be logged.
#[derive(Default)]
struct Secrets {
    sealed: Vec<String>,
    kept: Vec<String>,
}

impl Secrets {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.sealed.iter().chain(&self.kept)
    }

    fn sealed(&mut self, values: &[&Value]) {
        self.sealed.extend(values.iter().map(|value| value.as_str().unwrap().to_owned()));
    }

    fn kept(&mut self, values: &[&Value]) {
        self.kept.extend(values.iter().map(|value| value.as_str().unwrap().to_owned()));
    }

    fn expect_unlogged(&self) {
        let lines = logs::all();
        for secret in self.all() {
            assert!(secret.len() >= 8, "{secret} is too short to be looked for");
            assert_eq!(lines.lines().find(|line| line.contains(secret)), None, "{secret}");
        }
    }

    fn expect_unsaid(&self, reply: &Reply) {
        let body = reply.json.to_string();
        assert!(reply.status >= 400 && !self.all().any(|secret| body.contains(secret)), "{body}");
    }
}

/// A name, a number or whatever that nobody else has.
fn canary(name: &str) -> String {
    format!("canary-{name}-{}", random::base64url::<6>())
}

/// Somebody at the mini program and the official account, and what there is to be kept of them.
async fn somebody(world: &World, secrets: &mut Secrets) -> Caller {
    let person = world.person(canary("union").into()).await;
    let number = format!("1390{}", u32::from_be_bytes(random::bytes()) % 1_000_000 + 1_000_000);
    let avatar_url = format!("https://a.qlogo.cn/{}", canary("avatar"));
    let change = json!({ "nickName": canary("nick"), "avatarUrl": avatar_url, "phoneNumber": number });
    world.sandbox("PUT", &format!("/users/{person}"), change.clone()).await;
    for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
        let code = world.code_for(&person, app_id).await;
        let login = world.call("login", None, json!({ "code": code, "appId": app_id })).await;
        secrets.sealed(&[&code.into(), &login.json["token"]]);
    }
    let caller = world.log_in(&person, MINI_PROGRAM).await;
    secrets.sealed(&[&caller.token.clone().into(), &caller.session_key(world).await.into(), &number.into()]);
    let state = world.sandbox("GET", "/state", Value::Null).await;
    let person = &state["users"][&person];
    secrets.kept(&[&change["nickName"], &change["avatarUrl"], &person["unionid"]]);
    secrets.kept(&person["openids"].as_object().unwrap().values().collect::<Vec<_>>());
    caller
}

/// The calls of a caller in which something secret takes part, each with the operations of the table that it needs.
async fn calls(
    world: &World,
    caller: &Caller,
    secrets: &mut Secrets,
) -> [(&'static str, Value, &'static [&'static str]); 7] {
    let button = caller.phone_button(world, json!({})).await;
    let mut profile = world.sandbox("POST", "/getUserInfo", json!({ "user": caller.person, "anonymous": false })).await;
    profile.as_object_mut().unwrap().remove("errMsg").unwrap();
    let (card_code, oauth_code) =
        (format!("canary{}", random::alphanumeric(14)), world.code_for(&caller.person, OFFICIAL_ACCOUNT).await);
    secrets.sealed(&[&button["code"], &button["encryptedData"], &button["iv"]]);
    secrets.sealed(&[&profile["signature"], &profile["encryptedData"], &profile["iv"]]);
    secrets.sealed(&[&card_code.clone().into(), &oauth_code.clone().into()]);
    let by_data = json!({ "encryptedData": button["encryptedData"], "iv": button["iv"] });
    [
        ("phone-decrypt", json!({ "code": button["code"] }), &["GetItem", "UpdateItem"]),
        ("phone-decrypt", by_data, &["GetItem", "UpdateItem"]),
        ("user-info", profile, &["GetItem", "UpdateItem"]),
        ("user-info", json!({}), &["GetItem"]),
        (
            "card-ext",
            json!({ "cardId": "pClient000000000000000000000", "code": card_code, "openid": true }),
            &["GetItem"],
        ),
        ("card-ext", json!({ "cardId": "pServer000000000000000000000" }), &["GetItem", "TransactWriteItems"]),
        ("login", json!({ "code": oauth_code, "appId": OFFICIAL_ACCOUNT }), &["BatchGetItem", "TransactWriteItems"]),
    ]
}

/// What the apps have at WeChat at this moment.
async fn tokens(world: &World, secrets: &mut Secrets) {
    let tokens = world.sandbox("GET", "/tokens", Value::Null).await;
    let values = tokens.as_object().unwrap().values().flat_map(|app| app.as_object().unwrap().values());
    secrets.sealed(&values.map(|token| &token["value"]).collect::<Vec<_>>());
}

async fn world() -> (World, DynamoDbProxy, World) {
    let (world, proxy, behind) = World::start_with_proxy().await;
    world.put_card("pClient000000000000000000000", json!({ "codes": "client" })).await;
    world.put_card("pServer000000000000000000000", json!({ "codes": "server" })).await;
    (world, proxy, behind)
}

#[tokio::test]
async fn a_life_in_every_function_leaves_nothing_in_the_log_and_nothing_in_the_clear() {
    let (world, _proxy, _behind) = world().await;
    let mut secrets = Secrets::default();
    let caller = somebody(&world, &mut secrets).await;
    for (function, body, _) in calls(&world, &caller, &mut secrets).await {
        let reply = caller.call(&world, function, body).await;
        assert_eq!(reply.status, 200, "{function}: {:?}", reply.json);
        if let Some(ext) = reply.json["cardExt"].as_str() {
            let ext: Value = serde_json::from_str(ext).unwrap();
            secrets.kept(&[&ext["code"], &ext["signature"], &ext["nonce_str"]]);
        }
    }
    tokens(&world, &mut secrets).await;
    assert_eq!(secrets.sealed.len(), 18);
    secrets.expect_unlogged();
    for secret in &secrets.sealed {
        assert!(!world.table_shows(secret).await, "{secret}");
    }
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_wechat_fails() {
    let (world, _proxy, _behind) = world().await;
    let mut secrets = Secrets::default();
    for fault in [
        json!({ "errcode": -1 }),
        json!({ "errcode": 40001 }),
        json!({ "errcode": 40013 }),
        json!({ "errcode": 40029 }),
        json!({ "errcode": 40164 }),
        json!({ "errcode": 45011 }),
        json!({ "errcode": 48001 }),
        json!({ "status": 502 }),
        json!({ "emptyBody": true }),
        json!({ "drop": "before" }),
    ] {
        let caller = somebody(&world, &mut secrets).await;
        let [by_code, _, _, _, _, _, login] = calls(&world, &caller, &mut secrets).await;
        for (path, (function, body, _)) in [(PHONE, by_code), (OAUTH, login)] {
            let mut fault = fault.clone();
            fault["times"] = 3.into();
            world.fault(path, fault).await;
            secrets.expect_unsaid(&caller.call(&world, function, body).await);
        }
        world.sandbox("DELETE", "/faults", Value::Null).await;
        tokens(&world, &mut secrets).await;
        world.advance(Duration::from_secs(120));
    }
    secrets.expect_unlogged();
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_the_table_fails() {
    let (world, proxy, _behind) = world().await;
    let mut secrets = Secrets::default();
    for error in ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"] {
        for operation in ["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems"] {
            let caller = somebody(&world, &mut secrets).await;
            let calls = calls(&world, &caller, &mut secrets).await;
            for (function, body, _) in calls.into_iter().filter(|(_, _, needed)| needed.contains(&operation)) {
                proxy.inject(operation, 1, Kind::error(error));
                secrets.expect_unsaid(&caller.call(&world, function, body).await);
            }
        }
    }
    tokens(&world, &mut secrets).await;
    secrets.expect_unlogged();
}

#[tokio::test]
async fn what_wechat_says_in_its_own_words_is_not_repeated() {
    let (good, _proxy, _behind) = world().await;
    let mut secrets = Secrets::default();
    let caller = somebody(&good, &mut secrets).await;
    let code = caller.phone_button(&good, json!({})).await["code"].take();
    assert_eq!(caller.call(&good, "phone-decrypt", json!({ "code": code })).await.status, 200);
    secrets.sealed(&[&"canary-words-of-wechats".into()]);
    for body in [
        r#"{"errcode":-1,"errmsg":"canary-words-of-wechats"}"#,
        r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 canary-words-of-wechats"}"#,
        r#"{"access_token":"canary-words-of-wechats","ticket":"canary-words-of-wechats","expires_in":"never"}"#,
        r#"{"access_token":"canary-words-of-wechats","ticket":"canary-words-of-wechats","expires_in":1}"#,
        r#"{"phone_info":{"phoneNumber":"canary-words-of-wechats"},"session_key":"canary-words-of-wechats"}"#,
        r#"{"openid":["canary-words-of-wechats"],"unionid":"canary-words-of-wechats"}"#,
        "canary-words-of-wechats",
    ] {
        let wechat = Upstream::start(body, After::Close).await;
        let bad = over_the_table_of(&good, &wechat.url).await;
        for (function, body) in [
            ("phone-decrypt", json!({ "code": "any-code" })),
            ("login", json!({ "code": "any-code" })),
            ("login", json!({ "code": "any-code", "appId": OFFICIAL_ACCOUNT })),
            ("card-ext", json!({ "cardId": "pServer000000000000000000000" })),
        ] {
            secrets.expect_unsaid(&caller.call(&bad, function, body).await);
        }
        let by_person = json!({ "appId": OFFICIAL_ACCOUNT, "kind": "wx_card" }).to_string();
        let result = bad.instance("token-refresher").await.invoke(by_person.into(), bad.now()).await.unwrap();
        let reply = String::from_utf8(result).unwrap();
        assert!(reply.contains(r#""refreshed":[]"#) && !reply.contains("canary"), "{reply}");
    }
    secrets.expect_unlogged();
}

/// The same functions with another WeChat.
async fn over_the_table_of(world: &World, wechat: &str) -> World {
    let names = ["AWS_ENDPOINT_URL_DYNAMODB", "TABLE_NAME", "SEAL_KEY", "WECHAT_APPS"];
    let [dynamodb, table, seal_key, apps] = names.map(|name| (name, world.machine.env().get(name).unwrap()));
    World::start_with([dynamodb, table, seal_key, apps, ("WECHAT_API_URLS", wechat)]).await
}
