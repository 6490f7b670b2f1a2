//! WeChat's server API: its names, its answers, its errors.

mod card;
mod client;
mod credential;
pub mod errcode;
mod hosts;
mod login;
pub mod open_data;
mod phone;

use std::net::IpAddr;

use serde::Deserialize;

use crate::json::Object;
use crate::net::HttpError;
use crate::secret::Secret;

pub use card::card_signature;
pub use client::WechatClient;
pub use credential::{Issued, TokenHash, TokenKind, TokenValue};
pub use hosts::Hosts;
pub use login::{CodeSession, OauthUser};
pub use phone::{PhoneCode, PhoneNumber};

/// The id of an app: `wx` and 16 hexadecimal digits in practice, opaque here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct AppId(String);

impl AppId {
    /// An id as WeChat gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a mini program: of none of the other apps, so that nobody takes a token of the wrong one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiniProgramId(AppId);

impl MiniProgramId {
    /// `id` has to be that of a mini program.
    pub(crate) fn new(id: AppId) -> Self {
        Self(id)
    }

    /// The id as that of any app.
    pub fn as_app_id(&self) -> &AppId {
        &self.0
    }
}

/// The id of an official account: of none of the other apps, so that nobody takes a ticket of the wrong one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficialAccountId(AppId);

impl OfficialAccountId {
    /// The id as that of any app.
    pub fn as_app_id(&self) -> &AppId {
        &self.0
    }
}

/// What kind of account an app is. It decides how its users log in and what its tokens are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppKind {
    /// A mini program: codes come from `wx.login`.
    MiniProgram,
    /// An app of the Open Platform's SDK: OAuth codes.
    MobileApp,
    /// An official account: OAuth codes, and the owner of cards.
    OfficialAccount,
}

/// One of the apps that this backend serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// The app's id.
    pub app_id: AppId,
    /// The app's secret (AppSecret).
    pub app_secret: Secret,
    /// The app's kind.
    pub kind: AppKind,
}

/// The apps that this backend serves.
#[derive(Clone, Debug)]
pub struct Apps(Vec<App>);

/// Bytes of an appId or appSecret. Real ones have 18 and 32; each has to fit into a URL.
const LONGEST_TEXT: usize = 256;

impl Apps {
    /// Reads the value of `WECHAT_APPS`.
    ///
    /// # Errors
    ///
    /// If it is not a JSON array of apps, or an id or secret is empty or too long, or an id is there twice.
    pub fn parse(json: &Secret) -> Result<Self, InvalidApps> {
        // The error's own text could show a part of the value.
        let not_json = |err: serde_json::Error| InvalidApps::NotApps { line: err.line(), column: err.column() };
        let apps: Vec<Object<App>> = serde_json::from_str(json.expose()).map_err(not_json)?;
        let apps: Vec<App> = apps.into_iter().map(|Object(app)| app).collect();
        if apps.is_empty() {
            return Err(InvalidApps::None);
        }
        for (index, app) in apps.iter().enumerate() {
            if app.app_id.as_str().is_empty() || app.app_secret.expose().is_empty() {
                return Err(InvalidApps::EmptyText);
            }
            if app.app_id.as_str().len().max(app.app_secret.expose().len()) > LONGEST_TEXT {
                return Err(InvalidApps::LongText);
            }
            if apps.iter().take(index).any(|other| other.app_id == app.app_id) {
                return Err(InvalidApps::Repeated);
            }
        }
        Ok(Self(apps))
    }

    /// The app with that id.
    pub fn find(&self, app_id: &str) -> Option<&App> {
        self.0.iter().find(|app| app.app_id.as_str() == app_id)
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.0.iter()
    }

    /// The mini program with that id.
    pub fn mini_program(&self, app_id: &str) -> Option<MiniProgramId> {
        let app = self.find(app_id).filter(|app| app.kind == AppKind::MiniProgram)?;
        Some(MiniProgramId(app.app_id.clone()))
    }

    /// The official account with that id, or the first one.
    pub fn official_account(&self, app_id: Option<&str>) -> Option<OfficialAccountId> {
        let wanted = |app: &&App| app_id.is_none_or(|id| app.app_id.as_str() == id);
        let app = self.iter().filter(|app| app.kind == AppKind::OfficialAccount).find(wanted)?;
        Some(OfficialAccountId(app.app_id.clone()))
    }

    /// The first mini program: the app of callers that name none.
    pub fn default_app(&self) -> Option<&App> {
        self.0.iter().find(|app| app.kind == AppKind::MiniProgram)
    }
}

/// What is wrong with the value of `WECHAT_APPS`, without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidApps {
    #[error("an appId or appSecret is empty")]
    EmptyText,
    #[error("an appId or appSecret is longer than 256 bytes")]
    LongText,
    #[error("there is no app in it")]
    None,
    #[error(
        r#"expected a JSON array of {{"appId","appSecret","kind"}}, kind one of mini-program, official-account, mobile-app (line {line}, column {column})"#
    )]
    NotApps { line: usize, column: usize },
    #[error("an appId is there twice")]
    Repeated,
}

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

/// Bytes as hexadecimal digits in lower case.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

    fn problem(json: &str) -> String {
        Apps::parse(&Secret::new(json)).unwrap_err().to_string()
    }

    #[test]
    fn the_first_mini_program_is_the_default() {
        let apps = Apps::parse(&Secret::new(
            r#"[{"appId":"wx1","appSecret":"s","kind":"official-account"},
                {"appId":"wx2","appSecret":"s","kind":"mini-program"},
                {"appId":"wx3","appSecret":"s","kind":"mini-program"}]"#,
        ))
        .unwrap();
        assert_eq!(apps.default_app().unwrap().app_id.as_str(), "wx2");
        assert_eq!(apps.find("wx1").unwrap().kind, AppKind::OfficialAccount);
        assert!(apps.find("wx4").is_none());
    }

    #[test]
    fn malformed_apps_are_refused_without_showing_them() {
        for (json, expected) in [
            ("[]", "there is no app"),
            ("{}", "expected a JSON array"),
            (r#"[["a","hunter2","mini-program"]]"#, "expected a JSON array"),
            (r#"[{"appId":"a","appSecret":"hunter2","kind":"web"}]"#, "expected a JSON array"),
            (r#"[{"appId":"a","appSecret":["hunter2"],"kind":"mini-program"}]"#, "expected a JSON array"),
            (r#"[{"appId":"a","appSecret":"","kind":"mini-program"}]"#, "is empty"),
            (
                r#"[{"appId":"a","appSecret":"hunter2","kind":"mini-program"},
                    {"appId":"a","appSecret":"hunter2","kind":"mini-program"}]"#,
                "there twice",
            ),
        ] {
            let problem = problem(json);
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

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
