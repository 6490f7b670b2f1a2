//! A merchant of WeChat Pay's, who signs, verifies and decrypts by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::random;
use tokio::net::TcpListener;

use crate::http::Client;
use crate::patience::until;
use crate::world::World;

/// The algorithm's identifier, which comes before an RSA key of 2048 bits in an SPKI.
const SPKI_PREFIX_LEN: usize = 24;

/// What WeChat Pay answers or sends.
#[derive(Clone, Debug)]
pub struct Message {
    /// Of an answer.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The very bytes.
    pub body: Vec<u8>,
}

impl Message {
    /// The body, `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `code` of a refusal, after its status.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// A header's text, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The merchant that `WECHATPAY` is about.
#[derive(Debug)]
pub struct Merchant {
    /// The value of `WECHATPAY`.
    pub config: Value,
    key: RsaKeyPair,
    client: Client,
    url: String,
}

impl Merchant {
    /// The merchant of a world.
    pub fn of(world: &World) -> Self {
        let config: Value = serde_json::from_str(world.machine.env().get("WECHATPAY").unwrap()).unwrap();
        let key = RsaKeyPair::from_pkcs8(&der(config["privateKey"].as_str().unwrap())).unwrap();
        let url = world.machine.sandbox_url().unwrap().to_owned();
        Self { config, key, client: Client::default(), url }
    }

    /// A text of `WECHATPAY`.
    pub fn text(&self, name: &str) -> &str {
        self.config[name].as_str().unwrap()
    }

    /// The signature of a message, as base64.
    pub fn sign(&self, message: &str) -> String {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        STANDARD.encode(signature)
    }

    /// The `Authorization` of a request.
    pub fn authorization(&self, method: &str, path: &str, body: &str, time: Timestamp) -> String {
        let (time, nonce) = (time.as_secs(), random::alphanumeric(32));
        let signature = self.sign(&request_message(method, path, &time.to_string(), &nonce, body));
        let (mch_id, serial_no) = (self.text("mchId"), self.text("serialNo"));
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mch_id}\",nonce_str=\"{nonce}\",signature=\"{signature}\",timestamp=\"{time}\",serial_no=\"{serial_no}\""
        )
    }

    /// Calls WeChat Pay as it should be called, asking for a signature of the public key.
    pub async fn call(&self, world: &World, method: &str, path: &str, body: &str) -> Message {
        let authorization = self.authorization(method, path, body, world.now().into());
        let headers = [
            ("accept", "application/json"),
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("wechatpay-serial", self.text("publicKeyId")),
        ];
        self.send(method, path, &headers, body).await
    }

    /// Sends anything to WeChat Pay.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Message {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, headers, body) = self.client.forward(request.body(body.as_bytes().to_vec()).unwrap()).await;
        Message { status: status.as_u16(), headers, body }
    }

    /// Whether WeChat Pay's public key has signed a message, and its headers say so.
    pub fn trusts(&self, message: &Message) -> bool {
        message.header("wechatpay-serial") == self.text("publicKeyId")
            && message.header("wechatpay-signature-type") == "WECHATPAY2-SHA256-RSA2048"
            && is_signed(&public_key(self.text("publicKey")), message)
    }

    /// What is encrypted in a notification.
    pub fn open(&self, message: &Message) -> Option<Value> {
        open(self.text("apiV3Key"), &message.json()["resource"])
    }

    /// What `wx.requestPayment` takes.
    pub fn payment(&self, app_id: &str, prepay_id: &str, time: Timestamp) -> Value {
        let (time, nonce, package) =
            (time.as_secs().to_string(), random::alphanumeric(32), format!("prepay_id={prepay_id}"));
        let signature = self.sign(&payment_message(app_id, &time, &nonce, &package));
        json!({ "timeStamp": time, "nonceStr": nonce, "package": package, "signType": "RSA", "paySign": signature })
    }
}

/// What is signed of a request.
pub fn request_message(method: &str, path: &str, time: &str, nonce: &str, body: &str) -> String {
    [method, path, time, nonce, body].map(|line| format!("{line}\n")).concat()
}

/// What is signed for `wx.requestPayment`.
pub fn payment_message(app_id: &str, time: &str, nonce: &str, package: &str) -> String {
    [app_id, time, nonce, package].map(|line| format!("{line}\n")).concat()
}

/// Whether a key has signed a message.
pub fn is_signed(public_key: &[u8], message: &Message) -> bool {
    let head = format!("{}\n{}\n", message.header("wechatpay-timestamp"), message.header("wechatpay-nonce"));
    let signed = [head.as_bytes(), &message.body, b"\n"].concat();
    let signature = STANDARD.decode(message.header("wechatpay-signature"));
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
    signature.is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
}

/// What is encrypted in a `resource`, by an APIv3 key.
pub fn open(api_v3_key: &str, resource: &Value) -> Option<Value> {
    serde_json::from_slice(&open_bytes(api_v3_key, resource)?).ok()
}

/// The same, whatever it is.
pub fn open_bytes(api_v3_key: &str, resource: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| resource[name].as_str();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, api_v3_key.as_bytes()).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(text("nonce")?.as_bytes()).ok()?;
    let aad = Aad::from(text("associated_data").unwrap_or_default());
    let mut bytes = STANDARD.decode(text("ciphertext")?).ok()?;
    Some(key.open_in_place(nonce, aad, &mut bytes).ok()?.to_vec())
}

/// The RSA key of an SPKI in PEM.
pub fn public_key(pem: &str) -> Vec<u8> {
    der(pem).split_off(SPKI_PREFIX_LEN)
}

/// What is in a PEM.
pub fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

/// A server that notifications are sent to.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// Where it is.
    pub url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Inbox {
    /// One that answers with these statuses, one after the other, and then with 204.
    pub async fn start(answers: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pay-notify", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let inbox = Self { url, messages: Arc::default(), answers };
        let routes = Router::new().fallback(receive).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        inbox
    }

    /// What has come so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits for so many messages.
    pub async fn wait_for(&self, count: usize) -> Vec<Message> {
        until(&format!("{count} messages"), async || self.messages.lock().unwrap().len() >= count).await;
        self.messages()
    }
}

async fn receive(
    State(inbox): State<Inbox>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let status = inbox.answers.lock().unwrap().pop_front().unwrap_or(204);
    inbox.messages.lock().unwrap().push(Message { status, headers, body: body.to_vec() });
    // Where a redirect would go, if anybody followed it.
    (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")])
}
