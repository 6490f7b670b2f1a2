//! What WeChat Pay tells on its own account: payments and refunds. Source: WeChat Pay v3, "Payment notification".

use std::fmt;

use lambda_http::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::{AEAD_AES_256_GCM, NotVerified, refund, transaction};
use crate::clock::Clock;
use crate::fen::Fen;
use crate::json::Object;
use crate::wechatpay::{ApiV3Key, Keyring, Named, RefundResult, Trade, Verified, Verifier};

/// Opens notifications.
#[derive(Debug)]
pub struct Notifications {
    keyring: Keyring,
    key: ApiV3Key,
    clock: Clock,
}

/// A notification that WeChat Pay has signed and encrypted. It holds personal data, so it cannot be printed.
pub struct Notification(Verified<Content>);

/// The content of a notification.
struct Content {
    id: String,
    event_type: String,
    plaintext: Vec<u8>,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Object<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    associated_data: Option<String>,
    nonce: String,
}

impl Notifications {
    /// Of those who sign with these keys and encrypt with that one.
    pub fn new(keyring: Keyring, key: ApiV3Key, clock: Clock) -> Self {
        Self { keyring, key, clock }
    }

    /// To this merchant.
    pub fn to(merchant: &Verifier, clock: &Clock) -> Self {
        Self::new(merchant.keyring().clone(), merchant.api_v3_key().clone(), clock.clone())
    }

    /// Opens a notification: nothing of the body is looked at before its signature is verified.
    ///
    /// # Errors
    ///
    /// If it is not WeChat Pay's, or was kept for a while, or does not decrypt.
    pub fn open(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notification, NotVerified> {
        let body = self.keyring.verify(headers, body, self.clock.timestamp())?;
        body.try_read(|body| decrypt(body, &self.key)).map(Notification)
    }
}

fn decrypt(body: &[u8], key: &ApiV3Key) -> Result<Content, NotVerified> {
    let envelope = serde_json::from_slice(body).map_err(|_| NotVerified::Malformed)?;
    let Object(Envelope { id, event_type, resource: Object(resource) }) = envelope;
    if resource.algorithm != AEAD_AES_256_GCM {
        return Err(NotVerified::Algorithm);
    }
    let associated_data = resource.associated_data.unwrap_or_default();
    let plaintext = key.open(&resource.ciphertext, &resource.nonce, &associated_data);
    Ok(Content { id, event_type, plaintext: plaintext.ok_or(NotVerified::Undecryptable)? })
}

impl Notification {
    /// The id of the event. The same event may come several times, and at the same moment.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What happened, such as `TRANSACTION.SUCCESS` or `REFUND.SUCCESS`.
    pub fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// What was encrypted.
    pub fn plaintext(&self) -> &[u8] {
        &self.0.plaintext
    }

    /// What it is about, as far as it says so: a payment, a refund, or something that is not known yet.
    pub fn named(&self) -> Named {
        let plaintext: Value = serde_json::from_slice(&self.0.plaintext).unwrap_or_default();
        let text = |name: &str| plaintext.get(name).and_then(Value::as_str).map(str::to_owned);
        Named {
            out_trade_no: text("out_trade_no"),
            out_refund_no: text("out_refund_no"),
            transaction_id: text("transaction_id"),
            total: plaintext.pointer("/amount/total").and_then(Value::as_u64).map(Fen::new),
            currency: plaintext.pointer("/amount/currency").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// The payment that it tells of, if it tells of one.
    pub fn trade(&self) -> Option<Verified<Trade>> {
        self.0.read(|content| transaction::trade(&content.plaintext))
    }

    /// The refund that it tells of, if it tells of one.
    pub fn refund(&self) -> Option<Verified<RefundResult>> {
        self.0.read(|content| refund::notified(&content.plaintext))
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
    const NONCE: &str = "uluk4a9R25RW";

    fn encrypt(plaintext: &[u8], associated_data: &str) -> String {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, KEY.as_bytes()).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(NONCE.as_bytes()).unwrap();
        let mut body = plaintext.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(associated_data.as_bytes()), &mut body).unwrap();
        STANDARD.encode(body)
    }

    fn resource(ciphertext: String) -> Value {
        json!({ "algorithm": AEAD_AES_256_GCM, "ciphertext": ciphertext, "nonce": NONCE, "new": 1 })
    }

    /// What becomes of a body that is signed.
    fn opened(body: &[u8]) -> Result<Vec<u8>, NotVerified> {
        decrypt(body, &ApiV3Key::new(KEY).unwrap()).map(|content| content.plaintext)
    }

    fn opened_with(resource: Value) -> Result<Vec<u8>, NotVerified> {
        opened(json!({ "id": "1", "event_type": "X", "resource": resource }).to_string().as_bytes())
    }

    #[test]
    fn associated_data_may_be_absent_null_or_empty() {
        for associated_data in [None, Some(json!(null)), Some(json!(""))] {
            let mut resource = resource(encrypt(b"x", ""));
            associated_data.into_iter().for_each(|data| resource["associated_data"] = data);
            assert_eq!(opened_with(resource).unwrap(), b"x");
        }
    }

    #[test]
    fn what_does_not_decrypt_is_not_verified() {
        let good = || resource(encrypt(b"x", ""));
        for (field, value, expected) in [
            ("algorithm", "AEAD_SM4_GCM", NotVerified::Algorithm),
            ("algorithm", "", NotVerified::Algorithm),
            ("nonce", "", NotVerified::Undecryptable),
            ("nonce", "uluk4a9R25R", NotVerified::Undecryptable),
            ("nonce", "uluk4a9R25RWx", NotVerified::Undecryptable),
            ("nonce", "uluk4a9R25RX", NotVerified::Undecryptable),
            ("associated_data", "transaction", NotVerified::Undecryptable),
            ("ciphertext", "", NotVerified::Undecryptable),
            ("ciphertext", "AAAA", NotVerified::Undecryptable),
            ("ciphertext", "not base64", NotVerified::Undecryptable),
        ] {
            let mut resource = good();
            resource[field] = value.into();
            assert_eq!(opened_with(resource).unwrap_err(), expected, "{field} {value:?}");
        }
        let padded = encrypt(b"x", "").trim_end_matches('=').to_owned();
        assert_eq!(opened_with(resource(padded)).unwrap_err(), NotVerified::Undecryptable);
    }

    #[test]
    fn a_body_that_is_not_as_documented_is_not_verified() {
        for body in [
            &b""[..],
            b"\xff",
            b"null",
            b"[]",
            b"{}",
            b"<xml><return_code>SUCCESS</return_code></xml>",
            br#"{"id":"1","event_type":"X"}"#,
            br#"{"id":"1","event_type":"X","resource":["transaction","AEAD_AES_256_GCM","","",""]}"#,
            br#"["1","X",{"algorithm":"AEAD_AES_256_GCM","ciphertext":"","nonce":""}]"#,
            br#"{"id":1,"event_type":"X","resource":{"algorithm":"AEAD_AES_256_GCM","ciphertext":"","nonce":""}}"#,
        ] {
            assert_eq!(opened(body).unwrap_err(), NotVerified::Malformed, "{body:?}");
        }
    }
}
