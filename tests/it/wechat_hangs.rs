//! A WeChat that hangs, behind each of the functions that need a token: they answer before Lambda ends them.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::callers::Caller;
use tests::http::Reply;
use tests::world::{World, event_with_body, reply};

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const GETTICKET: &str = "/cgi-bin/ticket/getticket";
const PHONE: &str = "/wxa/business/getuserphonenumber";

/// Has an app's token ready, so that the invocation has its time for what comes after it.
async fn refresh(world: &World, app_id: &str) {
    let reply = world.invoke("token-refresher", &json!({ "appId": app_id, "kind": "access_token" })).await;
    assert_eq!(reply.json["failures"], json!([]), "{:?}", reply.json);
}

/// The reply to an invocation that Lambda would end after 2 s.
async fn within_two_seconds(world: &World, caller: &Caller, function: &str, body: &Value) -> Reply {
    let mut event: Value = serde_json::from_slice(&event_with_body(function, "valid", body)).unwrap();
    event["headers"]["authorization"] = format!("Bearer {}", caller.token).into();
    let (instance, event) = (world.instance(function).await, event.to_string().into_bytes());
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(2)).await;
    reply(&result.unwrap())
}

#[tokio::test]
async fn it_is_given_up_by_phone_decrypt_before_lambda_gives_up_the_function() {
    for (path, calls_of_the_phone_api) in [(STABLE_TOKEN, 0), (PHONE, 1)] {
        let world = World::start().await;
        let caller = world.caller().await;
        if path == PHONE {
            refresh(&world, MINI_PROGRAM).await;
        }
        let code = caller.phone_button(&world, json!({})).await["code"].take();
        world.fault(path, json!({ "latencyMs": 60_000, "times": 9 })).await;
        let reply = within_two_seconds(&world, &caller, "phone-decrypt", &json!({ "code": code })).await;
        assert_eq!(
            (reply.status, reply.code(), reply.header("retry-after")),
            (503, "wechat_unavailable", "2"),
            "{path}"
        );
        let calls = (world.count_of(STABLE_TOKEN).await, world.count_of(PHONE).await);
        assert_eq!(calls, (1, calls_of_the_phone_api), "{path}");
    }
}

#[tokio::test]
async fn it_is_given_up_by_card_ext_before_lambda_gives_up_the_function() {
    for (path, calls_for_the_ticket) in [(STABLE_TOKEN, 0), (GETTICKET, 1)] {
        let world = World::start().await;
        world.put_card("pWechat000000000000000000000", json!({})).await;
        let caller = world.caller().await;
        if path == GETTICKET {
            refresh(&world, OFFICIAL_ACCOUNT).await;
        }
        world.fault(path, json!({ "latencyMs": 60_000, "times": 9 })).await;
        let reply =
            within_two_seconds(&world, &caller, "card-ext", &json!({ "cardId": "pWechat000000000000000000000" })).await;
        assert_eq!(
            (reply.status, reply.code(), reply.header("retry-after")),
            (503, "wechat_unavailable", "2"),
            "{path}"
        );
        let calls = (world.count_of(STABLE_TOKEN).await, world.count_of(GETTICKET).await);
        assert_eq!(calls, (1, calls_for_the_ticket), "{path}");
    }
}
