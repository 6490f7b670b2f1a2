//! Who calls, and who answers.

use std::time::Duration;

use serde_json::json;
use shared::clock::Timestamp;
use tests::merchant::{is_signed, public_key};

use super::{JSAPI, NUMBER, by_number, order, prepay, world};

#[tokio::test]
async fn a_request_has_to_be_signed_byte_for_byte() {
    let (world, merchant) = world().await;
    let (path, body, now) = (by_number("nobody"), "", Timestamp::from(world.now()));
    let good = merchant.authorization("GET", &path, body, now);
    let send = async |authorization: &str, accept: &str, agent: &str| {
        let headers = [("accept", accept), ("user-agent", agent), ("authorization", authorization)];
        merchant.send("GET", &path, &headers, body).await
    };
    // Twice: a failover sends the same signed request to another host.
    for _ in 0..2 {
        assert_eq!(send(&good, "*/*", "test").await.refusal(), (404, "ORDER_NOT_EXIST".to_owned()));
    }
    for (accept, agent) in [("", "test"), ("*/*", "")] {
        let refused = send(&good, accept, agent).await;
        assert_eq!(refused.refusal(), (400, "INVALID_REQUEST".to_owned()));
        assert_eq!(refused.json()["message"], "Http头缺少Accept或User-Agent");
    }
    let later = |secs: u64| merchant.authorization("GET", &path, body, now + Duration::from_secs(secs));
    let earlier = Timestamp::from_secs(now.as_secs() - 301);
    for bad in [
        String::new(),
        good.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SHA256-RSA2049"),
        good.replace("mchid=\"1900000001\"", "mchid=\"1900000002\""),
        good.replace(merchant.text("serialNo"), &merchant.text("serialNo").to_lowercase()),
        good.replace(&format!("timestamp=\"{}\"", now.as_secs()), &format!("timestamp=\"{}\"", now.as_secs() + 1)),
        good.replace("mchid=", "mchid=\"1900000001\",mchid="),
        later(301),
        merchant.authorization("GET", &path, body, earlier),
        merchant.authorization("POST", &path, body, now),
        merchant.authorization("GET", &path.replace("?mchid=1900000001", ""), body, now),
        merchant.authorization("GET", &path, " ", now),
    ] {
        let refused = send(&bad, "*/*", "test").await;
        assert_eq!(refused.refusal(), (401, "SIGN_ERROR".to_owned()), "{bad}");
        assert_eq!((refused.header("wechatpay-signature"), refused.header("request-id")), ("", ""));
    }
    assert_eq!(send(&later(300), "*/*", "test").await.status, 404);
}

#[tokio::test]
async fn what_is_posted_is_json() {
    let (world, merchant) = world().await;
    let body = order().to_string();
    let authorization = merchant.authorization("POST", JSAPI, &body, world.now().into());
    for (content_type, status) in [
        ("", 400),
        ("text/plain", 400),
        ("application/json-patch+json", 400),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
    ] {
        let headers = [("accept", "*/*"), ("authorization", &authorization), ("content-type", content_type)];
        let answer = merchant.send("POST", JSAPI, &headers, &body).await;
        assert_eq!(answer.status, status, "{content_type}");
        if status == 400 {
            assert_eq!(answer.refusal().1, "INVALID_REQUEST");
        }
    }
}

#[tokio::test]
async fn the_sandboxs_clock_is_not_that_of_signatures() {
    let (world, merchant) = world().await;
    prepay(&world, &merchant, &order().to_string()).await;
    world.sandbox("POST", "/clock", json!({ "advanceSecs": 8 * 86_400 })).await;
    let answer = merchant.call(&world, "GET", &by_number(NUMBER), "").await;
    assert_eq!((answer.status, &answer.json()["trade_state"]), (200, &json!("CLOSED")));
    let now = Timestamp::from(world.now()).as_secs();
    assert_eq!(answer.header("wechatpay-timestamp"), now.to_string());
}

#[tokio::test]
async fn who_names_no_public_key_gets_the_signature_of_a_certificate_where_there_is_one() {
    let (world, merchant) = world().await;
    world.set_keys("both", 0.0).await;
    prepay(&world, &merchant, &order().to_string()).await;
    let path = by_number(NUMBER);
    let authorization = merchant.authorization("GET", &path, "", world.now().into());
    let headers = [("accept", "*/*"), ("authorization", authorization.as_str())];
    let answer = merchant.send("GET", &path, &headers, "").await;
    assert_eq!((answer.status, answer.header("wechatpay-serial").len()), (200, 40));
    assert!(!is_signed(&public_key(merchant.text("publicKey")), &answer));
}
