//! What WeChat knows: apps, users, codes; and what happened.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use shared::clock::{Clock, Timestamp};
use shared::random;
use shared::wechat::{App, AppKind, Apps};

use super::answer::Answer;
use super::calls::Calls;
use super::faults::Faults;
use crate::demo_user::{DEMO_CODE, DEMO_OPENID};

/// A code of `wx.login` is good for five minutes, once.
const CODE_TTL: Duration = Duration::from_secs(300);

/// A login within this time keeps the session_key. WeChat has such a period and does not tell how long it is.
const SESSION_KEY_KEPT: Duration = Duration::from_secs(300);

/// The name of the demo user.
const DEMO: &str = "demo";

/// The state behind the routes.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(apps: &Apps, clock: &Clock) -> Self {
        Self(Arc::new(Mutex::new(State::new(apps.clone(), clock.clone()))))
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
    codes: HashMap<String, Code>,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    /// Addresses that may call, by app; an app without an entry may be called for by all.
    pub(crate) whitelists: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) quotas: BTreeMap<String, Quota>,
}

/// A person with a phone.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    /// The id across apps, where the apps are bound to an Open Platform account.
    pub(crate) unionid: Option<String>,
    /// The id within each app.
    pub(crate) openids: BTreeMap<String, String>,
    /// Whether WeChat takes the user for dangerous.
    pub(crate) blocked: bool,
    /// The one live key within each app.
    #[serde(skip)]
    session_keys: HashMap<String, (String, Timestamp)>,
}

#[derive(Debug)]
struct Code {
    app_id: String,
    user: String,
    expires_at: Timestamp,
    state: CodeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeState {
    Fresh,
    NeverUsedUp,
    Used,
}

/// How often a path may be called, for each app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quota {
    pub(crate) per_minute: Option<u64>,
    pub(crate) per_day: Option<u64>,
    /// Calls by app and by the number of the minute or day.
    counts: HashMap<(String, Window), u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Window {
    Minute(u64),
    Day(u64),
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
    fn new(apps: Apps, clock: Clock) -> Self {
        let mut state = Self {
            apps,
            clock,
            users: BTreeMap::new(),
            codes: HashMap::new(),
            calls: Calls::default(),
            faults: Faults::default(),
            whitelists: BTreeMap::new(),
            quotas: BTreeMap::new(),
        };
        let mut demo = User::default();
        if let Some(app_id) = state.default_app() {
            demo.openids.insert(app_id.clone(), DEMO_OPENID.to_owned());
            let (user, expires_at) = (DEMO.to_owned(), Timestamp::from_secs(u64::MAX));
            let code = Code { app_id, user, expires_at, state: CodeState::NeverUsedUp };
            state.codes.insert(DEMO_CODE.to_owned(), code);
        }
        state.users.insert(DEMO.to_owned(), demo);
        state
    }

    /// Only mini programs have codes of `wx.login`.
    pub(crate) fn mini_program(&self, app_id: &str) -> Option<&App> {
        self.apps.find(app_id).filter(|app| app.kind == AppKind::MiniProgram)
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
        let name = format!("user{}", self.users.len());
        self.users.insert(name.clone(), User { unionid, ..User::default() });
        name
    }

    /// `wx.login`: a code for a user of an app.
    pub(crate) fn issue_code(&mut self, user: &str, app_id: &str) -> Result<String, Nobody> {
        if self.mini_program(app_id).is_none() || !self.users.contains_key(user) {
            return Err(Nobody);
        }
        let (now, code) = (self.clock.timestamp(), random::base64url::<24>());
        let (app_id, user) = (app_id.to_owned(), user.to_owned());
        let state = CodeState::Fresh;
        self.codes.insert(code.clone(), Code { app_id, user, expires_at: now + CODE_TTL, state });
        Ok(code)
    }

    /// Takes a code for the user that it belongs to, as `code2Session` does.
    pub(crate) fn take_code(&mut self, code: &str, app_id: &str) -> Result<String, Answer> {
        let now = self.clock.timestamp();
        let invalid = || Answer::refusal(40029, "invalid code");
        let code = self.codes.get_mut(code).ok_or_else(invalid)?;
        if code.app_id != app_id || code.expires_at <= now {
            return Err(invalid());
        }
        match code.state {
            CodeState::Used => return Err(Answer::refusal(40163, "code been used")),
            CodeState::Fresh => code.state = CodeState::Used,
            CodeState::NeverUsedUp => {}
        }
        let blocked = self.users.get(&code.user).is_some_and(|user| user.blocked);
        if blocked { Err(Answer::refusal(40226, "code blocked")) } else { Ok(code.user.clone()) }
    }

    /// The openid and the live session_key of a user; a login after a while makes a new key.
    pub(crate) fn log_in(&mut self, user: &str, app_id: &str) -> Result<(String, String), Nobody> {
        let now = self.clock.timestamp();
        let user = self.users.get_mut(user).ok_or(Nobody)?;
        let openid = user.openids.entry(app_id.to_owned()).or_insert_with(openid).clone();
        let (key, since) = user.session_keys.entry(app_id.to_owned()).or_insert_with(|| (session_key(), now));
        if now.secs_since(*since) > SESSION_KEY_KEPT.as_secs() {
            (*key, *since) = (session_key(), now);
        }
        Ok((openid, key.clone()))
    }

    /// Makes the user's keys invalid: the next login gets new ones.
    pub(crate) fn rotate_session_keys(&mut self, user: &str) -> Result<(), Nobody> {
        self.users.get_mut(user).ok_or(Nobody)?.session_keys.clear();
        Ok(())
    }

    /// The refusal of a call for its address or its number.
    pub(crate) fn admit(&mut self, path: &str, app_id: &str, ip: IpAddr) -> Option<Answer> {
        let ip = ip.to_canonical();
        if self.whitelists.get(app_id).is_some_and(|allowed| !allowed.contains(&ip)) {
            let mapped = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let text = format!("invalid ip {ip} ipv6 {mapped}, not in whitelist");
            return Some(Answer::refusal(40164, &text));
        }
        let now = self.clock.timestamp();
        self.quotas.get_mut(path)?.count(app_id, now)
    }
}

impl Quota {
    pub(crate) fn new(per_minute: Option<u64>, per_day: Option<u64>) -> Self {
        Self { per_minute, per_day, counts: HashMap::new() }
    }

    fn count(&mut self, app_id: &str, now: Timestamp) -> Option<Answer> {
        let mut exceeded = |window, limit: Option<u64>| {
            let count = self.counts.entry((app_id.to_owned(), window)).or_default();
            *count += 1;
            limit.is_some_and(|limit| *count > limit)
        };
        let minute = exceeded(Window::Minute(now.as_secs() / 60), self.per_minute);
        let day = exceeded(Window::Day(now.as_secs() / 86_400), self.per_day);
        match (day, minute) {
            (true, _) => Some(Answer::refusal(45009, "reach max api daily quota limit")),
            (false, true) => {
                Some(Answer::refusal(45011, "api minute-quota reach limit, must slower, retry next minute"))
            }
            (false, false) => None,
        }
    }
}

/// 28 characters, as WeChat's are.
fn openid() -> String {
    format!("o{}", random::base64url::<21>().get(..27).unwrap_or_default())
}

/// Base64 of 16 bytes, as WeChat's are.
fn session_key() -> String {
    STANDARD.encode(random::bytes::<16>())
}

/// As WeChat's: 28 characters.
pub(crate) fn unionid() -> String {
    openid()
}
