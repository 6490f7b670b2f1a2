//! `card-ext`: WeChat signs the sorted values without their names, so one value could play another's part. What is
//! signed for a caller is good for that alone.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::callers::Caller;
use tests::cards::{Split, splits};
use tests::open_data::sha1;
use tests::world::World;

/// Cards of a table, with ids as WeChat gives them.
const CARDS: [(&str, &str); 6] = [
    ("pFS7Fjg8kV1IdDz01r4SQwMkuCKc", "client"),
    ("p1Pj9jr90_SQRaVqYI239Ka1erkI", "client"),
    ("pR7kQm2XcVb9TnL4sWz8YhD3fJ1a", "server"),
    ("pbLatjk4T4Hx-QFQGL4zGQy27_Qg", "server"),
    ("pjZ8Yt1XGILfi-FUsewpnnolGgZk", "wechat"),
    ("pQw3Er5Ty7Ui9Op1As2Df4Gh", "wechat"),
];
const CLIENT: &str = CARDS[0].0;
const SERVER: &str = CARDS[2].0;

/// The table of these cards, and a user whose openid at the cards' account is known.
async fn world() -> (World, Caller, String) {
    let world = World::start().await;
    for (card_id, codes) in CARDS {
        world.put_card(card_id, json!({ "codes": codes })).await;
    }
    let person = world.person(true.into()).await;
    let caller = world.log_in(&person, MINI_PROGRAM).await;
    world.log_in(&person, OFFICIAL_ACCOUNT).await;
    let mut state = world.sandbox("GET", "/state", Value::Null).await;
    let openid = state["users"][&person]["openids"][OFFICIAL_ACCOUNT].take();
    (world, caller, openid.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_code_that_is_another_cards_id_signs_nothing() {
    let (world, caller, _) = world().await;
    let reply = caller.call(&world, "card-ext", json!({ "cardId": CLIENT, "code": SERVER })).await;
    if reply.status == 200 {
        let ext: Value = serde_json::from_str(reply.json["cardExt"].as_str().unwrap()).unwrap();
        let [timestamp, nonce, signature] =
            ["timestamp", "nonce_str", "signature"].map(|name| ext[name].as_str().unwrap());
        let ticket = world.live(OFFICIAL_ACCOUNT, "wx_card").await;
        let is_good = |values: &[&str]| {
            let mut values = [values, &[timestamp, &ticket]].concat();
            values.sort_unstable();
            sha1(&values.concat()) == signature
        };
        let swapped = is_good(&[SERVER, nonce, CLIENT]);
        let nonce_as_code = is_good(&[SERVER, CLIENT, nonce]);
        let without_a_code = is_good(&[SERVER, &[nonce, CLIENT].concat()]);
        panic!("signed for another card: {swapped} swapped, {nonce_as_code} nonce as code, {without_a_code} no code");
    }
    let expected = json!({ "code": "invalid_request", "message": "field `code` is not valid" });
    assert_eq!(reply.without_id(), (400, expected));
}

#[test]
fn a_nonce_that_can_be_cut_and_a_code_that_passes_for_a_time_would_be_found() {
    let good = json!({
        "code": "9123456789012345678a", "nonce_str": "z1234567890123456789012345678901", "timestamp": "1795231800",
    });
    let found = |name: &str, value: &str| {
        let mut ext = good.clone();
        ext[name] = value.into();
        splits(&Split::of(SERVER, &ext).around("zz"), &[SERVER], "").len()
    };
    assert_eq!(found("code", "91234567890123456789"), 1);
    // The nonce as the code; a part of it as the code; the first half of the code as the time.
    assert_eq!(found("nonce_str", "z1234567890123456789"), 2);
    assert_eq!(found("nonce_str", "IRmNtUm943CGmCbk0P43qENcnlI7SHer"), 2);
    assert_eq!(found("code", "91234567899123456789"), 2);
}

/// Text of some characters.
fn text_of(characters: &str, len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> + use<> {
    vec(select(characters.chars().collect::<Vec<_>>()), len).prop_map(String::from_iter)
}

/// Codes of a caller who wants another card: of any form, and parts of ids among them.
fn code() -> impl Strategy<Value = Value> {
    let part = (select(&CARDS[..]), 0..24_usize, 1..=28_usize)
        .prop_map(|((id, _), from, len)| id.chars().skip(from).take(len).collect::<String>());
    let code = prop_oneof![part, text_of("0189AZapqz", 1..=20), text_of("017", 1..=20), text_of("-_z9", 1..=64)];
    prop_oneof![1 => Just(Value::Null), 4 => code.prop_map(Value::from)]
}

/// What a caller may send.
fn body() -> impl Strategy<Value = Value> {
    let begin = prop_oneof![Just(json!(null)), Just(json!(1_795_231_800_u64)), Just(json!(1_795_231_800_000_u64))];
    let outer_str = prop_oneof![Just(json!(null)), select(&CARDS[..]).prop_map(|(id, _)| json!(id))];
    (select(&CARDS[..]), code(), proptest::bool::ANY, outer_str, begin).prop_map(
        |((card_id, codes), code, openid, outer_str, begin)| {
            let code = if codes == "client" { code } else { Value::Null };
            json!({
                "cardId": card_id, "code": code, "openid": openid, "outerStr": outer_str, "fixedBeginTimestamp": begin,
            })
        },
    )
}

#[test]
fn no_signature_is_good_for_another_card_or_for_another_code_of_a_card_whose_codes_are_ours() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, caller, openid) = runtime.block_on(world());
    let ids = CARDS.map(|(id, _)| id);
    let signed = Cell::new(0);
    proptest!(ProptestConfig::with_cases(600), |(
        body in body(),
        // Where WeChat's ticket is among the values is not the caller's to choose. Here it is anywhere.
        ticket in text_of("09AKZakpz_-", 1..=30),
    )| {
        let reply = runtime.block_on(caller.call(&world, "card-ext", body.clone()));
        if reply.status == 400 {
            prop_assert_eq!(reply.code(), "invalid_request");
            return Ok(());
        }
        prop_assert_eq!(reply.status, 200);
        signed.set(signed.get() + 1);
        let ext: Value = serde_json::from_str(reply.json["cardExt"].as_str().unwrap()).unwrap();
        let card_id = body["cardId"].as_str().unwrap();
        let own = Split::of(card_id, &ext);
        for text in own.around(&ticket) {
            let others = ids.iter().filter(|id| **id != card_id && text.contains(**id)).count();
            prop_assert_eq!(others, 0, "another card's id is in {}", text);
        }
        let found = splits(&own.around(&ticket), &ids, &openid);
        prop_assert!(found.contains(&own), "{:?} is not among {:?}", own, found);
        let is_ours = CARDS.iter().any(|(id, codes)| *id == card_id && *codes != "client");
        for split in &found {
            prop_assert_eq!(&split.card_id, card_id);
            prop_assert!(!is_ours || *split == own, "{:?} is signed for {:?} too", own, split);
        }
    });
    assert!(signed.get() > 200, "{signed:?}");
}
