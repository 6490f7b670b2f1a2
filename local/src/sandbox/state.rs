//! What WeChat knows: apps, users, codes, tokens; and what happened.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use shared::wechat::{AppKind, Apps};

use super::WITH_ACCESS_TOKEN;
use super::answer::Answer;
use super::calls::Calls;
use super::codes::{Codes, Grant};
use super::faults::Faults;
use super::pay::Pay;
use super::people::User;
use super::quota::Quota;
use super::tokens::Tokens;
use super::user_tokens::UserTokens;
use crate::demo_user::{DEMO_CODE, DEMO_PHONE_CODE};

/// The name of the demo user.
const DEMO: &str = "demo";

/// The state behind the routes.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(apps: &Apps, clock: &Clock, pay: Pay) -> Self {
        Self(Arc::new(Mutex::new(State::new(apps.clone(), clock.clone(), pay))))
    }

    /// For what does not keep the sandbox alive.
    pub(crate) fn downgrade(&self) -> Weak<Mutex<State>> {
        Arc::downgrade(&self.0)
    }

    /// `None` where the sandbox is gone.
    pub(crate) fn upgrade(state: &Weak<Mutex<State>>) -> Option<Self> {
        state.upgrade().map(Self)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct State {
    apps: Apps,
    clock: Clock,
    pub(crate) users: BTreeMap<String, User>,
    pub(super) login_codes: Codes,
    pub(super) phone_codes: Codes,
    pub(super) oauth_codes: Codes,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    /// Addresses that may call, by app; an app without an entry may be called for by all.
    pub(crate) whitelists: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) quotas: BTreeMap<String, Quota>,
    pub(crate) tokens: Tokens,
    pub(super) user_tokens: UserTokens,
    /// Whether the classic way to a token is open.
    pub(crate) has_classic_token: bool,
    pub(crate) pay: Pay,
    /// How far the sandbox is ahead of its clock.
    ahead: Duration,
}

/// The user whose codes are never used up.
#[derive(Debug)]
pub(crate) struct DemoUser {
    pub(crate) app_id: String,
    pub(crate) session_key: String,
}

/// Why there is no code or key for somebody.
#[derive(Debug, thiserror::Error)]
#[error("no such user or app")]
pub(crate) struct Nobody;

impl State {
    fn new(apps: Apps, clock: Clock, pay: Pay) -> Self {
        let mut state = Self {
            apps,
            clock,
            users: BTreeMap::new(),
            login_codes: Codes::default(),
            phone_codes: Codes::default(),
            oauth_codes: Codes::default(),
            calls: Calls::default(),
            faults: Faults::default(),
            whitelists: BTreeMap::new(),
            quotas: BTreeMap::new(),
            tokens: Tokens::default(),
            user_tokens: UserTokens::default(),
            has_classic_token: false,
            pay,
            ahead: Duration::ZERO,
        };
        let app_id = state.default_app();
        state.users.insert(DEMO.to_owned(), User::demo(app_id.as_deref()));
        if let Some(app_id) = app_id {
            let grant = Grant::new(&app_id, DEMO);
            state.login_codes.keep(DEMO_CODE, grant.clone());
            state.phone_codes.keep(DEMO_PHONE_CODE, grant);
        }
        state
    }

    /// The time at WeChat.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.timestamp() + self.ahead
    }

    /// The time of signatures, which is everybody's: no control moves it.
    pub(crate) fn time_of_signatures(&self) -> Timestamp {
        self.clock.timestamp()
    }

    /// What WeChat adds to data, so that a server can see whose it is and of when.
    pub(crate) fn watermark(&self, app_id: &str) -> Value {
        json!({ "timestamp": self.now().as_secs(), "appid": app_id })
    }

    /// Lets time pass at WeChat, and nowhere else. Tells how far it is ahead now.
    pub(crate) fn advance(&mut self, duration: Duration) -> Duration {
        self.ahead = self.ahead.saturating_add(duration);
        self.ahead
    }

    /// Checks an appid and its secret, for a call that is for some kinds of apps.
    pub(crate) fn authenticate(&self, app_id: &str, secret: &str, kinds: &[AppKind]) -> Result<(), Answer> {
        let is_right = self.has_secret(app_id, secret, kinds)?;
        is_right.then_some(()).ok_or_else(|| Answer::refusal(40125, "invalid appsecret"))
    }

    /// Whether an app, for a call that is for some kinds of them, has this secret.
    pub(crate) fn has_secret(&self, app_id: &str, secret: &str, kinds: &[AppKind]) -> Result<bool, Answer> {
        let app = self.apps.find(app_id).filter(|app| kinds.contains(&app.kind));
        let app = app.ok_or_else(|| Answer::refusal(40013, "invalid appid"))?;
        Ok(app.app_secret.expose() == secret)
    }

    /// The app of an access token, for a call that is for one kind of apps.
    pub(crate) fn authorize(&self, access_token: Option<&str>, kind: AppKind) -> Result<String, Answer> {
        let app_id = self.tokens.owner(access_token, self.now())?;
        let app = self.apps.find(app_id).filter(|app| app.kind == kind);
        app.map(|_| app_id.to_owned()).ok_or_else(|| Answer::refusal(48001, "api unauthorized"))
    }

    pub(crate) fn kind_of(&self, app_id: &str) -> Option<AppKind> {
        self.apps.find(app_id).map(|app| app.kind)
    }

    /// The app that a control names, or the default one.
    pub(crate) fn app_or_default(&self, app_id: Option<String>) -> String {
        app_id.or_else(|| self.default_app()).unwrap_or_default()
    }

    pub(crate) fn default_app(&self) -> Option<String> {
        self.apps.default_app().map(|app| app.app_id.as_str().to_owned())
    }

    pub(crate) fn demo_user(&mut self) -> Option<DemoUser> {
        let app_id = self.default_app()?;
        let (_, session_key) = self.log_in(DEMO, &app_id).ok()?;
        Some(DemoUser { app_id, session_key })
    }

    /// A new person; the name is the next free one.
    pub(crate) fn add_user(&mut self, unionid: Option<String>) -> String {
        let number = self.users.len();
        let name = format!("user{number}");
        self.users.insert(name.clone(), User::new(format!("User {number}"), unionid));
        name
    }

    /// The openid and the live session_key of a user.
    pub(crate) fn log_in(&mut self, user: &str, app_id: &str) -> Result<(String, String), Nobody> {
        let now = self.now();
        Ok(self.users.get_mut(user).ok_or(Nobody)?.log_in(app_id, now))
    }

    /// The refusal of a call for its address or its number.
    pub(crate) fn admit(&mut self, path: &str, app_id: &str, ip: IpAddr) -> Option<Answer> {
        let ip = ip.to_canonical();
        let allowed = self.whitelists.get(app_id).filter(|_| !WITH_ACCESS_TOKEN.contains(&path));
        if allowed.is_some_and(|allowed| !allowed.contains(&ip)) {
            let mapped = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let text = format!("invalid ip {ip} ipv6 {mapped}, not in whitelist");
            return Some(Answer::refusal(40164, &text));
        }
        let now = self.now();
        self.quotas.get_mut(path)?.count(app_id, now)
    }
}
