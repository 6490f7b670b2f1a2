//! WeChat, DynamoDB and Secrets Manager with one answer to each call: as much as it takes to log a known user in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::tls::{Authority, TlsServer};

const TABLE: &str = "wechat-functions";
const APPS: &str = r#"[{"appId":"wx0123456789abcdef","appSecret":"0123456789abcdef","kind":"mini-program"}]"#;
const SEAL_KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const USER_ID: &str = "u_0123456789abcdefghijkl";
/// In the year 2100: no session here expires.
const FAR_FUTURE: &str = "4102444800";

/// The upstreams, each with a TLS server of its own.
#[derive(Debug)]
pub struct Upstreams {
    wechat: TlsServer,
    dynamodb: TlsServer,
    secrets_manager: TlsServer,
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
    certificate: tempfile::NamedTempFile,
}

/// Where a function finds its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// In its variables.
    Variables,
    /// In Secrets Manager.
    SecretsManager,
}

/// What a function has asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections, by upstream.
    pub connections: BTreeMap<&'static str, usize>,
    /// Calls, by name.
    pub calls: BTreeMap<String, usize>,
}

impl Upstreams {
    /// Starts them; `rtt` is how far away they are, beyond this machine.
    pub async fn start(rtt: Duration) -> Self {
        let (authority, calls) = (Authority::default(), Arc::default());
        let server = async |name| {
            let log = Log { name, calls: Arc::clone(&calls) };
            TlsServer::start(&authority, Router::new().fallback(answer).with_state(log), rtt).await
        };
        let certificate = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(certificate.path(), authority.pem()).unwrap();
        Self {
            wechat: server("wechat").await,
            dynamodb: server("dynamodb").await,
            secrets_manager: server("secretsmanager").await,
            calls,
            certificate,
        }
    }

    /// The environment of a function that uses them.
    pub fn variables(&self, secrets: Secrets) -> BTreeMap<String, String> {
        let common = [
            ("TABLE_NAME", TABLE.to_owned()),
            ("WECHAT_API_URLS", self.wechat.url()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets_manager.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_SESSION_TOKEN", "x".repeat(800)), // About as long as those of Lambda.
            ("SSL_CERT_FILE", self.certificate.path().to_str().unwrap().to_owned()),
        ];
        let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}");
        let secrets = match secrets {
            Secrets::Variables => [("WECHAT_APPS", APPS.to_owned()), ("SEAL_KEY", SEAL_KEY.to_owned())],
            Secrets::SecretsManager => [("WECHAT_APPS_SECRET_ARN", arn("apps")), ("SEAL_KEY_SECRET_ARN", arn("seal"))],
        };
        common.into_iter().chain(secrets).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What has come in since the last time this was asked.
    pub fn take_traffic(&self) -> Traffic {
        let servers =
            [("wechat", &self.wechat), ("dynamodb", &self.dynamodb), ("secretsmanager", &self.secrets_manager)];
        let connections = servers.map(|(name, server)| (name, server.take_connections()));
        Traffic {
            connections: connections.into_iter().filter(|(_, count)| *count > 0).collect(),
            calls: std::mem::take(&mut *self.calls.lock().unwrap()),
        }
    }
}

#[derive(Clone)]
struct Log {
    name: &'static str,
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
}

async fn answer(State(log): State<Log>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").map_or_else(|| uri.path(), |target| target.to_str().unwrap());
    let call = target.rsplit(['.', '/']).next().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (content_type, answer) = match log.name {
        "wechat" => ("text/plain", json!({ "openid": "oBench", "session_key": "tiihtNczf5v6AKRyjwEUhQ==" })),
        "dynamodb" => ("application/x-amz-json-1.0", dynamodb(&call, &body)),
        _ => ("application/x-amz-json-1.1", json!({ "SecretString": secret(&body) })),
    };
    *log.calls.lock().unwrap().entry(call).or_default() += 1;
    ([(header::CONTENT_TYPE, content_type)], answer.to_string())
}

fn secret(body: &Value) -> &'static str {
    if body["SecretId"].as_str().unwrap().ends_with(":apps") { APPS } else { SEAL_KEY }
}

fn dynamodb(call: &str, body: &Value) -> Value {
    match call {
        "BatchGetItem" => {
            let mut identity = body["RequestItems"][TABLE]["Keys"][0].clone();
            identity["userId"] = json!({ "S": USER_ID });
            json!({ "Responses": { TABLE: [identity] }, "UnprocessedKeys": {} })
        }
        "GetItem" if body["Key"]["sk"]["S"] == "USER" => {
            json!({ "Item": { "userId": { "S": USER_ID }, "createdAt": { "N": "1" } } })
        }
        "GetItem" => json!({ "Item": {
            "userId": { "S": USER_ID },
            "appId": { "S": "wx0123456789abcdef" },
            "openId": { "S": "oBench" },
            "expiresAt": { "N": FAR_FUTURE },
        } }),
        _ => json!({}),
    }
}
