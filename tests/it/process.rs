//! `cargo dev` as a process: what its user sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::http::Client;
use tests::{binary, root};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// More than it takes to start or to stop.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

pub(crate) const FREE_PORTS: [&str; 6] = ["--port", "0", "--sandbox-port", "0", "--dynamodb-port", "0"];

/// A directory with the roles, and the machine's own `target/dev`.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::copy(root().join("template.yaml"), path.join("template.yaml")).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) async fn local(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("local").await);
    command.args(arguments).current_dir(directory).env_clear();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The URL behind a word of the ready line.
pub(crate) fn url<'a>(ready: &'a str, name: &str) -> &'a str {
    ready.split_whitespace().skip_while(|word| *word != name).nth(1).unwrap()
}

pub(crate) async fn ready_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::time::timeout(WITHIN, lines.next_line()).await.unwrap().unwrap().unwrap()
}

pub(crate) async fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
}

#[tokio::test]
async fn it_says_when_it_is_ready_and_stops_on_a_signal() {
    for (name, dashes) in [("INT", &["dev", "--"][..]), ("TERM", &["dev"])] {
        let directory = Directory::new();
        let mut child = local(&directory.0, &[dashes, &FREE_PORTS].concat()).await.spawn().unwrap();
        let ready = ready_line(&mut child).await;
        assert!(ready.starts_with("ready: functions http://127.0.0.1:"), "{ready}");
        let login = format!("{}/login", url(&ready, "functions"));
        let reply = Client::default().post(&login, &[], &json!({ "code": "demo-code" })).await;
        assert_eq!(reply.status, 200);

        let env = std::fs::read(directory.0.join("target/dev/env.json")).unwrap();
        let env: Value = serde_json::from_slice(&env).unwrap();
        assert_eq!(env["LoginFunction"]["WECHAT_API_URLS"], url(&ready, "wechat"));
        assert_eq!(env["LoginFunction"]["AWS_ENDPOINT_URL_DYNAMODB"], url(&ready, "dynamodb"));
        let lines = std::fs::read_to_string(directory.0.join("target/dev/functions.env")).unwrap();
        assert!(lines.contains(&format!("\nWECHAT_API_URLS='{}'\n", url(&ready, "wechat"))));
        assert_eq!(env["LoginFunction"]["AWS_ACCESS_KEY_ID"], "LoginRole");
        signal(&child, name).await;
        let status = tokio::time::timeout(WITHIN, child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{name}: {status}");
    }
}

#[tokio::test]
async fn the_sandbox_is_named_where_it_is_not_the_wechat_of_the_functions() {
    let directory = Directory::new();
    let arguments = [&["dev", "--no-schedule"], &FREE_PORTS[..]].concat();
    for (variable, is_named) in [("WECHAT_API_URLS", true), ("WECHATPAY_API_URLS", false)] {
        let mut command = local(&directory.0, &arguments).await;
        let mut child = command.env(variable, "http://127.0.0.1:1").spawn().unwrap();
        let ready = ready_line(&mut child).await;
        let sandbox: &[&str] = if is_named { &["sandbox"] } else { &[] };
        let names: Vec<_> = ready.split_whitespace().skip(1).step_by(2).collect();
        assert_eq!(names, [&["functions", "wechat", "dynamodb"], sandbox].concat(), "{ready}");
    }
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_error() {
    let mut command = local(&root(), &["event", "login", "valid"]).await;
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// The apps for which WeChat was asked for a token.
async fn apps_with_tokens(ready: &str) -> BTreeSet<String> {
    let url = format!("{}/sandbox/calls?path=/cgi-bin/stable_token", url(ready, "wechat"));
    let calls = Client::default().send("GET", &url, &[], Vec::new()).await.json;
    let calls = calls["calls"].as_array().unwrap().iter();
    calls.map(|call| call["appId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_tokens_are_refreshed_from_the_start() {
    let directory = Directory::new();
    let mut child = local(&directory.0, &[&["dev"], &FREE_PORTS[..]].concat()).await.spawn().unwrap();
    let ready = ready_line(&mut child).await;
    let expected = [MINI_PROGRAM, OFFICIAL_ACCOUNT].map(str::to_owned).into();
    let refreshed = async {
        while apps_with_tokens(&ready).await != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, refreshed).await.expect("both apps have tokens soon");
}

#[tokio::test]
async fn without_the_schedule_no_token_is_refreshed_before_it_is_needed() {
    let directory = Directory::new();
    let arguments = [&["dev", "--no-schedule"], &FREE_PORTS[..]].concat();
    let mut child = local(&directory.0, &arguments).await.spawn().unwrap();
    let ready = ready_line(&mut child).await;
    let call = async |function: &str, token: &str, body: Value| {
        let url = format!("{}/{function}", url(&ready, "functions"));
        let reply = Client::default().post(&url, &[("authorization", &format!("Bearer {token}"))], &body).await;
        assert_eq!(reply.status, 200, "{function}: {:?}", reply.json);
        reply.json
    };
    let login = call("login", "none", json!({ "code": "demo-code" })).await;
    assert_eq!(apps_with_tokens(&ready).await, BTreeSet::new());
    // The one that a function needs comes all the same.
    call("phone-decrypt", login["token"].as_str().unwrap(), json!({ "code": "demo-phone-code" })).await;
    assert_eq!(apps_with_tokens(&ready).await, [MINI_PROGRAM.to_owned()].into());
}

#[tokio::test]
async fn what_is_wrong_is_one_sentence() {
    let directory = Directory::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = directory.0.join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.to_str().unwrap();
    for (arguments, expected) in [
        (
            &["--port", &port][..],
            format!("error: port {port} is in use: stop what uses it, or choose another one with --port\n"),
        ),
        (&["--port", "0", "--data", data], format!("error: {data} cannot be used: File exists (os error 17)\n")),
    ] {
        let output = local(&directory.0, &[&["dev"], arguments].concat()).await.output().await.unwrap();
        assert!(!output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    }
}

#[tokio::test]
async fn an_address_that_others_reach_is_warned_about() {
    let directory = Directory::new();
    let arguments = [&["dev", "--no-schedule", "--bind", "0.0.0.0"][..], &FREE_PORTS].concat();
    let mut child = local(&directory.0, &arguments).await.spawn().unwrap();
    let ready = ready_line(&mut child).await;
    assert!(url(&ready, "functions").starts_with("http://127.0.0.1:"), "{ready}");
    signal(&child, "INT").await;
    let output = tokio::time::timeout(WITHIN, child.wait_with_output()).await.unwrap().unwrap();
    let warning = "warning: 0.0.0.0 can be reached from outside, and nothing here checks who calls\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), warning);
}

#[tokio::test]
async fn sample_events_are_printed_fresh() {
    let output = local(&root(), &["event", "login", "valid"]).await.output().await.unwrap();
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = local::sample::read(&root(), "login", "valid").unwrap();
    assert_eq!(event["body"], file["body"]);
    assert_ne!(event["requestContext"]["timeEpoch"], file["requestContext"]["timeEpoch"]);
    assert_ne!(event["requestContext"]["requestId"], file["requestContext"]["requestId"]);

    let output = local(&root(), &["event", "logout", "nothing"]).await.output().await.unwrap();
    let expected = "error: there is no event nothing of logout; there are: all, malformed, no-session, valid\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}
