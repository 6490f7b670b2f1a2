//! How answers and notifications are verified. Source: WeChat Pay v3, "Verify a signature".

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::HeaderMap;

use crate::clock::Timestamp;
use crate::wechatpay::{Keyring, PublicKeyId};

const TIMESTAMP: &str = "wechatpay-timestamp";
const NONCE: &str = "wechatpay-nonce";
const SIGNATURE: &str = "wechatpay-signature";
const SERIAL: &str = "wechatpay-serial";
const SIGNATURE_TYPE: &str = "wechatpay-signature-type";

/// The one kind of signature that is taken. The header that names it may be absent.
const RSA: &str = "WECHATPAY2-SHA256-RSA2048";

/// How far a timestamp may be from now, either way, in seconds.
const WINDOW_SECS: u64 = 300;

/// What the signature begins with when WeChat Pay probes whether signatures are checked.
const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// Why something is not taken for WeChat Pay's. For the log only: whoever sent it learns nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// Another cipher than AES-256-GCM.
    #[error("encrypted in a way that is not known")]
    Algorithm,
    /// A signed notification that is not as documented.
    #[error("signed, but not as documented")]
    Malformed,
    /// The name is that of a public key of WeChat Pay's, and none is configured.
    #[error("signed with the public key {}, and WECHATPAY has none", .0.as_str())]
    MissingPublicKey(PublicKeyId),
    /// A header is not there, or has another value than visible ASCII.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A signature that is wrong on purpose: WeChat Pay looks whether it is taken.
    #[error("a probe of WeChat Pay's, with a wrong signature")]
    Probe,
    /// A header is there twice.
    #[error("header {0} is repeated")]
    Repeated(&'static str),
    /// The signature is not that of the body.
    #[error("the signature is wrong")]
    Signature,
    /// The signature is of another kind than RSA.
    #[error("a signature of a kind that is not known")]
    SignatureType,
    /// The timestamp is not a number.
    #[error("the timestamp is not a number")]
    Timestamp,
    /// Signed, but what is in it does not decrypt.
    #[error("signed, but it does not decrypt")]
    Undecryptable,
    /// The serial is that of no key that is configured, and of no certificate that counts.
    #[error("signed with a key that is not known")]
    UnknownKey,
    /// The name is that of a public key of WeChat Pay's, and not of the one that is configured.
    #[error("signed with the public key {}, which is not the one of WECHATPAY", .0.as_str())]
    UnknownPublicKey(PublicKeyId),
    /// The timestamp is not of now: somebody may have kept the message.
    #[error("the timestamp is more than 300 s from now")]
    Window,
}

/// What WeChat Pay has signed. Only what checks signatures can make one.
#[derive(Clone)]
pub struct Verified<T>(T);

/// It may hold personal data.
impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified(..)")
    }
}

impl<T> Verified<T> {
    /// What is made from nothing but the signed value is signed as well.
    pub(super) fn read<U>(&self, read: impl FnOnce(&T) -> Option<U>) -> Option<Verified<U>> {
        read(&self.0).map(Verified)
    }

    /// As [`Self::read`], where it may fail for several reasons.
    pub(super) fn try_read<U, E>(&self, read: impl FnOnce(&T) -> Result<U, E>) -> Result<Verified<U>, E> {
        read(&self.0).map(Verified)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Keyring {
    /// Checks the signature of a body, of which not one byte may have changed on its way.
    ///
    /// # Errors
    ///
    /// If it is not one that WeChat Pay made within the last five minutes.
    pub fn verify<B: AsRef<[u8]>>(
        &self,
        headers: &HeaderMap,
        body: B,
        now: Timestamp,
    ) -> Result<Verified<B>, NotVerified> {
        let timestamp = required(headers, TIMESTAMP)?;
        let nonce = required(headers, NONCE)?;
        let signature = required(headers, SIGNATURE)?;
        let serial = required(headers, SERIAL)?;
        if optional(headers, SIGNATURE_TYPE)?.is_some_and(|kind| kind != RSA) {
            return Err(NotVerified::SignatureType);
        }
        let sent_at = seconds(timestamp).ok_or(NotVerified::Timestamp)?;
        if now.secs_since(sent_at).max(sent_at.secs_since(now)) > WINDOW_SECS {
            return Err(NotVerified::Window);
        }
        let unknown = || match PublicKeyId::parse(serial) {
            Some(id) if self.has_public_key() => NotVerified::UnknownPublicKey(id),
            Some(id) => NotVerified::MissingPublicKey(id),
            None => NotVerified::UnknownKey,
        };
        let key = self.find(serial, now).ok_or_else(unknown)?;
        let message = [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body.as_ref(), b"\n"].concat();
        let verified = STANDARD.decode(signature).is_ok_and(|signature| key.verifies(&message, &signature));
        match verified {
            true => Ok(Verified(body)),
            // Looked at last, so that nothing depends on it but the reason.
            false if signature.starts_with(PROBE) => Err(NotVerified::Probe),
            false => Err(NotVerified::Signature),
        }
    }
}

/// What the key is called that a message says it is signed with.
pub(super) fn serial(headers: &HeaderMap) -> Option<&str> {
    required(headers, SERIAL).ok()
}

fn required<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, NotVerified> {
    optional(headers, name)?.ok_or(NotVerified::Missing(name))
}

/// The one value of a header. What a proxy has joined from two by a comma is no good value of any of these headers.
fn optional<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, NotVerified> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(NotVerified::Repeated(name));
    }
    value.to_str().map(Some).map_err(|_| NotVerified::Missing(name))
}

/// Decimal digits and nothing else: `parse` alone takes a sign as well.
fn seconds(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_722_850_421;

    /// All that a message needs, but a key.
    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, NOW.into());
        headers.insert(NONCE, "n".parse().unwrap());
        headers.insert(SIGNATURE, "AAAA".parse().unwrap());
        headers.insert(SERIAL, "D7CE59D1F522D701".parse().unwrap());
        headers
    }

    fn reason(headers: &HeaderMap) -> NotVerified {
        Keyring::new([]).verify(headers, b"", Timestamp::from_secs(NOW)).unwrap_err()
    }

    #[test]
    fn every_header_is_there_once() {
        assert_eq!(reason(&headers()), NotVerified::UnknownKey);
        for name in [TIMESTAMP, NONCE, SIGNATURE, SERIAL] {
            let mut without = headers();
            without.remove(name);
            assert_eq!(reason(&without), NotVerified::Missing(name));
            let mut unreadable = headers();
            unreadable.insert(name, lambda_http::http::HeaderValue::from_bytes(b"\xff").unwrap());
            assert_eq!(reason(&unreadable), NotVerified::Missing(name));
            let mut twice = headers();
            twice.append(name, headers()[name].clone());
            assert_eq!(reason(&twice), NotVerified::Repeated(name));
        }
    }

    #[test]
    fn a_public_key_that_is_not_configured_is_named() {
        let mut headers = headers();
        headers.insert(SERIAL, "PUB_KEY_ID_0114232134912410000000000000".parse().unwrap());
        let shown = "signed with the public key PUB_KEY_ID_0114232134912410000000000000, and WECHATPAY has none";
        assert_eq!(reason(&headers).to_string(), shown);
        for name in
            ["PUB_KEY_ID_", "PUB_KEY_ID_a b", "PUB_KEY_ID_a\"", "PUB_KEY_ID_1a", "pub_key_id_1", "XPUB_KEY_ID_1"]
        {
            headers.insert(SERIAL, name.parse().unwrap());
            assert_eq!(reason(&headers), NotVerified::UnknownKey, "{name}");
        }
        headers.insert(SERIAL, format!("PUB_KEY_ID_{}", "1".repeat(54)).parse().unwrap());
        assert_eq!(reason(&headers), NotVerified::UnknownKey);
    }

    #[test]
    fn the_signature_is_one_of_rsa_whether_it_says_so_or_not() {
        let mut headers = headers();
        headers.insert(SIGNATURE_TYPE, RSA.parse().unwrap());
        assert_eq!(reason(&headers), NotVerified::UnknownKey);
        headers.append(SIGNATURE_TYPE, RSA.parse().unwrap());
        assert_eq!(reason(&headers), NotVerified::Repeated(SIGNATURE_TYPE));
        for kind in ["", "WECHATPAY2-SM2-WITH-SM3", "WECHATPAY2-SHA256-RSA2048,WECHATPAY2-SHA256-RSA2048"] {
            headers.insert(SIGNATURE_TYPE, kind.parse().unwrap());
            assert_eq!(reason(&headers), NotVerified::SignatureType, "{kind:?}");
        }
    }

    #[test]
    fn a_timestamp_is_at_most_300_seconds_away_either_way() {
        for (timestamp, expected) in [
            (NOW - 301, NotVerified::Window),
            (NOW - 300, NotVerified::UnknownKey),
            (NOW + 300, NotVerified::UnknownKey),
            (NOW + 301, NotVerified::Window),
            (0, NotVerified::Window),
            (u64::MAX, NotVerified::Window),
        ] {
            let mut headers = headers();
            headers.insert(TIMESTAMP, timestamp.into());
            assert_eq!(reason(&headers), expected, "{timestamp}");
        }
    }

    #[test]
    fn a_timestamp_is_decimal_digits() {
        for text in ["", "+1722850421", "-1722850421", "1722850421.0", "1722850421,1722850421", "0x66b09b75"] {
            let mut headers = headers();
            headers.insert(TIMESTAMP, text.parse().unwrap());
            assert_eq!(reason(&headers), NotVerified::Timestamp, "{text:?}");
        }
        let mut headers = headers();
        headers.insert(TIMESTAMP, "99999999999999999999".parse().unwrap());
        assert_eq!(reason(&headers), NotVerified::Timestamp);
    }
}
