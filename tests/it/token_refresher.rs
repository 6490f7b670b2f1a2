//! `token-refresher`: what it asks WeChat for, and what it says of it.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::logs;
use tests::readers::Reader;
use tests::upstream::{After, Upstream};
use tests::world::World;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const GETTICKET: &str = "/cgi-bin/ticket/getticket";

async fn refresh(world: &World, event: Value) -> Value {
    let reply = world.invoke("token-refresher", &event).await;
    assert_eq!(reply.header("x-amz-function-error"), "", "{:?}", reply.json);
    reply.json
}

async fn refusal(world: &World, event: Value) -> (String, String) {
    let reply = world.invoke("token-refresher", &event).await;
    assert_eq!(reply.header("x-amz-function-error"), "Unhandled", "{:?}", reply.json);
    let text = |name: &str| reply.json[name].as_str().unwrap().to_owned();
    (text("errorType"), text("errorMessage"))
}

fn of_mini_program() -> Value {
    json!({ "appId": MINI_PROGRAM, "kind": "access_token" })
}

fn by_reader() -> Value {
    json!({ "appId": MINI_PROGRAM, "kind": "access_token", "failed": "none" })
}

/// The value that readers get.
async fn stored(world: &World) -> String {
    let reader = Reader::start(world, world.machine.gateway_url()).await;
    reader.token().await.unwrap().to_string()
}

#[tokio::test]
async fn a_scheduled_run_refreshes_what_is_due_and_nothing_else() {
    let world = World::start().await;
    let reply = refresh(&world, json!({})).await;
    let token = |app: &str, kind: &str| json!({ "appId": app, "kind": kind, "expiresIn": 7200 });
    let expected = [
        token(MINI_PROGRAM, "access_token"),
        token(OFFICIAL_ACCOUNT, "access_token"),
        token(OFFICIAL_ACCOUNT, "wx_card"),
        token(OFFICIAL_ACCOUNT, "jsapi"),
    ];
    assert_eq!(reply, json!({ "refreshed": expected, "failures": [] }));
    let nothing = json!({ "refreshed": [], "failures": [] });
    assert_eq!(refresh(&world, json!({})).await, nothing);
    world.advance(Duration::from_secs(6899));
    assert_eq!(refresh(&world, json!({})).await, nothing);
    assert_eq!((world.count_of(STABLE_TOKEN).await, world.count_of(GETTICKET).await), (2, 2));
    world.advance(Duration::from_secs(1));
    assert_eq!(refresh(&world, json!({})).await, reply);
    assert_eq!(world.count_of("/cgi-bin/token").await, 0);
}

#[tokio::test]
async fn what_eventbridge_sends_by_itself_is_a_scheduled_run() {
    let world = World::start().await;
    let event = json!({ "version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} });
    assert_eq!(refresh(&world, event).await["refreshed"].as_array().unwrap().len(), 4);
    let (kind, _) = refusal(&world, json!({ "source": "mine" })).await;
    assert_eq!(kind, "invalid_request");
}

#[tokio::test]
async fn what_is_no_request_is_a_function_error_that_names_the_field() {
    let world = World::start().await;
    for (event, message) in [
        (json!([]), "the body is not a JSON object"),
        (json!({ "appId": MINI_PROGRAM }), "missing field `kind`"),
        (json!({ "kind": "access_token" }), "missing field `appId`"),
        (json!({ "failed": "none" }), "missing field `appId`"),
        (json!({ "appId": MINI_PROGRAM, "kind": "token" }), "field `kind` is not valid"),
        (json!({ "appId": "wx9", "kind": "access_token" }), "field `appId` is not an app of this backend"),
        (json!({ "appId": MINI_PROGRAM, "kind": "wx_card" }), "field `kind` is nothing that this app has"),
        (json!({ "appId": MOBILE_APP, "kind": "access_token" }), "field `kind` is nothing that this app has"),
        (
            json!({ "appId": MINI_PROGRAM, "kind": "access_token", "failed": "x" }),
            "field `failed` is neither a SHA-256 nor `none`",
        ),
        (json!({ "appId": MINI_PROGRAM, "kind": "access_token", "force": true }), "unknown field `force`"),
    ] {
        assert_eq!(refusal(&world, event).await, ("invalid_request".to_owned(), message.to_owned()));
    }
    assert_eq!(world.count_of(STABLE_TOKEN).await, 0);
}

#[tokio::test]
async fn one_app_that_fails_stops_no_other_and_is_named_with_its_code() {
    let world = World::start().await;
    let whitelist = json!({ "appId": OFFICIAL_ACCOUNT, "ips": ["203.0.113.9"] });
    world.sandbox("PUT", "/whitelist", whitelist).await;
    let reply = world.invoke("token-refresher", &json!({})).await;
    let failed = |kind: &str| json!({ "appId": OFFICIAL_ACCOUNT, "kind": kind, "code": "misconfigured" });
    assert_eq!(reply.json["refreshed"].as_array().unwrap().len(), 1, "{:?}", reply.json);
    assert_eq!(reply.json["failures"], json!([failed("access_token"), failed("wx_card"), failed("jsapi")]));

    let lines = logs::of_request(reply.header("x-amzn-requestid"));
    let metrics: Vec<_> = lines.iter().filter(|line| line["RefreshFailed"] == 1).collect();
    assert_eq!(metrics.len(), 3);
    assert!(metrics.iter().all(|line| line["appId"] == OFFICIAL_ACCOUNT && line["code"] == "misconfigured"));
    assert!(lines.iter().any(|line| line["errcode"] == 40164 && line["level"] == "WARN"));
    assert!(lines.iter().any(|line| line["seenIp"] == "127.0.0.1" && line["egressIp"] == "127.0.0.1"));
    // Tickets were not asked for without a token.
    assert_eq!(world.count_of(GETTICKET).await, 0);
}

#[tokio::test]
async fn after_a_failure_only_a_person_asks_wechat_before_its_time() {
    let world = World::start().await;
    world.sandbox("PUT", "/whitelist", json!({ "appId": MINI_PROGRAM, "ips": [] })).await;
    let failed = json!([{ "appId": MINI_PROGRAM, "kind": "access_token", "code": "misconfigured" }]);
    assert_eq!(refresh(&world, by_reader()).await["failures"], failed);
    // The whitelist is mended, and the circuit is still open.
    world.sandbox("PUT", "/whitelist", json!({ "appId": MINI_PROGRAM, "ips": null })).await;
    assert_eq!(refresh(&world, by_reader()).await["failures"], failed);
    assert_eq!(refresh(&world, json!({})).await["failures"], failed);
    assert_eq!(world.count_of(STABLE_TOKEN).await, 2); // The other app's is the second.
    assert_eq!(refresh(&world, of_mini_program()).await["refreshed"][0]["expiresIn"], 7200);
    assert_eq!(refresh(&world, by_reader()).await["failures"], json!([]));
}

#[tokio::test]
async fn a_person_who_asks_for_a_ticket_need_not_ask_for_the_token_first() {
    let world = World::start().await;
    world.sandbox("PUT", "/whitelist", json!({ "appId": OFFICIAL_ACCOUNT, "ips": [] })).await;
    assert_eq!(refresh(&world, json!({})).await["failures"].as_array().unwrap().len(), 3);
    world.sandbox("PUT", "/whitelist", json!({ "appId": OFFICIAL_ACCOUNT, "ips": null })).await;
    let ticket = json!({ "appId": OFFICIAL_ACCOUNT, "kind": "wx_card" });
    assert_eq!(refresh(&world, ticket).await["refreshed"].as_array().unwrap().len(), 1);
}

/// The token is there and good for hours, but WeChat has revoked it, and could not be asked for another.
#[tokio::test]
async fn a_person_who_asks_for_a_ticket_need_not_mend_a_refused_token_first() {
    let world = World::start().await;
    refresh(&world, json!({})).await;
    world.sandbox("POST", "/tokens/revoke", json!({ "appId": OFFICIAL_ACCOUNT })).await;
    world.fault(STABLE_TOKEN, json!({ "errcode": 40125 })).await;
    let ticket = json!({ "appId": OFFICIAL_ACCOUNT, "kind": "wx_card" });
    assert_eq!(refresh(&world, ticket.clone()).await["failures"][0]["code"], "misconfigured");
    assert_eq!(refresh(&world, ticket).await["refreshed"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_answer_that_is_none_is_a_failure_and_none_is_stored() {
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"access_token":"","expires_in":7200}"#,
        r#"{"access_token":"t","expires_in":"7200"}"#,
        r#"{"access_token":"t","expires_in":-1}"#,
        r#"{"access_token":"t","expires_in":30}"#,
        r#"{"errcode":-1,"errmsg":"system error"}"#,
        r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#,
    ] {
        let wechat = Upstream::start(body, After::Close).await;
        let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
        let reply = refresh(&world, of_mini_program()).await;
        assert_eq!(reply["failures"][0]["code"], "wechat_unavailable", "{body}");
        assert_eq!(reply["refreshed"], json!([]), "{body}");
    }
    let wechat = Upstream::start(r#"{"errcode":40125,"errmsg":"invalid appsecret"}"#, After::Close).await;
    let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
    assert_eq!(refresh(&world, of_mini_program()).await["failures"][0]["code"], "misconfigured");
}

#[tokio::test]
async fn a_failed_refresh_of_a_usable_value_takes_it_from_nobody() {
    let world = World::start().await;
    let first = stored(&world).await;
    world.advance(Duration::from_secs(7000));
    world.fault(STABLE_TOKEN, json!({ "status": 502, "times": 2 })).await;
    assert_eq!(refresh(&world, json!({})).await["failures"][0]["code"], "wechat_unavailable");
    assert_eq!(stored(&world).await, first);
}
