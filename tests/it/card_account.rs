//! `card-ext`: the official account that owns a card, its ticket, and the caller's openid there.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::http::Reply;
use tests::world::{World, event_with_body, reply};

const TICKET: &str = "/cgi-bin/ticket/getticket";

const APPS: &str = r#"[{"appId":"wxmini","appSecret":"s1","kind":"mini-program"},
                       {"appId":"wxfirst","appSecret":"s2","kind":"official-account"},
                       {"appId":"wxsecond","appSecret":"s3","kind":"official-account"},
                       {"appId":"wxmobile","appSecret":"s4","kind":"mobile-app"}]"#;

async fn world_of(apps: &str) -> World {
    let world = World::start_with([("WECHAT_APPS", apps)]).await;
    put_cards(&world).await;
    world
}

/// A card of whichever account is the first, and one of each app.
async fn put_cards(world: &World) {
    world.put_card("pAny000000000000000000000000", json!({})).await;
    for app_id in ["wxmini", "wxfirst", "wxsecond", "wxmobile", "wxnobodys"] {
        world.put_card(&format!("pOf-{app_id:0<24}"), json!({ "appId": app_id, "codes": "client" })).await;
    }
    world.put_card("pServer000000000000000000000", json!({ "codes": "server" })).await;
}

/// The card of an app, and whatever else.
fn card_of(app_id: &str, openid: bool) -> Value {
    json!({ "cardId": format!("pOf-{app_id:0<24}"), "code": "7", "openid": openid })
}

async fn ask(world: &World, caller: &Caller, body: Value) -> Reply {
    caller.call(world, "card-ext", body).await
}

/// A person's openid at an app, as WeChat has it.
async fn openid(world: &World, person: &str, app_id: &str) -> Value {
    world.sandbox("GET", "/state", Value::Null).await["users"][person]["openids"][app_id].take()
}

#[tokio::test]
async fn a_card_is_signed_with_the_ticket_of_its_own_account_and_one_of_none_with_the_first() {
    let world = world_of(APPS).await;
    let caller = world.caller().await;
    for (account, body) in [
        ("wxfirst", json!({ "cardId": "pAny000000000000000000000000" })),
        ("wxsecond", card_of("wxsecond", false)),
        ("wxfirst", card_of("wxfirst", false)),
        ("wxsecond", card_of("wxsecond", false)),
    ] {
        world.card_ext(&caller, account, body).await;
    }
    assert_ne!(world.live("wxfirst", "wx_card").await, world.live("wxsecond", "wx_card").await);
    let calls = world.calls_of(TICKET).await;
    assert_eq!(calls.iter().map(|call| &call["appId"]).collect::<Vec<_>>(), ["wxfirst", "wxsecond"]);
}

#[tokio::test]
async fn a_card_whose_account_is_not_configured_is_a_mistake_of_ours() {
    let misconfigured = json!({ "code": "misconfigured", "message": "this backend is not set up correctly" });
    let world = world_of(APPS).await;
    let caller = world.caller().await;
    for app_id in ["wxnobodys", "wxmini", "wxmobile"] {
        let reply = ask(&world, &caller, card_of(app_id, false)).await;
        assert_eq!(reply.without_id(), (500, misconfigured.clone()), "{app_id}");
    }
    let world = world_of(r#"[{"appId":"wxmini","appSecret":"s1","kind":"mini-program"}]"#).await;
    let caller = world.caller().await;
    for body in [
        json!({ "cardId": "pAny000000000000000000000000" }),
        json!({ "cardId": "pServer000000000000000000000" }),
        card_of("wxfirst", true),
    ] {
        let reply = ask(&world, &caller, body.clone()).await;
        assert_eq!(reply.without_id(), (500, misconfigured.clone()), "{body}");
    }
    assert_eq!(world.count_of(TICKET).await, 0);
}

#[tokio::test]
async fn an_openid_is_known_from_a_sign_in_at_the_cards_account_and_nowhere_else() {
    let world = world_of(APPS).await;
    let person = world.person(true.into()).await;
    let caller = world.log_in(&person, "wxmini").await;
    assert_eq!(world.log_in(&person, "wxmobile").await.id, caller.id);
    let unknown = json!({
        "code": "openid_unknown", "message": "the user has not signed in at the official account yet",
    });
    for app_id in ["wxfirst", "wxsecond"] {
        assert_eq!(ask(&world, &caller, card_of(app_id, true)).await.without_id(), (409, unknown.clone()));
    }
    assert_eq!(world.log_in(&person, "wxfirst").await.id, caller.id);
    for body in [card_of("wxfirst", true), json!({ "cardId": "pAny000000000000000000000000", "openid": true })] {
        let ext = world.card_ext(&caller, "wxfirst", body).await;
        assert_eq!(ext["openid"], openid(&world, &person, "wxfirst").await);
    }
    assert_eq!(ask(&world, &caller, card_of("wxsecond", true)).await.without_id(), (409, unknown));
    world.log_in(&person, "wxsecond").await;
    let ext = world.card_ext(&caller, "wxsecond", card_of("wxsecond", true)).await;
    assert_eq!(ext["openid"], openid(&world, &person, "wxsecond").await);
    assert_ne!(ext["openid"], openid(&world, &person, "wxfirst").await);
    assert_eq!(world.card_ext(&caller, "wxfirst", card_of("wxfirst", false)).await.get("openid"), None);
}

#[tokio::test]
async fn without_a_unionid_a_sign_in_at_the_account_is_somebody_elses() {
    let world = world_of(APPS).await;
    let person = world.person(Value::Null).await;
    let (caller, at_account) = (world.log_in(&person, "wxmini").await, world.log_in(&person, "wxfirst").await);
    assert_ne!(caller.id, at_account.id);
    assert_eq!(ask(&world, &caller, card_of("wxfirst", true)).await.code(), "openid_unknown");
    // In a session of the account itself it is known all the same.
    let ext = world.card_ext(&at_account, "wxfirst", card_of("wxfirst", true)).await;
    assert_eq!(ext["openid"], openid(&world, &person, "wxfirst").await);
    assert_eq!(ask(&world, &at_account, card_of("wxsecond", true)).await.code(), "openid_unknown");
}

#[tokio::test]
async fn a_ticket_that_wechat_does_not_give_is_said_by_its_reason() {
    for (path, errcode, status, code) in [
        (TICKET, -1, 503, "wechat_unavailable"),
        (TICKET, 48001, 500, "misconfigured"),
        ("/cgi-bin/stable_token", 40164, 500, "misconfigured"),
    ] {
        let world = world_of(APPS).await;
        let caller = world.caller().await;
        world.fault(path, json!({ "errcode": errcode, "times": 99 })).await;
        let reply = ask(&world, &caller, json!({ "cardId": "pAny000000000000000000000000" })).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{errcode}");
        assert_eq!(reply.header("retry-after").is_empty(), status == 500, "{errcode}");
    }
}

#[tokio::test]
async fn a_warm_instance_reads_the_session_alone_for_a_minute() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    put_cards(&world).await;
    let caller = world.caller().await;
    assert_eq!(ask(&world, &caller, json!({ "cardId": "pAny000000000000000000000000" })).await.status, 200);
    let instance = world.instance("card-ext").await;
    let mut event: Value = serde_json::from_slice(&event_with_body("user-info", "valid", &json!({}))).unwrap();
    event["headers"]["authorization"] = format!("Bearer {}", caller.token).into();
    let gets = async |body: Value, secs: u64| {
        world.advance(Duration::from_secs(secs));
        proxy.take_calls();
        let mut event = event.clone();
        event["body"] = body.to_string().into();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        assert_eq!(reply(&result).status, 200, "{body}");
        let calls = proxy.take_calls();
        assert!(calls.iter().all(|call| call == "GetItem"), "{calls:?}");
        calls.len()
    };
    let (any, server) =
        (json!({ "cardId": "pAny000000000000000000000000" }), json!({ "cardId": "pServer000000000000000000000" }));
    // Session, card and ticket; then the session; after a minute the card again.
    assert_eq!(gets(any.clone(), 0).await, 3);
    assert_eq!(gets(any.clone(), 0).await, 1);
    assert_eq!(gets(any.clone(), 59).await, 1);
    assert_eq!(gets(any.clone(), 1).await, 2);
    assert_eq!(gets(any, 1).await, 1);
    // A code of ours is read with each call.
    assert_eq!(ask(&world, &caller, server.clone()).await.status, 200);
    assert_eq!(gets(server.clone(), 0).await, 3);
    assert_eq!(gets(server, 0).await, 2);
    assert_eq!(world.count_of(TICKET).await, 1);
}

#[tokio::test]
async fn an_instance_learns_within_a_minute_what_has_become_of_a_card() {
    let world = world_of(APPS).await;
    let caller = world.caller().await;
    assert_eq!(ask(&world, &caller, json!({ "cardId": "pAny000000000000000000000000" })).await.status, 200);
    world.delete("CARD#pAny000000000000000000000000", "CARD").await;
    world.advance(Duration::from_secs(60));
    assert_eq!(ask(&world, &caller, json!({ "cardId": "pAny000000000000000000000000" })).await.code(), "card_unknown");
}
