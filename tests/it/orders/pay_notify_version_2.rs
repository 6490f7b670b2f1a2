//! Notices of version 2, which cannot be verified: refused as everything is, and no alarm of forgeries.

use std::time::Duration;

use local::sample;
use serde_json::{Value, json};
use shared::random;
use tests::http::Reply;
use tests::world::{World, reply};
use tests::{logs, root};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Source: WeChat Pay v2, "Refund result notification" and "Payment result notification".
const REFUND: &str = "<xml><return_code>SUCCESS</return_code><appid><![CDATA[wx0123456789abcdef]]></appid>\
                      <mch_id><![CDATA[1900000001]]></mch_id><nonce_str><![CDATA[n]]></nonce_str>\
                      <req_info><![CDATA[AAAA]]></req_info></xml>";
const PAYMENT: &str = "<xml><appid><![CDATA[wx0123456789abcdef]]></appid><bank_type><![CDATA[CFT]]></bank_type>\
                       <result_code><![CDATA[SUCCESS]]></result_code><return_code><![CDATA[SUCCESS]]></return_code></xml>";

/// What `pay-notify` says, and which of the two metrics it has counted.
async fn told(world: &World, headers: &[(&str, &str)], body: &str) -> (Reply, Vec<&'static str>) {
    let mut event = sample::read(&root(), "user-info", "valid").unwrap();
    event["rawPath"] = "/pay-notify".into();
    event["headers"] = json!({ "content-type": "text/xml" });
    for (name, value) in headers {
        event["headers"][*name] = (*value).into();
    }
    event["body"] = body.into();
    let (instance, id) = (world.instance("pay-notify").await, random::base64url::<12>());
    let invoked = instance.invoke_as(id.clone(), event.to_string().into_bytes(), world.now(), TIMEOUT).await;
    let lines = logs::of_request(&id);
    let is_counted = |metric: &&str| lines.iter().any(|line| line[*metric] == 1);
    let counted = ["NotificationOfVersion2", "NotificationRefused"].into_iter().filter(is_counted).collect();
    (reply(&invoked.unwrap()), counted)
}

#[tokio::test]
async fn a_notice_of_version_2_is_401_and_counted_apart() {
    let world = World::start().await;
    for body in [REFUND, PAYMENT, &format!("\r\n {REFUND}")] {
        let (reply, counted) = told(&world, &[], body).await;
        let answer = json!({ "code": "FAIL", "message": "not verified" });
        assert_eq!((reply.status, &reply.json), (401, &answer), "{body}");
        assert_eq!(counted, ["NotificationOfVersion2"], "{body}");
    }
    assert!(logs::with("a notice of version 2, which is not signed and cannot be opened").len() >= 3);
}

#[tokio::test]
async fn whatever_else_is_not_verified_raises_the_alarm_of_forgeries() {
    let world = World::start().await;
    let far = format!("<xml>{}<return_code>SUCCESS</return_code></xml>", "<a>b</a>".repeat(1000));
    for body in ["", "<xml>", "<xml></xml>", "{\"a\":\"<xml><return_code>\"}", "<html><return_code>", &far] {
        let (reply, counted) = told(&world, &[], body).await;
        assert_eq!((reply.status, counted), (401, vec!["NotificationRefused"]), "{body}");
    }
    // What claims to be signed is a forgery, whatever it looks like.
    let signed = [
        ("wechatpay-timestamp", "1"),
        ("wechatpay-nonce", "n"),
        ("wechatpay-serial", "s"),
        ("wechatpay-signature", "AAAA"),
    ];
    let (reply, counted) = told(&world, &signed, REFUND).await;
    assert_eq!((reply.status, counted), (401, vec!["NotificationRefused"]));
}

#[tokio::test]
async fn what_a_stranger_sends_in_xml_moves_nothing() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let rows = world.rows().await.len();
    let (reply, _) = told(&world, &[], &REFUND.replace("AAAA", &order)).await;
    assert_eq!((reply.status, world.rows().await.len()), (401, rows));
    assert_eq!((world.order_row(&order).await.state.as_str(), world.amounts(&order).await), ("SUCCESS", (0, 0)));
    assert_eq!(world.sandbox("GET", "/refunds", Value::Null).await["refunds"], json!([]));
}
