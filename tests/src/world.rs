//! A local machine for one test.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::HeaderMap;
use local::functions::Instance;
use local::iam::Policies;
use local::machine::{Machine, Options};
use local::pay_keys::KeyMode;
use local::sample;
use local::sdk::SdkTable;
use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use shared::env::Env;
use shared::random;
use shared::setup::Setup;

use crate::http::{Client, Reply};
use crate::iam::POLICIES;
use crate::{logs, root};

/// The variables that let all tests run against another DynamoDB.
const DYNAMODB: [&str; 5] =
    ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// A row as DynamoDB has it.
pub type Row = HashMap<String, AttributeValue>;

/// A machine of the test's own, and what moves it.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub machine: Machine,
    client: Client,
    table: SdkTable,
    clock: Clock,
    offset_secs: Arc<AtomicU64>,
}

impl World {
    /// A machine with nothing set.
    pub async fn start() -> Self {
        Self::start_with([]).await
    }

    /// A machine with the embedded DynamoDB and its demo users, whatever the environment says.
    pub async fn start_embedded() -> Self {
        Self::start_in(Env::default(), Ipv4Addr::LOCALHOST.into(), KeyMode::default()).await
    }

    /// A machine with some variables set outside.
    pub async fn start_with<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self::start_with_keys(KeyMode::default(), variables).await
    }

    /// The same, whose merchant has these keys of WeChat Pay's.
    pub async fn start_with_keys<const N: usize>(pay_keys: KeyMode, variables: [(&str, &str); N]) -> Self {
        let mut env = outside();
        for (name, value) in variables {
            env.set(name, value);
        }
        Self::start_in(env, Ipv4Addr::LOCALHOST.into(), pay_keys).await
    }

    /// A machine at an address of its own.
    pub async fn start_at(bind: IpAddr) -> Self {
        Self::start_in(outside(), bind, KeyMode::default()).await
    }

    async fn start_in(env: Env, bind: IpAddr, pay_keys: KeyMode) -> Self {
        Self::start_as(env, bind, pay_keys, Arc::clone(&POLICIES)).await
    }

    pub(crate) async fn start_as(env: Env, bind: IpAddr, pay_keys: KeyMode, policies: Arc<Policies>) -> Self {
        logs::record();
        let offset_secs = Arc::<AtomicU64>::default();
        // It stands still but for what the test lets pass, so that no second turns at the wrong moment.
        let clock = {
            let (start, offset_secs) = (Clock::system().now(), Arc::clone(&offset_secs));
            Clock::from_fn(move || start + Duration::from_secs(offset_secs.load(Ordering::SeqCst)))
        };
        let policies = Some(policies);
        let given = Options { env, bind, clock: clock.clone(), pay_keys, policies, ..Options::default() };
        let options = Options { make_table: true, mixed: true, whole_sandbox: true, ..given };
        let machine = Machine::start(options).await.expect("the machine starts");
        let table = SdkTable::from_env(machine.env()).unwrap();
        Self { machine, client: Client::default(), table, clock, offset_secs }
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.offset_secs.fetch_add(duration.as_secs(), Ordering::SeqCst);
    }

    /// The time of this world.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// A new instance of a function, with its own memory.
    pub async fn instance(&self, function: &str) -> Instance {
        let function = self.machine.functions.find(function).expect("there is such a function");
        function.start_instance().await.expect("the function starts")
    }

    /// Calls a function through the gateway, as a mini program does.
    pub async fn call(&self, function: &str, token: Option<&str>, body: Value) -> Reply {
        let url = format!("{}/{function}", self.machine.gateway_url());
        let authorization = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        self.client.post(&url, &headers, &body).await
    }

    /// Logs in with a code.
    pub async fn login(&self, code: &str) -> Reply {
        self.call("login", None, json!({ "code": code })).await
    }

    /// Sends anything to a path of the gateway.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
        let url = format!("{}{path}", self.machine.gateway_url());
        self.client.send(method, &url, headers, body.into()).await
    }

    /// Uses one of the sandbox's controls.
    pub async fn sandbox(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/sandbox{path}", self.machine.wechat_url());
        let headers = [("content-type", "application/json")];
        let reply = self.client.send(method, &url, &headers, body.to_string().into_bytes()).await;
        assert_eq!(reply.status, 200, "{method} {path}: {:?}", reply.json);
        reply.json
    }

    /// A new person, with or without a unionid.
    pub async fn person(&self, unionid: Value) -> String {
        let user = self.sandbox("POST", "/users", json!({ "unionid": unionid })).await;
        user["user"].as_str().unwrap().to_owned()
    }

    /// `wx.login` of the default app.
    pub async fn code(&self, person: &str) -> String {
        self.code_of(person, None).await
    }

    /// `wx.login` of an app.
    pub async fn code_of(&self, person: &str, app_id: Option<&str>) -> String {
        let answer = self.sandbox("POST", "/wx.login", json!({ "user": person, "appId": app_id })).await;
        answer["code"].as_str().unwrap().to_owned()
    }

    /// A new person who is logged in: the reply to the login.
    pub async fn logged_in(&self) -> Value {
        let person = self.person(Value::Null).await;
        let reply = self.login(&self.code(&person).await).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        reply.json
    }

    /// All rows of the table.
    pub async fn rows(&self) -> Vec<Row> {
        let table = self.table();
        let scan = table.client().scan().table_name(table.name()).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.expect("the table can be read")
    }

    /// The table, as the SDK sees it.
    pub fn table(&self) -> SdkTable {
        self.table.clone()
    }

    /// Calls WeChat's API as a server does; `null` is no body.
    pub async fn wechat(&self, method: &str, path: &str, body: Value) -> Reply {
        let url = format!("{}{path}", self.machine.wechat_url());
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.client.send(method, &url, &[("content-type", "application/json")], body).await
    }

    /// The apps of the functions, as `WECHAT_APPS` has them.
    pub fn apps(&self) -> Value {
        serde_json::from_str(self.machine.env().get("WECHAT_APPS").unwrap()).unwrap()
    }

    /// What functions of this world are started with, but for some variables.
    pub fn setup<const N: usize>(&self, variables: [(&'static str, &str); N]) -> Setup {
        let mut env = self.machine.env().clone();
        for (name, value) in variables {
            env.set(name, value);
        }
        Setup::new(env, self.clock.clone()).unwrap()
    }

    /// The reply of a new instance to an event, which Lambda would end after `timeout`.
    pub async fn reply_within(&self, function: &str, event: &Value, timeout: Duration) -> Reply {
        let (instance, event) = (self.instance(function).await, event.to_string().into_bytes());
        let result = instance.invoke_within(event, self.now(), timeout).await;
        reply(&result.expect("the function answers before its timeout"))
    }

    /// Invokes a function through the Lambda Invoke API.
    pub async fn invoke(&self, function: &str, event: &Value) -> Reply {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        self.send("POST", &path, &[], event.to_string()).await
    }
}

/// How long WeChat's day lasts yet.
pub fn until_midnight_in_beijing(world: &World) -> Duration {
    const DAY: u64 = 86_400;
    let in_beijing = Timestamp::from(world.now()).as_secs() + 8 * 3600;
    Duration::from_secs(DAY - in_beijing % DAY)
}

/// The reply of a function to an event, as the gateway would read it.
pub fn reply(result: &[u8]) -> Reply {
    let reply: Value = serde_json::from_slice(result).expect("a reply is JSON");
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().expect("a header is text").parse().unwrap();
        headers.insert(axum::http::HeaderName::try_from(name).unwrap(), value);
    }
    let status = u16::try_from(reply["statusCode"].as_u64().unwrap()).unwrap();
    let body = reply["body"].as_str().unwrap_or_default().as_bytes().to_vec();
    Reply { status, headers, json: serde_json::from_slice(&body).unwrap_or_default(), body }
}

/// A sample event with another body.
pub fn event_with_body(function: &str, case: &str, body: &Value) -> Vec<u8> {
    let mut event = sample::read(&root(), function, case).expect("there is such an event");
    event["body"] = body.to_string().into();
    event.to_string().into_bytes()
}

/// What tests take from the environment: another DynamoDB, with a table for each test.
fn outside() -> Env {
    let process = Env::process();
    let mut env = Env::default();
    if process.get(DYNAMODB[0]).is_some() {
        for (name, value) in DYNAMODB.into_iter().filter_map(|name| Some((name, process.get(name)?))) {
            env.set(name, value);
        }
        env.set("TABLE_NAME", format!("test-{}", random::base64url::<12>()));
    }
    env
}
