//! Every sample event, invoked as it is: what comes back is what the READMEs of the functions promise.

mod direct;
mod orders;
mod users;

use std::time::{Duration, UNIX_EPOCH};

use local::demo_user::DEMO_SESSION_KEY;
use local::functions::Functions;
use local::sample;
use serde_json::{Value, json};
use shared::wechat::SessionKey;
use shared::wechat::open_data::EncryptedData;
use tests::http::Reply;
use tests::root;
use tests::world::{World, reply};

#[test]
fn every_function_has_events_and_every_event_a_function() {
    let folders = std::fs::read_dir(root().join("events")).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut folders: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut functions: Vec<_> = Functions::names().collect();
    folders.sort();
    functions.sort_unstable();
    assert_eq!(folders, functions);
}

#[test]
fn what_is_encrypted_in_an_event_is_made_fresh_and_nothing_else_is() {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let body = |case: &str, fresh: bool| {
        let event = match fresh {
            true => sample::fresh(&root(), "phone-decrypt", case, now).unwrap(),
            false => sample::read(&root(), "phone-decrypt", case).unwrap(),
        };
        event["body"].as_str().unwrap().to_owned()
    };
    let open = |body: &str| {
        let input: Value = serde_json::from_str(body).unwrap();
        let data = EncryptedData::parse(input["encryptedData"].as_str().unwrap(), input["iv"].as_str().unwrap());
        data.unwrap().open::<Value>(&SessionKey::new(DEMO_SESSION_KEY)).unwrap().data
    };
    let (fresh, file) = (body("encrypted-data", true), body("encrypted-data", false));
    let mut expected = open(&file);
    expected["watermark"]["timestamp"] = 1_800_000_000.into();
    assert_eq!(open(&fresh), expected);
    assert_eq!(fresh.len(), file.len(), "the event says how long its body is");
    for case in ["valid", "malformed-iv"] {
        assert_eq!(body(case, true), body(case, false), "{case}");
    }
}

/// The parts of a reply that are random: the object that they are in, and their names.
fn random(function: &str, case: &str, status: u16) -> &'static [(&'static str, &'static str)] {
    const CARD_EXT: &[(&str, &str)] = &[
        ("/cardExt", "nonce_str"),
        ("/cardExt", "signature"),
        ("/cardExt", "timestamp"),
        ("/cardExt", "code"), // The last one, where it is ours.
    ];
    const CREATE_ORDER: &[(&str, &str)] = &[
        ("", "outTradeNo"),
        ("/payment", "timeStamp"),
        ("/payment", "nonceStr"),
        ("/payment", "package"),
        ("/payment", "paySign"),
    ];
    match (function, case) {
        _ if status != 200 => &[("", "requestId")],
        ("login", _) => &[("", "token"), ("/user", "id")],
        ("user-info", _) => &[("/user", "id")],
        ("card-ext", "server-code") => CARD_EXT,
        ("card-ext", _) => &CARD_EXT[..3],
        ("create-order", _) => CREATE_ORDER,
        _ => &[],
    }
}

/// A reply without what is random in it, and with its status.
fn comparable(function: &str, case: &str, reply: Reply) -> Value {
    let mut body = reply.json;
    if let Some(text) = body["cardExt"].as_str() {
        body["cardExt"] = serde_json::from_str(text).unwrap();
    }
    for (object, name) in random(function, case, reply.status) {
        let object = body.pointer_mut(object).and_then(Value::as_object_mut).unwrap();
        let random = object.remove(*name);
        assert!(random.as_ref().and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{case}: {name}");
    }
    body["statusCode"] = reply.status.into();
    body
}

fn error(status: u16, code: &str, message: &str) -> Value {
    json!({ "statusCode": status, "code": code, "message": message })
}

fn unauthorized() -> Value {
    error(401, "session_invalid", "there is no such session (any more); log in")
}

fn code_invalid(code: &str) -> Value {
    error(400, code, "the code is wrong, too old or used up; get a new one")
}

async fn check(function: &str, expected: &[(&str, Value)]) {
    let world = World::start_embedded().await;
    let instance = world.instance(function).await;
    expect_every_file(function, expected);
    for (case, expected) in expected {
        let event = sample::fresh(&root(), function, case, world.now()).unwrap();
        let event = sample::sign(event, world.machine.pay_keys(), world.now()).unwrap();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply = reply(&result);
        assert_eq!(reply.header("content-type"), "application/json", "{case}");
        assert_eq!(reply.header("cache-control"), "no-store", "{case}");
        assert_eq!(&comparable(function, case, reply), expected, "{case}");
    }
}

/// Each event at a machine of its own: a refresh leaves something behind.
fn expect_every_file(function: &str, expected: &[(&str, Value)]) {
    let mut cases: Vec<_> = expected.iter().map(|(case, _)| (*case).to_owned()).collect();
    cases.sort();
    assert_eq!(cases, sample::cases(&root(), function), "every file has an expectation");
}
