//! What the mini program pays with. Source: WeChat Pay v3, "Mini program: start the payment".

use std::fmt;

use serde::Serialize;

use super::Stamp;
use crate::wechat::AppId;
use crate::wechatpay::{CannotSign, Merchant, PrepayId};

/// The parameters of `wx.requestPayment`, signed. The app is signed too, though it is not among them.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPayment {
    time_stamp: String,
    nonce_str: String,
    package: String,
    sign_type: &'static str,
    pay_sign: String,
}

impl RequestPayment {
    /// Signs the payment of a prepared order, in the app that it was prepared for.
    ///
    /// # Errors
    ///
    /// If the merchant's private key is none.
    pub fn new(merchant: &Merchant, app_id: &AppId, prepay_id: &PrepayId, stamp: &Stamp) -> Result<Self, CannotSign> {
        let time_stamp = stamp.timestamp.as_secs().to_string();
        let nonce_str = stamp.nonce.clone();
        let package = format!("prepay_id={}", prepay_id.expose());
        let message = format!("{}\n{time_stamp}\n{nonce_str}\n{package}\n", app_id.as_str());
        let pay_sign = merchant.sign(message.as_bytes())?;
        // The client's own default is MD5.
        Ok(Self { time_stamp, nonce_str, package, sign_type: "RSA", pay_sign })
    }
}

impl fmt::Debug for RequestPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestPayment")
    }
}
