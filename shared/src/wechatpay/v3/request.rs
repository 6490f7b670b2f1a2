//! How requests are signed. Source: WeChat Pay v3, "Sign a request".

use lambda_http::http::{HeaderValue, Method};

use crate::clock::{Clock, Timestamp};
use crate::random;
use crate::wechatpay::{CannotSign, Merchant};

/// The longest nonce that WeChat Pay takes.
const NONCE_CHARS: usize = 32;

/// What makes each signature another one: when it was made, and a random text.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// When. WeChat Pay takes five minutes, both ways.
    pub timestamp: Timestamp,
    /// The random text.
    pub nonce: String,
}

impl Stamp {
    /// A stamp of now.
    pub fn new(clock: &Clock) -> Self {
        Self { timestamp: clock.timestamp(), nonce: random::alphanumeric(NONCE_CHARS) }
    }
}

/// The value of `Authorization` for a request. Path and query are signed as they are sent; the host is not signed, so
/// the same request may go to another one.
pub fn authorization(
    merchant: &Merchant,
    method: &Method,
    path_and_query: &str,
    body: &str,
    stamp: &Stamp,
) -> Result<HeaderValue, CannotSign> {
    let (timestamp, nonce) = (stamp.timestamp.as_secs(), &stamp.nonce);
    let signature = merchant.sign(format!("{method}\n{path_and_query}\n{timestamp}\n{nonce}\n{body}\n").as_bytes())?;
    let (mch_id, serial_no) = (merchant.mch_id().as_str(), merchant.serial_no());
    let value = format!(
        r#"WECHATPAY2-SHA256-RSA2048 mchid="{mch_id}",nonce_str="{nonce}",signature="{signature}",timestamp="{timestamp}",serial_no="{serial_no}""#
    );
    #[expect(clippy::expect_used, reason = "a merchant's texts are visible ASCII, and so are base64 and our nonces")]
    let mut value = HeaderValue::try_from(value).expect("visible ASCII");
    value.set_sensitive(true);
    Ok(value)
}
