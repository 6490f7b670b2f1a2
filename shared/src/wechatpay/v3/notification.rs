//! What WeChat Pay tells on its own account: payments and refunds. Source: WeChat Pay v3, "Payment notification".

use std::fmt;

use lambda_http::http::HeaderMap;
use serde::Deserialize;

use super::{NotVerified, transaction};
use crate::clock::Clock;
use crate::json::Object;
use crate::wechatpay::{ApiV3Key, Keyring, Merchant, Trade, Verified};

/// The one cipher.
const AEAD_AES_256_GCM: &str = "AEAD_AES_256_GCM";

/// Opens notifications.
#[derive(Debug)]
pub struct Notifications {
    keyring: Keyring,
    key: ApiV3Key,
    clock: Clock,
}

/// A notification that WeChat Pay has signed and encrypted. It holds personal data, so it cannot be printed.
pub struct Notification {
    id: String,
    event_type: String,
    original_type: String,
    plaintext: Verified<Vec<u8>>,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Object<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    original_type: Option<String>,
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
    pub fn to(merchant: &Merchant, clock: &Clock) -> Self {
        Self::new(merchant.keyring().clone(), merchant.api_v3_key().clone(), clock.clone())
    }

    /// Opens a notification: nothing of the body is looked at before its signature is verified.
    ///
    /// # Errors
    ///
    /// If it is not WeChat Pay's, or was kept for a while, or does not decrypt.
    pub fn open(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notification, NotVerified> {
        let body = self.keyring.verify(headers, body, self.clock.timestamp())?;
        decrypt(&body, &self.key)
    }
}

/// Of the envelope and the resource, both are signed: the one directly, the other within.
fn decrypt(body: &Verified<&[u8]>, key: &ApiV3Key) -> Result<Notification, NotVerified> {
    let envelope = serde_json::from_slice(body).map_err(|_| NotVerified::Malformed)?;
    let Object(Envelope { id, event_type, resource: Object(resource) }) = envelope;
    if resource.algorithm != AEAD_AES_256_GCM {
        return Err(NotVerified::Algorithm);
    }
    let associated_data = resource.associated_data.unwrap_or_default();
    let plaintext = body.read(|_| key.open(&resource.ciphertext, &resource.nonce, &associated_data));
    let plaintext = plaintext.ok_or(NotVerified::Undecryptable)?;
    Ok(Notification { id, event_type, original_type: resource.original_type.unwrap_or_default(), plaintext })
}

impl Notification {
    /// The id of the event. The same event may come several times, and at the same moment.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What happened, such as `TRANSACTION.SUCCESS` or `REFUND.SUCCESS`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// What the plaintext is, such as `transaction` or `refund`; empty where it is not told.
    pub fn original_type(&self) -> &str {
        &self.original_type
    }

    /// What was encrypted.
    pub fn plaintext(&self) -> &Verified<Vec<u8>> {
        &self.plaintext
    }

    /// The payment that it tells of, if it tells of one.
    pub fn trade(&self) -> Option<Verified<Trade>> {
        self.plaintext.read(|plaintext| transaction::trade(plaintext))
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification")
    }
}
