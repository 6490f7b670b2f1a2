//! Every sample event, invoked as it is: what comes back is what the READMEs of the functions promise.

use std::time::{Duration, UNIX_EPOCH};

use local::demo_user::DEMO_SESSION_KEY;
use local::functions::{Functions, Instance};
use local::sample;
use serde_json::Value;
use shared::wechat::SessionKey;
use shared::wechat::open_data::EncryptedData;
use tests::events::{self, Door};
use tests::root;
use tests::world::World;

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

/// The functions in this process.
struct Inside;

impl Door for Inside {
    type Instance = Instance;

    const HAS_OWN_CLOCK: bool = false;

    async fn open(&self, world: &World, function: &str) -> Instance {
        world.instance(function).await
    }
}

async fn check(function: &str) {
    let differences = events::play(function, &Inside).await;
    assert!(
        differences.is_empty(),
        "{}",
        differences.iter().map(|difference| format!("\n{difference}")).collect::<String>()
    );
}

#[tokio::test]
async fn every_event_of_card_ext_gets_its_answer() {
    check("card-ext").await;
}

#[tokio::test]
async fn every_event_of_create_order_gets_its_answer() {
    check("create-order").await;
}

#[tokio::test]
async fn every_event_of_login_gets_its_answer() {
    check("login").await;
}

#[tokio::test]
async fn every_event_of_logout_gets_its_answer() {
    check("logout").await;
}

#[tokio::test]
async fn every_event_of_order_sweeper_gets_its_answer() {
    check("order-sweeper").await;
}

#[tokio::test]
async fn every_event_of_pay_notify_gets_its_answer() {
    check("pay-notify").await;
}

#[tokio::test]
async fn every_event_of_phone_decrypt_gets_its_answer() {
    check("phone-decrypt").await;
}

#[tokio::test]
async fn every_event_of_query_order_gets_its_answer() {
    check("query-order").await;
}

#[tokio::test]
async fn every_event_of_refund_order_gets_its_answer() {
    check("refund-order").await;
}

#[tokio::test]
async fn every_event_of_token_refresher_gets_its_answer() {
    check("token-refresher").await;
}

#[tokio::test]
async fn every_event_of_user_info_gets_its_answer() {
    check("user-info").await;
}
