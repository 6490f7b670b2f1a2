//! `/cgi-bin/`: access tokens and tickets. Only `token-refresher` asks for them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{ApiCall, WechatClient};
use super::{App, AppKind, Unusable, WechatError};
use crate::deadline::Deadline;
use crate::hex::sha256_hex;
use crate::secret::Secret;

/// What WeChat calls a credential's life at its longest, in seconds: 7200 for tokens and tickets alike.
/// Source: "Get stable access token"; JS-SDK documentation, "api_ticket".
const LONGEST_LIFE: Duration = Duration::from_secs(7200);

/// WeChat asks to reserve 512 characters for an access token. What is longer than this is none.
const LONGEST_VALUE: usize = 4096;

/// What is kept for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The app's own access token, which its server calls need.
    AccessToken,
    /// The api_ticket of an official account, which signs cards.
    WxCard,
    /// The jsapi_ticket of an official account, which signs web pages.
    Jsapi,
}

impl TokenKind {
    /// Its name in WeChat's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::WxCard => "wx_card",
            Self::Jsapi => "jsapi",
        }
    }

    /// What an app of that kind has. A mobile app's users have tokens of their own, the app has none.
    pub const fn of(app: AppKind) -> &'static [Self] {
        match app {
            AppKind::MiniProgram => &[Self::AccessToken],
            AppKind::MobileApp => &[],
            AppKind::OfficialAccount => &[Self::AccessToken, Self::WxCard, Self::Jsapi],
        }
    }
}

/// An access token or a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct TokenValue(Secret);

impl TokenValue {
    /// A value as WeChat gave it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Secret::new(value))
    }

    /// The value's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What names the value where it may not be shown.
    pub fn hash(&self) -> TokenHash {
        TokenHash(sha256_hex(self.expose().as_bytes()))
    }
}

/// The SHA-256 of a value, as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// A hash that somebody names, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value, and how long it is good for from the moment at which it was asked for.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The value.
    pub value: TokenValue,
    /// Up to 7200 s.
    pub expires_in: Duration,
}

#[derive(Deserialize)]
struct StableToken {
    access_token: TokenValue,
    expires_in: u64,
}

#[derive(Deserialize)]
struct GetTicket {
    ticket: TokenValue,
    expires_in: u64,
}

impl WechatClient {
    /// The access token of an app: the one that WeChat has given out already, as long as that is good for more than
    /// five minutes.
    ///
    /// `POST /cgi-bin/stable_token` in normal mode; source: "Get stable access token". One try: when to try again is a
    /// matter of all instances together.
    ///
    /// # Errors
    ///
    /// If WeChat refuses, or gives no good answer before the deadline.
    pub async fn stable_token(&self, app: &App, deadline: Deadline) -> Result<Issued, WechatError> {
        let body = json!({
            "grant_type": "client_credential",
            "appid": app.app_id.as_str(),
            "secret": app.app_secret.expose(),
            "force_refresh": false,
        });
        let answer: StableToken = self.call_once(&ApiCall::post("/cgi-bin/stable_token", &[], &body), deadline).await?;
        issued(answer.access_token, answer.expires_in)
    }

    /// A ticket of the official account that `access_token` is of.
    ///
    /// `GET /cgi-bin/ticket/getticket`; source: JS-SDK documentation, "api_ticket" and "jsapi_ticket". One try.
    ///
    /// # Errors
    ///
    /// As [`Self::stable_token`].
    pub async fn getticket(
        &self,
        access_token: &TokenValue,
        kind: TokenKind,
        deadline: Deadline,
    ) -> Result<Issued, WechatError> {
        let query = [("access_token", access_token.expose()), ("type", kind.as_str())];
        let answer: GetTicket = self.call_once(&ApiCall::get("/cgi-bin/ticket/getticket", &query), deadline).await?;
        issued(answer.ticket, answer.expires_in)
    }
}

fn issued(value: TokenValue, expires_in: u64) -> Result<Issued, WechatError> {
    if !(1..=LONGEST_VALUE).contains(&value.expose().len()) {
        return Err(WechatError::Answer(Unusable::Malformed));
    }
    Ok(Issued { value, expires_in: Duration::from_secs(expires_in).min(LONGEST_LIFE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let hash = TokenValue::new("abc").hash();
        assert_eq!(hash.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(TokenHash::parse(&hash.as_str().to_ascii_uppercase()), Some(hash.clone()));
        for text in ["", "none", &hash.as_str()[1..], &format!("{hash}0"), &format!("g{}", &hash.as_str()[1..])] {
            assert_eq!(TokenHash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_is_neither_empty_nor_endless_and_lives_two_hours_at_most() {
        assert!(issued(TokenValue::new(""), 7200).is_err());
        assert!(issued(TokenValue::new("x".repeat(4097)), 7200).is_err());
        assert_eq!(issued(TokenValue::new("x".repeat(4096)), u64::MAX).unwrap().expires_in, LONGEST_LIFE);
    }
}
