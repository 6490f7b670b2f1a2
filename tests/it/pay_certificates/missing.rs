//! WeChat Pay signs with a public key that the configuration does not have.

use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use tests::logs;
use tests::notifications::Notice;
use tests::orders::cart;
use tests::world::World;

/// Another public key than anybody has.
const STRANGE: &str = "PUB_KEY_ID_0999999999999999999999999999";

/// A merchant with the public key alone, of which `WECHATPAY` has nothing.
async fn forgotten() -> (World, String) {
    let world = World::start_with_keys(KeyMode::Certificates, []).await;
    world.set_keys("publicKey", 100.0).await;
    let keys = world.sandbox("GET", "/keys", Value::Null).await;
    let id = keys["publicKeyId"].as_str().unwrap().to_owned();
    (world, id)
}

/// The one line of the request that has this id.
fn line(request_id: &str) -> Value {
    let lines = logs::of_request(request_id);
    lines.into_iter().find(|line| line["message"] == "request").unwrap()
}

fn faults(request_id: &str) -> usize {
    logs::of_request(request_id).iter().filter(|line| line["Fault"] == 1).count()
}

/// What the log says of a notification that was not verified: the code, the reason, and how many faults it counts.
async fn refused(world: &World, notice: &Notice) -> (String, String, usize) {
    let reply = world.invoke("pay-notify", &notice.event()).await;
    let body = json!({ "code": "FAIL", "message": "not verified" }).to_string();
    assert_eq!((&reply.json["statusCode"], &reply.json["body"]), (&json!(401), &json!(body)));
    let id = reply.header("x-amzn-requestid");
    let line = line(id);
    (line["code"].as_str().unwrap().to_owned(), line["cause"].as_str().unwrap().to_owned(), faults(id))
}

#[tokio::test]
async fn an_order_of_a_merchant_whose_public_key_is_missing_is_misconfigured_and_the_log_names_the_key() {
    let (world, id) = forgotten().await;
    let caller = world.caller().await;
    let reply = caller.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert!(!reply.json.to_string().contains(&id), "{:?}", reply.json);
    let line = line(reply.json["requestId"].as_str().unwrap());
    assert_eq!((&line["code"], &line["level"]), (&json!("misconfigured"), &json!("ERROR")));
    let cause = format!("signed with the public key {id}, and WECHATPAY has none");
    assert!(line["cause"].as_str().unwrap().ends_with(&cause), "{line}");
}

#[tokio::test]
async fn a_notification_to_a_merchant_whose_public_key_is_missing_is_misconfigured_in_the_log() {
    let (world, id) = forgotten().await;
    let notice = Notice::forge(&world, json!({ "resource": {}, "signer": "publicKey" })).await;
    assert_eq!(notice.header("wechatpay-serial"), id);
    let cause = format!("signed with the public key {id}, and WECHATPAY has none");
    for _ in 0..2 {
        assert_eq!(refused(&world, &notice).await, ("misconfigured".to_owned(), cause.clone(), 1));
    }
}

#[tokio::test]
async fn a_strange_public_key_is_no_misconfiguration_of_a_merchant_who_has_one_or_certificates() {
    for mode in [KeyMode::PublicKey, KeyMode::Certificates, KeyMode::Both] {
        let world = World::start_with_keys(mode, []).await;
        world.refresh_keys().await.unwrap();
        let strange = Notice::sign(&world, "{}").with_header("wechatpay-serial", STRANGE);
        let (code, cause, faults) = refused(&world, &strange).await;
        assert_eq!((code.as_str(), faults), ("not_verified", 0), "{mode:?}");
        assert!(cause.contains(STRANGE), "{cause}");
    }
}
