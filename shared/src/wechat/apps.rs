//! The apps that this backend serves.

use serde::Deserialize;

use super::TokenKind;
use crate::json::Object;
use crate::secret::Secret;

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
    /// The tickets that are kept fresh for an official account. Where nothing is said, it is those that something needs.
    pub tickets: Option<Vec<TokenKind>>,
}

impl App {
    /// Whether the list of tickets is one, for the app with that number.
    fn check_tickets(&self, app: usize) -> Result<(), InvalidApps> {
        let tickets = self.tickets.as_deref().unwrap_or_default();
        let is_list = |(index, ticket)| {
            ticket != &TokenKind::AccessToken && !tickets.iter().take(index).any(|other| other == ticket)
        };
        match tickets {
            [] => Ok(()),
            _ if self.kind != AppKind::OfficialAccount => Err(InvalidApps::NoTickets { app }),
            _ if tickets.iter().enumerate().all(is_list) => Ok(()),
            _ => Err(InvalidApps::Tickets { app }),
        }
    }
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
    /// If it is not a JSON array of apps, or an id or secret is empty, too long or has a blank around it, or an id is
    /// there twice.
    pub fn parse(json: &Secret) -> Result<Self, InvalidApps> {
        // The error's own text could show a part of the value.
        let not_json = |err: serde_json::Error| InvalidApps::NotApps { line: err.line(), column: err.column() };
        let apps: Vec<Object<App>> = serde_json::from_str(json.expose()).map_err(not_json)?;
        let apps: Vec<App> = apps.into_iter().map(|Object(app)| app).collect();
        if apps.is_empty() {
            return Err(InvalidApps::None);
        }
        for (index, app) in apps.iter().enumerate() {
            let texts = [("appId", app.app_id.as_str()), ("appSecret", app.app_secret.expose())];
            if let Some((field, _)) = texts.into_iter().find(|(_, text)| has_blank_around(text)) {
                return Err(InvalidApps::BlankAround { field, app: index + 1 });
            }
            if app.app_id.as_str().is_empty() || app.app_secret.expose().is_empty() {
                return Err(InvalidApps::EmptyText);
            }
            if app.app_id.as_str().len().max(app.app_secret.expose().len()) > LONGEST_TEXT {
                return Err(InvalidApps::LongText);
            }
            app.check_tickets(index + 1)?;
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

/// Whether a text begins or ends with something that is not seen, as a text does that was copied from a console or is the
/// whole of a file. WeChat's ids and secrets have none of it, and WeChat's refusals (40013, 40125) do not tell.
fn has_blank_around(text: &str) -> bool {
    // A byte order mark and a space without width are no white space to Unicode.
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}');
    text.starts_with(is_blank) || text.ends_with(is_blank)
}

/// What is wrong with the value of `WECHAT_APPS`, without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidApps {
    /// `app` counts from 1.
    #[error("the {field} of app {app} begins or ends with a blank")]
    BlankAround { field: &'static str, app: usize },
    #[error("an appId or appSecret is empty")]
    EmptyText,
    #[error("an appId or appSecret is longer than 256 bytes")]
    LongText,
    #[error("there is no app in it")]
    None,
    /// `app` counts from 1.
    #[error("app {app} has tickets, and is no official account")]
    NoTickets { app: usize },
    #[error(
        r#"expected a JSON array of {{"appId","appSecret","kind","tickets"?}}, kind one of mini-program, official-account, mobile-app, tickets a list of wx_card, jsapi (line {line}, column {column})"#
    )]
    NotApps { line: usize, column: usize },
    #[error("an appId is there twice")]
    Repeated,
    /// `app` counts from 1.
    #[error("the tickets of app {app} are not a list of wx_card and jsapi, each once at most")]
    Tickets { app: usize },
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
}
