//! `card-ext`: what is signed, for which cards, with which code.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::OFFICIAL_ACCOUNT;
use tests::callers::Caller;
use tests::http::Reply;
use tests::logs;
use tests::world::World;

/// 2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z.
const BEGIN_OF_2000: u64 = 946_684_800;
const BEGIN_OF_2100: u64 = 4_102_444_800;

/// A world with a card of each kind, and one that says nothing of its codes.
async fn world() -> World {
    let world = World::start().await;
    for (card, codes) in [
        ("pWechat000000000000000000000", "wechat"),
        ("pServer000000000000000000000", "server"),
        ("pOther0000000000000000000000", "server"),
        ("pClient000000000000000000000", "client"),
    ] {
        world.put_card(card, json!({ "codes": codes })).await;
    }
    world.put_card("pPlain0000000000000000000000", json!({})).await;
    world
}

async fn ask(world: &World, caller: &Caller, body: Value) -> Reply {
    caller.call(world, "card-ext", body).await
}

async fn signed(world: &World, caller: &Caller, body: Value) -> Value {
    world.card_ext(caller, OFFICIAL_ACCOUNT, body).await
}

fn names(ext: &Value) -> Vec<&str> {
    ext.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_card_with_codes_of_wechats_is_signed_without_one() {
    let world = world().await;
    let caller = world.caller().await;
    for card_id in ["pWechat000000000000000000000", "pPlain0000000000000000000000"] {
        let ext = signed(&world, &caller, json!({ "cardId": card_id })).await;
        assert_eq!(names(&ext), ["nonce_str", "signature", "timestamp"], "{card_id}");
        assert_eq!(ext["timestamp"], Timestamp::from(world.now()).as_secs().to_string());
        let nonce = ext["nonce_str"].as_str().unwrap();
        assert!((16..=32).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{nonce}");
    }
}

#[tokio::test]
async fn no_two_are_alike() {
    let world = world().await;
    let caller = world.caller().await;
    let mut nonces = HashSet::new();
    for _ in 0..20 {
        let ext = signed(&world, &caller, json!({ "cardId": "pWechat000000000000000000000" })).await;
        assert!(nonces.insert(ext["nonce_str"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn a_user_gets_the_same_code_of_ours_every_time_and_everybody_another_one() {
    let world = world().await;
    let (caller, other) = (world.caller().await, world.caller().await);
    let again = world.log_in(&caller.person, &caller.app_id).await;
    let first = signed(&world, &caller, json!({ "cardId": "pServer000000000000000000000" })).await;
    assert_eq!(names(&first), ["code", "nonce_str", "signature", "timestamp"]);
    let code = first["code"].as_str().unwrap();
    assert!(code.len() == 20 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    for caller in [&caller, &again] {
        assert_eq!(
            signed(&world, caller, json!({ "cardId": "pServer000000000000000000000", "code": null })).await["code"],
            code
        );
    }
    assert_ne!(signed(&world, &other, json!({ "cardId": "pServer000000000000000000000" })).await["code"], code);
    assert_ne!(signed(&world, &caller, json!({ "cardId": "pOther0000000000000000000000" })).await["code"], code);
}

#[tokio::test]
async fn twenty_calls_at_once_get_one_code() {
    let world = world().await;
    let callers = [world.caller().await, world.caller().await];
    let calls =
        (0..40).map(|at: usize| signed(&world, &callers[at % 2], json!({ "cardId": "pServer000000000000000000000" })));
    let codes: Vec<_> = join_all(calls).await.into_iter().map(|ext| ext["code"].as_str().unwrap().to_owned()).collect();
    let of = |caller: usize| codes.iter().skip(caller).step_by(2).collect::<HashSet<_>>();
    assert_eq!((of(0).len(), of(1).len()), (1, 1));
    assert_ne!(of(0), of(1));
    assert_eq!(world.rows_at("USER#", "CARD#pServer000000000000000000000").await.len(), 2);
}

#[tokio::test]
async fn a_code_of_the_clients_is_taken_where_the_card_wants_one() {
    let world = world().await;
    let caller = world.caller().await;
    for code in ["1434008071", "0", "zZ", &*"9".repeat(20)] {
        let ext = signed(&world, &caller, json!({ "cardId": "pClient000000000000000000000", "code": code })).await;
        assert_eq!((names(&ext), &ext["code"]), (vec!["code", "nonce_str", "signature", "timestamp"], &json!(code)));
    }
    assert!(world.rows_at("USER#", "CARD#").await.is_empty());
}

#[tokio::test]
async fn what_has_no_part_in_the_signature_is_passed_on() {
    let world = world().await;
    let caller = world.caller().await;
    for (outer_str, begin) in
        [("channel-7", 1_795_231_800_u64), ("渠道 七 \"'\\", BEGIN_OF_2000), (&*"字".repeat(128), BEGIN_OF_2100)]
    {
        let body =
            json!({ "cardId": "pServer000000000000000000000", "outerStr": outer_str, "fixedBeginTimestamp": begin });
        let ext = signed(&world, &caller, body).await;
        assert_eq!((&ext["outer_str"], &ext["fixed_begintimestamp"]), (&json!(outer_str), &json!(begin)));
        assert_eq!(ext.as_object().unwrap().len(), 6);
    }
    let only_one = signed(&world, &caller, json!({ "cardId": "pWechat000000000000000000000", "outerStr": "x" })).await;
    assert_eq!(names(&only_one), ["nonce_str", "outer_str", "signature", "timestamp"]);
}

#[tokio::test]
async fn a_request_that_has_not_the_form_of_one_names_the_field() {
    let world = world().await;
    let caller = world.caller().await;
    let chosen = "field `code` is not the client's to choose for this card";
    let long_outer_str = "字".repeat(129);
    let begin = |begin: Value| json!({ "cardId": "pWechat000000000000000000000", "fixedBeginTimestamp": begin });
    for (body, message) in [
        (json!({}), "missing field `cardId`"),
        (json!({ "cardId": "" }), "field `cardId` is not valid"),
        (json!({ "cardId": "a b" }), "field `cardId` is not valid"),
        (json!({ "cardId": "卡" }), "field `cardId` is not valid"),
        (json!({ "cardId": "x".repeat(65) }), "field `cardId` is not valid"),
        (json!({ "cardId": null }), "field `cardId` is not valid"),
        (json!({ "cardId": "pWechat000000000000000000000", "code": "1" }), chosen),
        (json!({ "cardId": "pPlain0000000000000000000000", "code": "1" }), chosen),
        (json!({ "cardId": "pServer000000000000000000000", "code": "1" }), chosen),
        (json!({ "cardId": "pClient000000000000000000000" }), "missing field `code`, which this card needs"),
        (
            json!({ "cardId": "pClient000000000000000000000", "code": null }),
            "missing field `code`, which this card needs",
        ),
        (json!({ "cardId": "pClient000000000000000000000", "code": "" }), "field `code` is not valid"),
        (json!({ "cardId": "pClient000000000000000000000", "code": "1 2" }), "field `code` is not valid"),
        (json!({ "cardId": "pClient000000000000000000000", "code": "1-2" }), "field `code` is not valid"),
        (json!({ "cardId": "pClient000000000000000000000", "code": "１" }), "field `code` is not valid"),
        (json!({ "cardId": "pClient000000000000000000000", "code": "9".repeat(21) }), "field `code` is not valid"),
        (json!({ "cardId": "pClient000000000000000000000", "code": 1 }), "field `code` is not valid"),
        (json!({ "cardId": "pWechat000000000000000000000", "openid": "oSomebody" }), "field `openid` is not valid"),
        (json!({ "cardId": "pWechat000000000000000000000", "openid": 1 }), "field `openid` is not valid"),
        (json!({ "cardId": "pWechat000000000000000000000", "outerStr": "" }), "field `outerStr` is not valid"),
        (json!({ "cardId": "pWechat000000000000000000000", "outerStr": "a\n" }), "field `outerStr` is not valid"),
        (
            json!({ "cardId": "pWechat000000000000000000000", "outerStr": long_outer_str }),
            "field `outerStr` is not valid",
        ),
        (begin(json!(-1)), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!(0)), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!(1_795_231_800.5)), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!("1795231800")), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!(BEGIN_OF_2000 - 1)), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!(BEGIN_OF_2100 + 1)), "field `fixedBeginTimestamp` is not valid"),
        (begin(json!(1_795_231_800_000_u64)), "field `fixedBeginTimestamp` is not valid"), // Milliseconds.
        (json!({ "cardId": "pWechat000000000000000000000", "appId": OFFICIAL_ACCOUNT }), "unknown field `appId`"),
        (json!(["pWechat000000000000000000000"]), "the body is not a JSON object"),
    ] {
        let reply = ask(&world, &caller, body.clone()).await;
        let expected = json!({ "code": "invalid_request", "message": message });
        assert_eq!(reply.without_id(), (400, expected), "{body}");
    }
}

#[tokio::test]
async fn only_cards_of_the_table_are_signed() {
    let world = world().await;
    let caller = world.caller().await;
    for card_id in [
        "pNobodys00000000000000000000",
        "pwechat",
        "pWechat000000000000000000000#",
        "CARD#pWechat000000000000000000000",
        &*"x".repeat(64),
    ] {
        let reply = ask(&world, &caller, json!({ "cardId": card_id, "code": "1" })).await;
        let expected = json!({ "code": "card_unknown", "message": "there is no such card" });
        assert_eq!(reply.without_id(), (400, expected), "{card_id}");
    }
    // And one is, as soon as it is there.
    world.put_card("pNobodys00000000000000000000", json!({})).await;
    signed(&world, &caller, json!({ "cardId": "pNobodys00000000000000000000" })).await;
    world.put_card("pCorrupt00000000000000000000", json!({ "codes": "everybody" })).await;
    let reply = ask(&world, &caller, json!({ "cardId": "pCorrupt00000000000000000000" })).await;
    assert_eq!((reply.status, reply.code()), (500, "internal"));
}

#[tokio::test]
async fn a_card_of_the_table_whose_id_a_code_could_hold_is_misconfigured() {
    let world = world().await;
    let caller = world.caller().await;
    for card_id in [
        "p",
        "pShortOf20Characters",
        "pShortOf23CharactersXyz",
        "1795231800",
        &*"1".repeat(28),
        "-FS7Fjg8kV1IdDz01r4SQwMkuCKc",
    ] {
        world.put_card(card_id, json!({ "codes": "server" })).await;
        let reply = ask(&world, &caller, json!({ "cardId": card_id })).await;
        let expected = json!({ "code": "misconfigured", "message": "this backend is not set up correctly" });
        assert_eq!(reply.without_id(), (500, expected), "{card_id}");
        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!(
            line["cause"],
            "an item CARD#.. has a cardId that is no id of WeChat's: 24 characters or more, the first a letter"
        );
    }
}

#[tokio::test]
async fn without_a_session_nothing_is_looked_at() {
    let world = world().await;
    for body in [
        json!({ "cardId": "pWechat000000000000000000000" }),
        json!({ "cardId": "pNobodys00000000000000000000" }),
        json!({}),
    ] {
        let reply = world.call("card-ext", None, body).await;
        assert_eq!((reply.status, reply.code()), (401, "session_invalid"));
    }
    assert_eq!(world.count_of("/cgi-bin/ticket/getticket").await, 0);
}
