//! Access tokens and tickets.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::random;

use super::answer::Answer;
use super::quota::wechat_day;

/// How long a new token or ticket is good.
const TTL: Duration = Duration::from_secs(7200);

/// With so much left, or less, there is a new one beside the old one. Source: "getStableAccessToken".
const RENEWED_BEFORE_SECS: u64 = 300;

/// How often an app may force a new token, and how far apart. Source: "getStableAccessToken".
const FORCED_PER_DAY: u32 = 20;
const FORCED_APART_SECS: u64 = 30;

/// How long a classic token outlives the next one. Source: mini program documentation, "getAccessToken".
const OUTLIVES: Duration = Duration::from_secs(300);

/// What an app is given to call with, or to sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    #[default]
    AccessToken,
    /// An access token of the classic kind, which knows nothing of the other.
    ClassicToken,
    /// The ticket that signs what adds cards.
    WxCard,
    /// The ticket that signs pages.
    Jsapi,
}

/// Everything that was given out, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: Vec<Issued>,
    /// Of each app: when it forced a new token.
    forced: HashMap<String, Forced>,
}

#[derive(Debug)]
struct Issued {
    app_id: String,
    kind: Kind,
    value: String,
    expires_at: Timestamp,
    /// When another one has ended it, or a person.
    ends_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Forced {
    day: u64,
    times: u32,
    last: Option<Timestamp>,
}

/// A token or ticket that is good, and for how many seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Live {
    pub(crate) value: String,
    pub(crate) expires_in: u64,
}

impl Tokens {
    /// The newest of an app, if it is good.
    pub(crate) fn current(&self, app_id: &str, kind: Kind, now: Timestamp) -> Option<Live> {
        let newest = self.issued.iter().rfind(|issued| issued.is_of(app_id, kind))?;
        let expires_in = newest.expires_at.secs_since(now);
        (expires_in > 0 && !newest.has_ended(now)).then(|| Live { value: newest.value.clone(), expires_in })
    }

    /// The newest of every app, where they are good.
    pub(crate) fn all(&self, now: Timestamp) -> BTreeMap<&str, BTreeMap<Kind, Live>> {
        let mut all = BTreeMap::<_, BTreeMap<_, _>>::new();
        for Issued { app_id, kind, .. } in &self.issued {
            if let Some(live) = self.current(app_id, *kind, now) {
                all.entry(app_id.as_str()).or_default().insert(*kind, live);
            }
        }
        all
    }

    /// The newest of an app; a new one if little is left of that. The old one is good until it expires.
    pub(crate) fn obtain(&mut self, app_id: &str, kind: Kind, now: Timestamp) -> Live {
        let current = self.current(app_id, kind, now).filter(|live| live.expires_in > RENEWED_BEFORE_SECS);
        current.unwrap_or_else(|| self.issue(app_id, kind, now))
    }

    /// A new access token, and an end to those before it.
    pub(crate) fn force(&mut self, app_id: &str, now: Timestamp) -> Result<Live, Answer> {
        let forced = self.forced.entry(app_id.to_owned()).or_default();
        if forced.last.is_some_and(|last| now.secs_since(last) < FORCED_APART_SECS) {
            return Ok(self.obtain(app_id, Kind::AccessToken, now));
        }
        let day = wechat_day(now);
        let times = if forced.day == day { forced.times } else { 0 };
        if times >= FORCED_PER_DAY {
            return Err(Answer::refusal(45009, "reach max api daily quota limit"));
        }
        *forced = Forced { day, times: times + 1, last: Some(now) };
        self.end(app_id, Kind::AccessToken, now);
        Ok(self.issue(app_id, Kind::AccessToken, now))
    }

    /// Another token of the classic kind each time: the one before it ends soon.
    pub(crate) fn classic(&mut self, app_id: &str, now: Timestamp) -> Live {
        self.end(app_id, Kind::ClassicToken, now + OUTLIVES);
        self.issue(app_id, Kind::ClassicToken, now)
    }

    fn end(&mut self, app_id: &str, kind: Kind, at: Timestamp) {
        for issued in self.issued.iter_mut().filter(|issued| issued.is_of(app_id, kind)) {
            issued.ends_at = Some(issued.ends_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Makes the newest of an app invalid. Says whether there was one that was good.
    pub(crate) fn revoke(&mut self, app_id: &str, kind: Kind, now: Timestamp) -> bool {
        let newest = self.issued.iter_mut().rfind(|issued| issued.is_of(app_id, kind));
        let Some(issued) = newest.filter(|issued| issued.expires_at > now && !issued.has_ended(now)) else {
            return false;
        };
        issued.ends_at = Some(now);
        true
    }

    /// The app whose access token this is, if it is good.
    pub(crate) fn owner(&self, access_token: Option<&str>, now: Timestamp) -> Result<&str, Answer> {
        let Some(value) = access_token.filter(|value| !value.is_empty()) else {
            return Err(Answer::refusal(41001, "access_token missing"));
        };
        match self.find(value) {
            None => Err(Answer::refusal(40014, "invalid access_token")),
            Some(token) if token.expires_at <= now => Err(Answer::refusal(42001, "access_token expired")),
            Some(token) if token.has_ended(now) => {
                Err(Answer::refusal(40001, "invalid credential, access_token is invalid or not latest"))
            }
            Some(token) => Ok(&token.app_id),
        }
    }

    /// The app whose access token this is or was.
    pub(crate) fn app_of(&self, access_token: &str) -> Option<&str> {
        Some(&self.find(access_token)?.app_id)
    }

    fn find(&self, access_token: &str) -> Option<&Issued> {
        self.issued.iter().find(|issued| issued.kind.is_access_token() && issued.value == access_token)
    }

    fn issue(&mut self, app_id: &str, kind: Kind, now: Timestamp) -> Live {
        let value = kind.random_value();
        let (app_id, expires_at) = (app_id.to_owned(), now + TTL);
        self.issued.push(Issued { app_id, kind, value: value.clone(), expires_at, ends_at: None });
        Live { value, expires_in: TTL.as_secs() }
    }
}

impl Issued {
    fn is_of(&self, app_id: &str, kind: Kind) -> bool {
        self.app_id == app_id && self.kind == kind
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

impl Kind {
    fn is_access_token(self) -> bool {
        matches!(self, Self::AccessToken | Self::ClassicToken)
    }

    /// An access token of 131 characters, of the 512 that WeChat says to have room for; a ticket of 86, as WeChat's.
    fn random_value(self) -> String {
        match self {
            Self::AccessToken | Self::ClassicToken => random::base64url::<98>(),
            Self::WxCard | Self::Jsapi => random::base64url::<64>(),
        }
    }
}
