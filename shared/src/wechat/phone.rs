//! `/wxa/business/`: the phone number that a user has let the mini program have.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::client::{ApiCall, WechatClient};
use super::{OpenId, TokenValue, WechatError, visible_ascii};
use crate::deadline::Deadline;
use crate::json::Object;
use crate::secret::Secret;

/// A code of `bindgetphonenumber` (5 minutes, single use). It is none of `wx.login`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneCode(Secret);

impl TryFrom<String> for PhoneCode {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        visible_ascii(code, 128).map(Self).ok_or("not 1 to 128 visible ASCII characters")
    }
}

/// A phone number. Personal data: it cannot be printed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumber {
    /// With the country code, for a foreign number. Never empty.
    #[serde(deserialize_with = "given")]
    pub phone_number: Secret,
    /// Without it.
    pub pure_phone_number: Secret,
    /// Such as `86`. The documentation says text, and shows a number.
    #[serde(deserialize_with = "text_or_number")]
    pub country_code: Secret,
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Number(u32),
        Text(String),
    }
    TextOrNumber::deserialize(deserializer).map(|code| match code {
        TextOrNumber::Number(number) => Secret::new(number.to_string()),
        TextOrNumber::Text(text) => Secret::new(text),
    })
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = Secret::deserialize(deserializer)?;
    if text.expose().is_empty() { Err(D::Error::custom("empty")) } else { Ok(text) }
}

#[derive(Deserialize)]
struct GetUserPhoneNumber {
    phone_info: Object<PhoneNumber>,
}

impl WechatClient {
    /// Exchanges a phone code for the number. WeChat checks that the code is of the access token's mini program, and
    /// of that user.
    ///
    /// `POST /wxa/business/getuserphonenumber`; source: mini program documentation, "getPhoneNumber".
    ///
    /// # Errors
    ///
    /// If WeChat refuses, or gives no good answer before the deadline, after up to three tries.
    pub async fn getuserphonenumber(
        &self,
        access_token: &TokenValue,
        code: &PhoneCode,
        openid: &OpenId,
        deadline: Deadline,
    ) -> Result<PhoneNumber, WechatError> {
        let query = [("access_token", access_token.expose())];
        let body = json!({ "code": code.0.expose(), "openid": openid.expose() });
        let call = ApiCall::post("/wxa/business/getuserphonenumber", &query, &body);
        let GetUserPhoneNumber { phone_info: Object(number) } = self.call(call, deadline).await?;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_code_is_text_or_a_number() {
        for code in ["86", "\"86\""] {
            let json = format!(r#"{{"phoneNumber":"1","purePhoneNumber":"1","countryCode":{code}}}"#);
            let number: PhoneNumber = serde_json::from_str(&json).unwrap();
            assert_eq!(number.country_code.expose(), "86");
        }
    }
}
