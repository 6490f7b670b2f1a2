//! Metrics: the lines that CloudWatch makes them of.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stubs::runtime_api::Process;
use tests::binary;
use tests::upstream::ClosedPort;
use tests::world::World;

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
