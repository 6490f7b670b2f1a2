//! A notification: what WeChat Pay tells the merchant, encrypted in an envelope. Source: 支付成功回调通知.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::random;

use super::beijing_time;
use super::tamper::Tamper;

/// What the event of a payment is called.
pub(crate) const TRANSACTION_SUCCESS: &str = "TRANSACTION.SUCCESS";

/// What is told.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    /// The same whenever it is sent again: 36 characters.
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) event_type: String,
    pub(crate) original_type: String,
    pub(crate) resource: Value,
}

impl Notification {
    pub(crate) fn new(event_type: &str, original_type: &str, resource: Value, now: Timestamp) -> Self {
        let (event_type, original_type) = (event_type.to_owned(), original_type.to_owned());
        Self { id: event_id(), created_at: now, event_type, original_type, resource }
    }

    /// The body, encrypted anew.
    pub(crate) fn envelope(&self, api_v3: &str, tamper: Option<Tamper>) -> Value {
        let mut resource = self.resource.clone();
        if let Some(tamper) = tamper {
            tamper.change(&mut resource);
        }
        json!({
            "id": self.id,
            "create_time": beijing_time(self.created_at),
            "resource_type": "encrypt-resource",
            "event_type": self.event_type,
            "summary": summary(&self.event_type),
            "resource": encrypted(&resource.to_string(), &self.original_type, api_v3, tamper),
        })
    }
}

/// The `resource` of an envelope.
pub(crate) fn encrypted(plaintext: &str, original_type: &str, api_v3: &str, tamper: Option<Tamper>) -> Value {
    let api_v3 = if tamper == Some(Tamper::Key) { random::alphanumeric(32) } else { api_v3.to_owned() };
    let (nonce, associated_data) = (random::alphanumeric(NONCE_LEN), original_type);
    let named = match (tamper, associated_data) {
        (Some(Tamper::Aad), "certificate") => "transaction",
        (Some(Tamper::Aad), _) => "certificate",
        _ => associated_data,
    };
    let algorithm = if tamper == Some(Tamper::Algorithm) { "AEAD_SM4_GCM" } else { "AEAD_AES_256_GCM" };
    json!({
        "original_type": original_type,
        "algorithm": algorithm,
        "ciphertext": STANDARD.encode(encrypt(plaintext, &api_v3, &nonce, associated_data)),
        "associated_data": named,
        "nonce": nonce,
    })
}

#[expect(clippy::expect_used, reason = "key and nonce are made here, and as long as they have to be")]
fn encrypt(plaintext: &str, api_v3: &str, nonce: &str, associated_data: &str) -> Vec<u8> {
    let key = UnboundKey::new(&AES_256_GCM, api_v3.as_bytes()).expect("the key has 32 bytes");
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).expect("the nonce has 12 bytes");
    let mut bytes = plaintext.as_bytes().to_vec();
    let aad = Aad::from(associated_data.as_bytes());
    LessSafeKey::new(key).seal_in_place_append_tag(nonce, aad, &mut bytes).expect("a short text can be sealed");
    bytes
}

fn summary(event_type: &str) -> &'static str {
    match event_type {
        TRANSACTION_SUCCESS => "支付成功",
        "REFUND.SUCCESS" => "退款成功",
        "REFUND.ABNORMAL" => "退款异常",
        "REFUND.CLOSED" => "退款关闭",
        _ => "通知",
    }
}

/// 36 characters, like a UUID.
pub(crate) fn event_id() -> String {
    crate::functions::request_id()
}
