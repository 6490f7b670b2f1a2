//! Which tickets of an official account are kept fresh; and what is told of each app.

use std::time::Duration;

use serde_json::{Value, json};
use tests::logs;
use tests::world::World;

const TICKET: &str = "/cgi-bin/ticket/getticket";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// After that, a value that was new is due.
const DUE: Duration = Duration::from_secs(6900);

/// A mini program, and an official account of which this is said beside what has to be.
fn apps(said: Value) -> String {
    let mut account = json!({ "appId": "wxaccount", "appSecret": "s2", "kind": "official-account" });
    account.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    json!([{ "appId": "wxmini", "appSecret": "s1", "kind": "mini-program" }, account]).to_string()
}

async fn world_of(said: Value) -> World {
    World::start_with([("WECHAT_APPS", &apps(said))]).await
}

/// What a run of the schedule has come to.
struct Run {
    refreshed: Vec<String>,
    failures: Value,
    lines: Vec<Value>,
}

impl Run {
    async fn of(world: &World) -> Self {
        let reply = world.invoke("token-refresher", &json!({})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let name = |token: &Value| format!("{} {}", text(&token["appId"]), text(&token["kind"]));
        let refreshed = reply.json["refreshed"].as_array().unwrap().iter().map(name).collect();
        let lines = logs::of_request(reply.header("x-amzn-requestid"));
        assert!(!lines.is_empty());
        Self { refreshed, failures: reply.json["failures"].clone(), lines }
    }

    /// The values of a metric by app, each of which CloudWatch takes as one of that app.
    fn told(&self, metric: &str) -> Vec<(&str, u64)> {
        let lines = self.lines.iter().filter(|line| !line[metric].is_null());
        lines
            .inspect(|line| {
                let dimensions = json!([[], ["function"], ["appId"]]);
                assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], dimensions, "{line}");
            })
            .map(|line| (line["appId"].as_str().unwrap(), line[metric].as_u64().unwrap()))
            .collect()
    }
}

#[tokio::test]
async fn an_official_account_for_logins_alone_is_asked_for_no_ticket_and_raises_nothing() {
    for said in [json!({}), json!({ "tickets": null }), json!({ "tickets": [] })] {
        let world = world_of(said).await;
        // It has no right to any.
        world.fault(TICKET, json!({ "errcode": 48001, "times": 1000 })).await;
        for minute in 0..3 {
            let run = Run::of(&world).await;
            assert_eq!(run.failures, json!([]), "{minute}");
            assert_eq!(run.told("RefreshFailed"), [], "{minute}");
            let left = 7200 - minute * 60;
            assert_eq!(run.told("TokenSecondsLeft"), [("wxmini", left), ("wxaccount", left)]);
            world.advance(Duration::from_secs(60));
        }
        assert_eq!(world.count_of(TICKET).await, 0);
    }
}

#[tokio::test]
async fn exactly_the_tickets_that_are_listed_are_kept() {
    let tokens = ["wxmini access_token", "wxaccount access_token"];
    for (tickets, expected) in [
        (json!([]), &[][..]),
        (json!(["wx_card"]), &["wxaccount wx_card"]),
        (json!(["jsapi"]), &["wxaccount jsapi"]),
        (json!(["jsapi", "wx_card"]), &["wxaccount wx_card", "wxaccount jsapi"]),
    ] {
        let world = world_of(json!({ "tickets": tickets })).await;
        for _ in 0..2 {
            assert_eq!(Run::of(&world).await.refreshed, [&tokens, expected].concat(), "{tickets}");
            world.advance(DUE);
        }
    }
}

async fn sign(world: &World) -> u16 {
    world.caller().await.call(world, "card-ext", json!({ "cardId": "pCard00000000000000000000000" })).await.status
}

/// A reader that finds no ticket has it kept fresh for a week.
#[tokio::test]
async fn a_card_that_is_signed_has_its_ticket_kept_for_a_week_from_each_signature() {
    let world = world_of(json!({})).await;
    world.put_card("pCard00000000000000000000000", json!({})).await;
    assert_eq!(Run::of(&world).await.refreshed, ["wxmini access_token", "wxaccount access_token"]);
    for _ in 0..2 {
        assert_eq!(sign(&world).await, 200);
        world.advance(DUE);
        let all = ["wxmini access_token", "wxaccount access_token", "wxaccount wx_card"];
        assert_eq!(Run::of(&world).await.refreshed, all);
        // It is there before anybody misses it.
        let asked = world.count_of(TICKET).await;
        assert_eq!((sign(&world).await, world.count_of(TICKET).await), (200, asked));
        world.advance(6 * DAY);
        assert_eq!(Run::of(&world).await.refreshed, all);
        world.advance(DAY);
        let run = Run::of(&world).await;
        assert_eq!(run.refreshed, all[..2]);
        assert_eq!(run.told("TokenSecondsLeft"), [("wxmini", 7200), ("wxaccount", 7200)]);
    }
}

#[tokio::test]
async fn a_ticket_that_a_card_needs_and_the_account_may_not_have_is_a_failure() {
    let world = world_of(json!({})).await;
    world.put_card("pCard00000000000000000000000", json!({})).await;
    Run::of(&world).await;
    world.fault(TICKET, json!({ "errcode": 48001, "times": 1000 })).await;
    assert_eq!(sign(&world).await, 500);
    world.advance(Duration::from_secs(60));
    let run = Run::of(&world).await;
    assert_eq!(run.failures, json!([{ "appId": "wxaccount", "kind": "wx_card", "code": "misconfigured" }]));
    assert_eq!(run.told("RefreshFailed"), [("wxaccount", 1)]);
    assert_eq!(run.told("TokenSecondsLeft"), [("wxmini", 7140), ("wxaccount", 0)]);
}

#[tokio::test]
async fn what_a_person_asks_for_is_fetched_and_not_kept() {
    let world = world_of(json!({})).await;
    for kind in ["jsapi", "wx_card"] {
        let reply = world.invoke("token-refresher", &json!({ "appId": "wxaccount", "kind": kind })).await;
        assert_eq!(reply.json["refreshed"][0]["kind"], kind);
    }
    world.advance(DUE);
    assert_eq!(Run::of(&world).await.refreshed, ["wxmini access_token", "wxaccount access_token"]);
}

/// Each app is a series of its own in CloudWatch.
#[tokio::test]
async fn an_account_that_is_broken_does_not_hide_what_becomes_of_the_others() {
    let world = world_of(json!({})).await;
    world.sandbox("PUT", "/whitelist", json!({ "appId": "wxaccount", "ips": [] })).await;
    let run = Run::of(&world).await;
    assert_eq!(run.told("TokenSecondsLeft"), [("wxmini", 7200), ("wxaccount", 0)]);
    assert_eq!(run.told("RefreshFailed"), [("wxaccount", 1)]);
    world.sandbox("PUT", "/whitelist", json!({ "appId": "wxmini", "ips": [] })).await;
    world.advance(Duration::from_secs(7000));
    let run = Run::of(&world).await;
    assert_eq!(run.told("TokenSecondsLeft"), [("wxmini", 200), ("wxaccount", 0)]);
    assert_eq!(run.told("RefreshFailed"), [("wxmini", 1), ("wxaccount", 1)]);
}
