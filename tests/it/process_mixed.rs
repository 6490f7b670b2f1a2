//! `cargo dev` where some of what it works with is on other machines.

use serde_json::json;
use tests::http::Client;
use tests::world::World;

use crate::process::{Directory, FREE_PORTS, WITHIN, local, ready_line, signal, url};
use crate::sandbox_start::specific_address;

/// No machine has it.
const FAR: &str = "http://192.0.2.1:8000";

/// What it says where it does not start.
async fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let directory = Directory::new();
    let mut command = local(&directory.0, &[&["dev"], &FREE_PORTS[..], arguments].concat()).await;
    let output = command.envs(variables.iter().copied()).output();
    let Ok(output) = tokio::time::timeout(WITHIN, output).await else { panic!("it has started: {variables:?}") };
    let output = output.unwrap();
    assert!(!output.status.success(), "{variables:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn it_does_not_start_half_real_and_half_sandbox() {
    for (real, missing) in [
        (
            "AWS_ENDPOINT_URL_DYNAMODB",
            "WECHAT_API_URLS, WECHATPAY_API_URLS, TABLE_NAME, PAY_NOTIFY_URL, WECHAT_APPS, WECHATPAY, SEAL_KEY",
        ),
        ("AWS_ENDPOINT_URL_LAMBDA", "WECHAT_API_URLS, WECHATPAY_API_URLS"),
        ("WECHAT_API_URLS", "WECHATPAY_API_URLS"),
        ("WECHATPAY_API_URLS", "WECHAT_API_URLS"),
    ] {
        let said = refusal(&["--no-schedule"], &[(real, FAR)]).await;
        assert!(
            said.starts_with(&format!("error: {real} is not on this machine, and not set is {missing}: ")),
            "{said}"
        );
        assert!(said.ends_with("set all of it, or start with --mixed\n") && !said.contains("192.0.2.1"), "{said}");
    }
}

#[tokio::test]
async fn the_environment_of_another_cargo_dev_is_no_real_wechat_for_a_real_table() {
    let directory = Directory::new();
    let mut command = local(&directory.0, &[&["dev", "--no-schedule"], &FREE_PORTS[..]].concat()).await;
    let mut child = command.spawn().unwrap();
    ready_line(&mut child).await;
    // As `. target/dev/functions.env` does it.
    let lines = std::fs::read_to_string(directory.0.join("target/dev/functions.env")).unwrap();
    let variables = lines.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name, value.trim_matches('\'')));
    let mut given: Vec<_> = variables.filter(|(name, _)| *name != "AWS_ENDPOINT_URL_DYNAMODB").collect();
    given.push(("AWS_ENDPOINT_URL_DYNAMODB", FAR));
    let said = refusal(&[], &given).await;
    let here = "WECHAT_API_URLS, WECHATPAY_API_URLS, PAY_NOTIFY_URL";
    let expected = format!("error: AWS_ENDPOINT_URL_DYNAMODB is not on this machine, and on it is {here}: ");
    assert!(said.starts_with(&expected), "{said}");
}

#[tokio::test]
async fn the_sandbox_tells_no_other_machine_of_payments() {
    let real = ("PAY_NOTIFY_URL", "https://shop.example/pay-notify");
    let said = refusal(&[], &[real]).await;
    let expected = "error: PAY_NOTIFY_URL is not on this machine, and not set is WECHATPAY_API_URLS: ";
    assert!(said.starts_with(expected) && !said.contains("shop.example"), "{said}");
    let directory = Directory::new();
    let arguments = [&["dev", "--no-schedule", "--mixed"], &FREE_PORTS[..]].concat();
    let mut child = local(&directory.0, &arguments).await.envs([real]).spawn().unwrap();
    assert!(ready_line(&mut child).await.starts_with("ready: "));
}

#[tokio::test]
async fn a_table_of_another_machine_is_taken_when_told_and_has_no_timers_of_ours() {
    // A machine without a network has no address that is not loopback.
    let Some(bind) = specific_address() else { return };
    let far = World::start_at(bind).await;
    let table = far.machine.dynamodb_url();
    let given = [("AWS_ENDPOINT_URL_DYNAMODB", table), ("TABLE_NAME", "shop")];
    assert!(refusal(&[], &given).await.contains("or start with --mixed"));
    for (arguments, has_timers) in [(&["dev", "--mixed"][..], false), (&["dev", "--mixed", "--schedule"], true)] {
        let directory = Directory::new();
        let mut command = local(&directory.0, &[arguments, &FREE_PORTS].concat()).await;
        let mut child = command.envs(given).spawn().unwrap();
        let ready = ready_line(&mut child).await;
        let calls = format!("{}/sandbox/calls?path=/cgi-bin/stable_token", url(&ready, "wechat"));
        let count = async || {
            let calls = Client::default().send("GET", &calls, &[], Vec::new()).await.json;
            calls["calls"].as_array().unwrap().len()
        };
        let asked = async {
            while has_timers && count().await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WITHIN, asked).await.unwrap();
        let login = format!("{}/login", url(&ready, "functions"));
        let reply = Client::default().post(&login, &[], &json!({ "code": "demo-code" })).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        assert_eq!(count().await > 0, has_timers);
        signal(&child, "INT").await;
        let output = tokio::time::timeout(WITHIN, child.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let no_timers = "no timers: the table is not on this machine; --schedule runs them all the same\n";
        assert_eq!(said.contains(no_timers), !has_timers, "{said}");
    }
}

#[tokio::test]
async fn what_is_configured_wrongly_comes_first() {
    let embedded = World::start_embedded().await;
    let dynamodb = embedded.machine.dynamodb_url();
    for (variables, expected) in [
        (&[("SEAL_KEY", "short")][..], "SEAL_KEY is malformed: "),
        (&[("WECHAT_APPS", "[")], "WECHAT_APPS is malformed: "),
        (&[("PAY_NOTIFY_URL", "http://example.com/")], "PAY_NOTIFY_URL is malformed: "),
        (&[("ORDER_TTL_SECS", "5")], "ORDER_TTL_SECS is malformed: "),
        (&[("RUST_LOG", "a=b=c")], "RUST_LOG is malformed: "),
        (&[("SSL_CERT_FILE", "/nowhere")], "SSL_CERT_FILE is malformed: "),
        (&[("AWS_ENDPOINT_URL_DYNAMODB", "nonsense")], "AWS_ENDPOINT_URL_DYNAMODB is malformed: "),
        (&[("AWS_ENDPOINT_URL_LAMBDA", "nonsense")], "AWS_ENDPOINT_URL_LAMBDA is malformed: "),
        (&[("WECHAT_API_URLS", "nonsense")], "WECHAT_API_URLS is malformed: "),
        (
            &[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")],
            "AWS_ENDPOINT_URL_DYNAMODB gives no answer: the table wechat-functions cannot be used",
        ),
        (
            &[("AWS_ENDPOINT_URL_DYNAMODB", dynamodb), ("TABLE_NAME", "a b")],
            "DynamoDB says ValidationException: the table a b cannot be used",
        ),
    ] {
        let said = refusal(&["--no-schedule"], variables).await;
        assert!(said.starts_with(&format!("error: {expected}")), "{variables:?} {said}");
    }
}
