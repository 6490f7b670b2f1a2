//! WeChat's server API: its names, its answers, its errors.

mod apps;
mod card;
mod client;
mod credential;
pub mod errcode;
mod login;
pub mod open_data;
mod phone;

use std::net::IpAddr;

use serde::Deserialize;

use crate::net::HttpError;
use crate::secret::Secret;

pub use apps::{App, AppId, AppKind, Apps, InvalidApps, MiniProgramId, OfficialAccountId};
pub use card::{card_nonce, card_signature, is_card_code, is_card_id};
pub use client::WechatClient;
pub use credential::{Issued, TokenHash, TokenKind, TokenValue};
pub use login::{CodeSession, OauthUser};
pub use phone::{PhoneCode, PhoneNumber};

/// A code of `wx.login` (5 minutes, single use) or of OAuth. Only visible ASCII goes to WeChat.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct LoginCode(Secret);

impl LoginCode {
    /// The most characters that a code may have. Real ones have 32.
    pub const MAX_CHARS: usize = 128;

    /// The code's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl TryFrom<String> for LoginCode {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        visible_ascii(code, Self::MAX_CHARS).map(Self).ok_or("not 1 to 128 visible ASCII characters")
    }
}

/// Whether a text has 1 to `longest` characters, and all of them are visible ASCII: what WeChat's codes and ids are.
pub fn is_visible_ascii(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Such a text, if it is one.
fn visible_ascii(text: String, longest: usize) -> Option<Secret> {
    is_visible_ascii(&text, longest).then(|| Secret::new(text))
}

/// A user within one app. Personal data: it cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct OpenId(Secret);

/// A user across the apps of one Open Platform account. Personal data: it cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct UnionId(Secret);

/// The key of a user's encrypted data: base64 of 16 bytes. Never leaves the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(Secret);

impl OpenId {
    /// An openid as WeChat gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(Secret::new(id))
    }

    /// The id's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl UnionId {
    /// A unionid as WeChat gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(Secret::new(id))
    }

    /// The id's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl SessionKey {
    /// A key as WeChat gave it.
    pub fn new(key: impl Into<String>) -> Self {
        Self(Secret::new(key))
    }

    /// The key's base64 text, which is what WeChat's signatures are made with.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Who a login code belongs to.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The app that the code is of.
    pub app_id: AppId,
    /// The user within that app.
    pub openid: OpenId,
    /// The user across apps, where the app is bound to an Open Platform account.
    pub unionid: Option<UnionId>,
}

/// Why WeChat's API gave no good answer.
#[derive(Debug, thiserror::Error)]
pub enum WechatError {
    /// An answer that is not what the documentation promises.
    #[error("WeChat's answer is unusable: {0}")]
    Answer(Unusable),
    /// WeChat refused.
    #[error("WeChat refused with errcode {}", .0.errcode)]
    Refused(Refusal),
    /// No answer.
    #[error("no answer from WeChat")]
    Transport(#[source] HttpError),
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A body of no bytes, which has been seen with status 200.
    #[error("an empty body")]
    Empty,
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("a body that is not as documented")]
    Malformed,
    /// Infrastructure trouble: business errors have status 200.
    #[error("status {0}")]
    Status(u16),
}

/// WeChat's "no": always inside an answer of status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// WeChat's error code.
    pub errcode: i64,
    /// The trace id of the call, which WeChat can look up for 7 days.
    pub rid: Option<String>,
    /// The caller's address as WeChat saw it, with errcode 40164.
    pub seen_ip: Option<IpAddr>,
}

impl WechatError {
    /// Whether the same request may be sent again after a pause.
    ///
    /// A broken connection leaves open whether a code was used up. A second try is harmless: at worst WeChat answers
    /// 40163 and the client gets a new code, which it would need anyway. A timeout has taken its time already.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Answer(Unusable::Status(status)) => *status >= 500,
            Self::Answer(Unusable::Empty | Unusable::Malformed) => false,
            Self::Refused(refusal) => errcode::class(refusal.errcode) == errcode::Class::Busy,
            Self::Transport(HttpError::Broken(_) | HttpError::Connect(_)) => true,
            Self::Transport(HttpError::Timeout | HttpError::TooLong) => false,
        }
    }

    /// WeChat's refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Answer(_) | Self::Transport(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_a_code() {
        for code in ["", " ", "a b", "a\n", "é", "\u{7f}", &"x".repeat(129)] {
            assert!(LoginCode::try_from(code.to_owned()).is_err(), "{code:?}");
        }
        for code in ["x", "0a1B!~", &"x".repeat(128)] {
            assert!(LoginCode::try_from(code.to_owned()).is_ok(), "{code:?}");
        }
    }
}
