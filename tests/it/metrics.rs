//! Metrics: the lines that CloudWatch makes them of.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stubs::runtime_api::Process;
use tests::apps::MOBILE_APP;
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
    let run = async |world: &World| world.invoke("token-refresher", &json!({})).await;
    for (path, refreshed) in [("/cgi-bin/stable_token", 0), ("/cgi-bin/ticket/getticket", 2)] {
        for errcode in [45009, 45011] {
            let world = World::start().await;
            world.fault(path, json!({ "errcode": errcode, "times": 2 })).await;
            let first = run(&world).await;
            assert_eq!(first.json["refreshed"].as_array().unwrap().len(), refreshed, "{path} {errcode}");
            assert_eq!(counted("QuotaExceeded", first.header("x-amzn-requestid")), 2, "{path} {errcode}");
            let next = run(&world).await;
            assert_eq!(next.json["failures"], first.json["failures"]);
            assert_eq!(counted("QuotaExceeded", next.header("x-amzn-requestid")), 0, "{path} {errcode}");
        }
    }
}
