//! WeChat, DynamoDB and Secrets Manager with one answer to each call: as much as it takes for the sample event of each
//! function.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::seal::Sealer;
use shared::secret::Secret;

use crate::file::TemporaryFile;
use crate::tls::{Authority, TlsServer};
use crate::wechatpay;

const WECHAT: &str = "wechat";
const DYNAMODB: &str = "dynamodb";
const SECRETS_MANAGER: &str = "secretsmanager";
const WECHATPAY: &str = "wechatpay";

const TABLE: &str = "wechat-functions";
const APPS: &str = r#"[{"appId":"wx0123456789abcdef","appSecret":"0123456789abcdef","kind":"mini-program"},{"appId":"wx1123456789abcdef","appSecret":"1123456789abcdef","kind":"official-account","tickets":["wx_card","jsapi"]}]"#;
const SEAL_KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const USER_ID: &str = "u_0123456789abcdefghijkl";
/// In the year 2100: no session here expires.
const FAR_FUTURE: &str = "4102444800";
/// The same in milliseconds: no token here is due.
const FAR_FUTURE_MS: &str = "4102444800000";

/// The upstreams, each with a TLS server of its own.
#[derive(Debug)]
pub struct Upstreams {
    wechat: TlsServer,
    dynamodb: TlsServer,
    secrets_manager: TlsServer,
    wechatpay: TlsServer,
    calls: Arc<Mutex<BTreeMap<String, Calls>>>,
    certificate: TemporaryFile,
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
        let certificate = TemporaryFile::new(&authority.pem());
        Self {
            wechat: server(WECHAT).await,
            dynamodb: server(DYNAMODB).await,
            secrets_manager: server(SECRETS_MANAGER).await,
            wechatpay: server(WECHATPAY).await,
            calls,
            certificate,
        }
    }

    /// The environment of a function that uses them.
    pub fn variables(&self, secrets: Secrets) -> BTreeMap<String, String> {
        let common = [
            ("TABLE_NAME", TABLE.to_owned()),
            ("WECHAT_API_URLS", self.wechat.url()),
            ("WECHATPAY_API_URLS", self.wechatpay.url()),
            ("PAY_NOTIFY_URL", "https://shop.example/pay-notify".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.secrets_manager.url()),
            ("TOKEN_REFRESHER", "token-refresher".to_owned()), // Nobody invokes it: there is a token.
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_SESSION_TOKEN", "x".repeat(800)), // About as long as those of Lambda.
            ("SSL_CERT_FILE", self.certificate.path().to_str().unwrap().to_owned()),
        ];
        let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}");
        let secrets = match secrets {
            Secrets::Variables => [
                ("WECHAT_APPS", APPS.to_owned()),
                ("SEAL_KEY", SEAL_KEY.to_owned()),
                ("WECHATPAY", wechatpay::merchant()),
            ],
            Secrets::SecretsManager => [
                ("WECHAT_APPS_SECRET_ARN", arn("apps")),
                ("SEAL_KEY_SECRET_ARN", arn("seal")),
                ("WECHATPAY_SECRET_ARN", arn("pay")),
            ],
        };
        common.into_iter().chain(secrets).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn servers(&self) -> [(&'static str, &TlsServer); 4] {
        [
            (WECHAT, &self.wechat),
            (WECHATPAY, &self.wechatpay),
            (DYNAMODB, &self.dynamodb),
            (SECRETS_MANAGER, &self.secrets_manager),
        ]
    }

    /// What has come in since the last time this was asked.
    pub fn take_traffic(&self) -> Traffic {
        let connections = self.servers().map(|(name, server)| (name, server.take_connections()));
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        Traffic {
            connections: connections.into_iter().filter(|(_, count)| *count > 0).collect(),
            calls: calls.into_iter().map(|(name, calls)| (name, calls.count)).collect(),
        }
    }

    /// The last request of each call: `baseUrl`, `head` and `body` as they were sent, and `target` where there is one.
    pub fn recorded(&self) -> Value {
        let urls: BTreeMap<_, _> = self.servers().into_iter().map(|(name, server)| (name, server.url())).collect();
        let calls = self.calls.lock().unwrap();
        let requests = calls.values().map(|Calls { last: (name, parts, body), .. }| {
            let mut head = format!("{} {} HTTP/1.1\r\n", parts.method, parts.uri);
            for (name, value) in &parts.headers {
                head += &format!("{name}: {}\r\n", value.to_str().unwrap());
            }
            let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
            let body = std::str::from_utf8(body).unwrap();
            json!({ "baseUrl": urls[name], "head": head + "\r\n", "body": body, "target": target })
        });
        requests.collect()
    }
}

#[derive(Debug)]
struct Calls {
    count: usize,
    last: (&'static str, Parts, Bytes),
}

#[derive(Clone)]
struct Log {
    name: &'static str,
    calls: Arc<Mutex<BTreeMap<String, Calls>>>,
}

async fn answer(State(log): State<Log>, parts: Parts, body: Bytes) -> impl IntoResponse {
    let target = parts.headers.get("x-amz-target").map_or_else(|| parts.uri.path(), |target| target.to_str().unwrap());
    let call = target.rsplit(['.', '/']).next().unwrap().to_owned();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (content_type, answer) = match log.name {
        WECHAT => ("text/plain", wechat(&call)),
        WECHATPAY => ("application/json", wechatpay::answer(&call, &json)),
        DYNAMODB => ("application/x-amz-json-1.0", dynamodb(&call, &json)),
        _ => ("application/x-amz-json-1.1", json!({ "SecretString": secret(&json) })),
    };
    let answer = answer.to_string();
    let signature = if log.name == WECHATPAY { wechatpay::signed(&answer) } else { HeaderMap::new() };
    let mut calls = log.calls.lock().unwrap();
    let count = calls.get(&call).map_or(0, |calls| calls.count) + 1;
    calls.insert(call, Calls { count, last: (log.name, parts, body) });
    (signature, [(header::CONTENT_TYPE, content_type)], answer)
}

fn wechat(call: &str) -> Value {
    match call {
        "getuserphonenumber" => json!({ "errcode": 0, "phone_info": {
            "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
        } }),
        _ => json!({ "openid": "oBench", "session_key": "tiihtNczf5v6AKRyjwEUhQ==" }),
    }
}

fn secret(body: &Value) -> String {
    match body["SecretId"].as_str().unwrap().rsplit(':').next().unwrap() {
        "apps" => APPS.to_owned(),
        "pay" => wechatpay::merchant(),
        _ => SEAL_KEY.to_owned(),
    }
}

fn dynamodb(call: &str, body: &Value) -> Value {
    match call {
        "BatchGetItem" => {
            let key = &body["RequestItems"][TABLE]["Keys"][0];
            let mut row = item(key["pk"]["S"].as_str().unwrap());
            row["pk"] = key["pk"].clone();
            row["sk"] = key["sk"].clone();
            json!({ "Responses": { TABLE: [row] }, "UnprocessedKeys": {} })
        }
        // Nobody has asked for a refund yet.
        "GetItem" if body["Key"]["sk"]["S"].as_str().unwrap().starts_with("REFUND#") => json!({}),
        "GetItem" => json!({ "Item": item(body["Key"]["pk"]["S"].as_str().unwrap()) }),
        // Who claims a key reads what was written.
        "UpdateItem" if body["Key"]["sk"]["S"].as_str().unwrap().starts_with("IDEMPOTENCY#") => {
            let values = &body["ExpressionAttributeValues"];
            json!({ "Attributes": {
                "outTradeNo": values[":outTradeNo"],
                "requestDigest": values[":digest"],
                "claimedAtMs": values[":nowMs"],
            } })
        }
        _ => json!({}),
    }
}

/// A row as the functions write them.
fn item(pk: &str) -> Value {
    match pk.split('#').next().unwrap() {
        "ORDER" if pk.ends_with(wechatpay::PAID_OUT_TRADE_NO) => {
            let mut paid = item("ORDER");
            paid["outTradeNo"] = json!({ "S": wechatpay::PAID_OUT_TRADE_NO });
            paid["totalFen"] = json!({ "N": "3000" });
            paid["tradeState"] = json!({ "S": "SUCCESS" });
            paid["transactionId"] = json!({ "S": wechatpay::TRANSACTION_ID });
            paid["paidAt"] = json!({ "N": "1" });
            paid
        }
        "ORDER" => json!({
            "outTradeNo": { "S": wechatpay::OUT_TRADE_NO },
            "userId": { "S": USER_ID },
            "appId": { "S": "wx0123456789abcdef" },
            "mchId": { "S": wechatpay::MCH_ID },
            "totalFen": { "N": wechatpay::TOTAL_FEN.to_string() },
            "lines": { "L": [] },
            "tradeState": { "S": "NOTPAY" },
            "timeExpire": { "N": FAR_FUTURE },
            "prepayBody": { "S": "{}" },
            "prepayAskedAtMs": { "N": "1" },
            "queriedAtMs": { "N": now_ms() },
        }),
        "PRODUCT" => json!({
            "sku": { "S": pk.split_once('#').unwrap().1 },
            "name": { "S": "贴纸" },
            "priceFen": { "N": "100" },
        }),
        "CARD" => json!({ "codes": { "S": "wechat" } }),
        // The certificates of WeChat Pay were fetched a moment ago.
        "PAYKEY" => json!({ "refreshedAtMs": { "N": now_ms() } }),
        "TOKEN" => {
            let sealer = Sealer::parse(&Secret::new(SEAL_KEY)).expect("the key is long enough");
            let sealed = sealer.seal(&[b'x'; 136], &format!("{pk}\nTOKEN\nsealed"));
            json!({
                "version": { "N": "2" },
                "sealed": { "B": STANDARD.encode(sealed) },
                "obtainedAtMs": { "N": "1" },
                "expiresAtMs": { "N": FAR_FUTURE_MS },
            })
        }
        "USER" => json!({ "userId": { "S": USER_ID }, "createdAt": { "N": "1" } }),
        _ => json!({
            "userId": { "S": USER_ID },
            "appId": { "S": "wx0123456789abcdef" },
            "openId": { "S": "oBench" },
            "sessionKey": { "B": "AA==" },
            "expiresAt": { "N": FAR_FUTURE },
        }),
    }
}

/// WeChat Pay was asked a moment ago, so it is not asked now.
fn now_ms() -> String {
    Clock::system().moment().as_millis().to_string()
}
