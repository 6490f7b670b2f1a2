//! Metrics: the lines that CloudWatch makes them of.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use stubs::runtime_api::Process;
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::dynamodb_proxy::Kind;
use tests::http::Reply;
use tests::upstream::ClosedPort;
use tests::world::World;
use tests::{binary, logs};

use super::binaries::{event, text, variables};

/// The metrics in what a function has written: CloudWatch's own words for them.
fn directives(written: &str) -> Vec<Value> {
    let lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let metrics = lines.filter_map(|line| Some((line.get("_aws")?["CloudWatchMetrics"].clone(), line)));
    let of_login = |line: &Value| line["function"] == "login" && line["Fault"] == 1;
    metrics.map(|(directive, line)| directive.as_array().filter(|_| of_login(&line)).unwrap()[0].clone()).collect()
}

#[tokio::test]
async fn a_metric_is_of_its_stack_and_counts_for_its_function_and_in_all() {
    let (world, closed) = (World::start_embedded().await, ClosedPort::default());
    let mut variables = variables(&world, "LoginFunction");
    variables.insert("WECHAT_API_URLS".to_owned(), closed.url.clone());
    for (set, namespace) in [("", "WechatFunctions"), ("prod", "prod"), ("Shop_1/a.b-c#d:e", "Shop_1/a.b-c#d:e")] {
        variables.insert("METRICS_NAMESPACE".to_owned(), set.to_owned());
        let process = Process::start(&binary("login").await, &variables).await;
        assert_eq!(process.invoke(&event("login", "valid")).await.outcome.unwrap()["statusCode"], 503);
        let directive = json!({
            "Namespace": namespace,
            "Dimensions": [[], ["function"]],
            "Metrics": [{ "Name": "Fault", "Unit": "Count" }],
        });
        assert_eq!(directives(&text(process.stop().await)), [directive]);
    }
}

#[tokio::test]
async fn a_namespace_that_cloudwatch_does_not_take_stops_the_function_and_is_not_shown() {
    for namespace in [":canary", "AWS/canary", "canary canary", "canary,", "canäry", &"canary".repeat(43)] {
        let variables = BTreeMap::from([("METRICS_NAMESPACE".to_owned(), namespace.to_owned())]);
        let output = Process::start(&binary("login").await, &variables).await.output().await;
        assert!(!output.status.success(), "{namespace}");
        let expected = "Error: METRICS_NAMESPACE is malformed: expected 1 to 255 of A-Z, a-z, 0-9 and .-_/#:, not \
                        beginning with a colon or AWS/\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected, "{namespace}");
    }
}

/// How often one request has counted a metric.
fn counted(metric: &str, request_id: &str) -> usize {
    assert_ne!(request_id, "");
    logs::of_request(request_id).iter().filter(|line| line[metric] == 1).count()
}

async fn oauth_login(world: &World) -> Reply {
    world.call("login", None, json!({ "code": "any-code", "appId": MOBILE_APP })).await
}

async fn login(world: &World) -> Reply {
    world.login("any-code").await
}

/// A day's quota is the app's. A minute's is one user's where a mini program logs in.
#[tokio::test]
async fn a_quota_of_the_app_that_a_login_meets_is_counted() {
    let world = World::start().await;
    for (errcode, count) in [(45009, 1), (44993, 1), (45011, 0), (44991, 0), (40029, 0), (-1, 0)] {
        world.fault("/sns/jscode2session", json!({ "errcode": errcode, "times": 3 })).await;
        let reply = login(&world).await;
        assert_eq!(counted("QuotaExceeded", reply.json["requestId"].as_str().unwrap()), count, "{errcode}");
        world.sandbox("DELETE", "/faults", Value::Null).await;
    }
    for (errcode, count) in [(45009, 1), (45011, 1), (42003, 0)] {
        world.fault("/sns/oauth2/access_token", json!({ "errcode": errcode })).await;
        let reply = oauth_login(&world).await;
        assert_eq!(counted("QuotaExceeded", reply.json["requestId"].as_str().unwrap()), count, "{errcode}");
    }
}

#[tokio::test]
async fn a_quota_that_a_phone_number_meets_is_counted() {
    let world = World::start().await;
    let caller = world.caller().await;
    for errcode in [45009, 45011] {
        world.fault("/wxa/business/getuserphonenumber", json!({ "errcode": errcode })).await;
        let reply = caller.call(&world, "phone-decrypt", json!({ "code": "any-code" })).await;
        let id = reply.json["requestId"].as_str().unwrap();
        assert_eq!((reply.code(), counted("QuotaExceeded", id)), ("rate_limited", 1), "{errcode}");
    }
}

/// Each answer of WeChat's is one: nobody asks it again for the tickets, nor in the next run.
#[tokio::test]
async fn a_quota_that_the_refresher_meets_is_counted_when_wechat_says_it() {
    for (path, refreshed) in [("/cgi-bin/stable_token", 0), ("/cgi-bin/ticket/getticket", 2)] {
        for errcode in [45009, 45011] {
            let world = World::start().await;
            world.fault(path, json!({ "errcode": errcode, "times": 2 })).await;
            let first = refresh(&world, json!({})).await;
            assert_eq!(first.json["refreshed"].as_array().unwrap().len(), refreshed, "{path} {errcode}");
            assert_eq!(counted("QuotaExceeded", first.header("x-amzn-requestid")), 2, "{path} {errcode}");
            let next = refresh(&world, json!({})).await;
            assert_eq!(next.json["failures"], first.json["failures"]);
            assert_eq!(counted("QuotaExceeded", next.header("x-amzn-requestid")), 0, "{path} {errcode}");
        }
    }
}

async fn refresh(world: &World, event: Value) -> Reply {
    world.invoke("token-refresher", &event).await
}

/// One of these a minute is what an alarm sees while a circuit is open.
#[tokio::test]
async fn every_failure_in_a_reply_is_counted_also_of_runs_that_ask_nobody() {
    let world = World::start().await;
    world.sandbox("PUT", "/whitelist", json!({ "appId": OFFICIAL_ACCOUNT, "ips": [] })).await;
    let mut asked = Vec::new();
    for minute in 0..10 {
        let run = refresh(&world, json!({})).await;
        assert_eq!(run.json["failures"].as_array().unwrap().len(), 3, "{minute}");
        let id = run.header("x-amzn-requestid");
        assert_eq!(counted("RefreshFailed", id), 3, "{minute}");
        asked.push(counted("IpNotInWhitelist", id));
        world.advance(Duration::from_secs(60));
    }
    // The pauses are 60, 120, 240 and 480 s.
    assert_eq!(asked, [1, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
}

/// What a run of the refresher tells of the time that is left, app by app.
async fn left(world: &World, event: Value) -> Vec<Value> {
    let reply = refresh(world, event).await;
    let lines = logs::of_request(reply.header("x-amzn-requestid"));
    assert!(!lines.is_empty());
    let told = lines.iter().filter(|line| !line["TokenSecondsLeft"].is_null());
    told.inspect(|line| {
        let metrics = json!([{ "Name": "TokenSecondsLeft", "Unit": "Seconds" }]);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"], metrics);
        assert_eq!(line["function"], "token-refresher");
    })
    .map(|line| line["TokenSecondsLeft"].clone())
    .collect()
}

#[tokio::test]
async fn each_scheduled_run_tells_how_much_is_left_of_what_ends_first() {
    let world = World::start().await;
    refresh(&world, json!({ "appId": MINI_PROGRAM, "kind": "access_token" })).await;
    world.advance(Duration::from_secs(1000));
    // Those of the official account are new.
    assert_eq!(left(&world, json!({})).await, [6200, 7200]);
    world.advance(Duration::from_secs(5899));
    assert_eq!(left(&world, json!({})).await, [301, 1301]);
    world.advance(Duration::from_secs(1));
    // One is due, and refreshed before it is told.
    assert_eq!(left(&world, json!({})).await, [7200, 1300]);
}

#[tokio::test]
async fn what_cannot_be_refreshed_is_told_until_it_has_ended() {
    let world = World::start().await;
    let refuse = json!({ "path": "/cgi-bin/stable_token", "errcode": 40125, "times": 99 });
    world.sandbox("POST", "/faults", refuse.clone()).await;
    assert_eq!(left(&world, json!({})).await, [0, 0], "there never was one");
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(left(&world, json!({})).await, [7200, 7200]);
    world.sandbox("POST", "/faults", refuse).await;
    for (secs, expected) in [(7000, 200), (120, 80), (79, 1), (1, 0), (600, 0)] {
        world.advance(Duration::from_secs(secs));
        assert_eq!(left(&world, json!({})).await, [expected, expected], "{secs}");
    }
}

#[tokio::test]
async fn what_nobody_can_open_is_none() {
    let world = World::start().await;
    assert_eq!(left(&world, json!({})).await, [7200, 7200]);
    let (env, wechat) = (world.machine.env(), ClosedPort::default());
    let other = World::start_with([
        ("AWS_ENDPOINT_URL_DYNAMODB", world.machine.dynamodb_url()),
        ("TABLE_NAME", env.get("TABLE_NAME").unwrap()),
        ("WECHAT_APPS", env.get("WECHAT_APPS").unwrap()),
        ("SEAL_KEY", "another-key-that-has-sealed-nothing-of-what-is-there"),
        ("WECHAT_API_URLS", &wechat.url),
    ])
    .await;
    assert_eq!(left(&other, json!({})).await, [0, 0]);
    assert_eq!(left(&world, json!({})).await, [7200, 7200], "for those who can, it is there");
}

#[tokio::test]
async fn a_row_that_nobody_can_read_is_none() {
    let world = World::start().await;
    let table = world.table();
    let row = table.client().put_item().table_name(table.name());
    let row = row.item("pk", AttributeValue::S(format!("TOKEN#{MINI_PROGRAM}#access_token")));
    let row = row.item("sk", AttributeValue::S("TOKEN".to_owned()));
    row.item("version", AttributeValue::S("none".to_owned())).send().await.unwrap();
    assert_eq!(left(&world, json!({})).await, [0, 7200]);
}

#[tokio::test]
async fn what_nobody_knows_or_asked_about_is_not_told() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject("GetItem", u32::MAX, Kind::error("AccessDeniedException"));
    assert_eq!(left(&world, json!({})).await, [0; 0], "the table says nothing");
    let world = World::start().await;
    let one = json!({ "appId": MINI_PROGRAM, "kind": "access_token" });
    assert_eq!(left(&world, one).await, [0; 0], "a person asks for one");
    let apps = json!([{ "appId": "wxmobile", "appSecret": "s", "kind": "mobile-app" }]).to_string();
    let without = World::start_with([("WECHAT_APPS", &apps)]).await;
    assert_eq!(left(&without, json!({})).await, [0; 0], "there is nothing that could end");
}

/// Certificates that cannot be fetched are a failure of the sweep too; one that could read nothing is a fault.
#[tokio::test]
async fn a_sweep_with_a_failure_in_its_reply_is_counted_once() {
    let world = World::start_with_keys(KeyMode::Both, []).await;
    world.fault("/v3/certificates", json!({ "code": "SYSTEM_ERROR", "status": 500, "times": 1000 })).await;
    for minute in 0..3 {
        let run = world.invoke("order-sweeper", &json!({})).await;
        assert_eq!(run.json["failures"], 1, "{minute}");
        let id = run.header("x-amzn-requestid");
        let counts = ["SweepFailed", "PayKeysNotRefreshed", "Fault"].map(|metric| counted(metric, id));
        assert_eq!(counts, [1, 1, 0], "{minute}");
        world.advance(Duration::from_secs(60));
    }
    world.sandbox("DELETE", "/faults", Value::Null).await;
    let run = world.invoke("order-sweeper", &json!({})).await;
    assert_eq!((&run.json["failures"], counted("SweepFailed", run.header("x-amzn-requestid"))), (&json!(0), 0));

    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject("Query", u32::MAX, Kind::error("AccessDeniedException"));
    let run = world.invoke("order-sweeper", &json!({})).await;
    assert_eq!(run.header("x-amz-function-error"), "Unhandled", "{:?}", run.json);
    let id = run.header("x-amzn-requestid");
    assert_eq!((counted("SweepFailed", id), counted("Fault", id)), (0, 1));
}
