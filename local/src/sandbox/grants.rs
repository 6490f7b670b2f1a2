//! What people grant to apps, by codes.

use std::time::Duration;

use shared::wechat::AppKind;

use super::answer::Answer;
use super::codes::{BadCode, Grant};
use super::people::{self, Phone};
use super::state::{Nobody, State};

/// A code of `wx.login`, of a page, or for a phone number, is good for five minutes, once.
const CODE_TTL: Duration = Duration::from_secs(300);

/// A code of a mobile app is good for ten minutes, once.
const MOBILE_CODE_TTL: Duration = Duration::from_secs(600);

/// Who somebody is to an app.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The name of the user.
    pub(crate) user: String,
    pub(crate) openid: String,
    pub(crate) unionid: Option<String>,
    /// Whether it is nobody: WeChat makes up ids for a snapshot.
    pub(crate) made_up: bool,
}

impl State {
    /// `wx.login`: a code for a user of an app.
    pub(crate) fn issue_login_code(&mut self, user: &str, app_id: &str) -> Result<String, Nobody> {
        if self.kind_of(app_id) != Some(AppKind::MiniProgram) || !self.users.contains_key(user) {
            return Err(Nobody);
        }
        Ok(self.login_codes.issue(Grant::new(app_id, user), self.now(), CODE_TTL))
    }

    /// Takes a code for the user that it belongs to, as `code2Session` does.
    pub(crate) fn take_login_code(&mut self, code: &str, app_id: &str) -> Result<String, Answer> {
        let grant = self.login_codes.take(code, app_id, self.now()).map_err(refusal)?;
        let blocked = self.users.get(&grant.user).is_some_and(|user| user.blocked);
        if blocked { Err(Answer::refusal(40226, "code blocked")) } else { Ok(grant.user) }
    }

    /// A code for a user's phone number.
    pub(crate) fn issue_phone_code(&mut self, user: &str, app_id: &str) -> String {
        self.phone_codes.issue(Grant::new(app_id, user), self.now(), CODE_TTL)
    }

    /// Takes a code for the phone number that it stands for. A refusal uses nothing up.
    pub(crate) fn take_phone_code(&mut self, code: &str, app_id: &str, openid: Option<&str>) -> Result<Phone, BadCode> {
        let now = self.now();
        let grant = self.phone_codes.find(code, app_id, now)?;
        let user = self.users.get(&grant.user).ok_or(BadCode::Invalid)?;
        if openid.is_some_and(|openid| user.openid(app_id) != Some(openid)) {
            return Err(BadCode::Invalid);
        }
        self.phone_codes.take(code, app_id, now)?;
        Ok(user.phone.clone())
    }

    /// OAuth: a code for a user of an official account or a mobile app.
    pub(crate) fn issue_oauth_code(&mut self, user: &str, app_id: &str, snapshot: bool) -> Result<String, Nobody> {
        let ttl = match self.kind_of(app_id).filter(|_| self.users.contains_key(user)) {
            Some(AppKind::OfficialAccount) => CODE_TTL,
            Some(AppKind::MobileApp) => MOBILE_CODE_TTL,
            Some(AppKind::MiniProgram) | None => return Err(Nobody),
        };
        Ok(self.oauth_codes.issue(Grant { snapshot, ..Grant::new(app_id, user) }, self.now(), ttl))
    }

    /// Takes a code for the person that it belongs to.
    pub(crate) fn take_oauth_code(&mut self, code: &str, app_id: &str) -> Result<Person, Answer> {
        let grant = self.oauth_codes.take(code, app_id, self.now()).map_err(refusal)?;
        let user = self.users.get_mut(&grant.user).ok_or_else(|| refusal(BadCode::Invalid))?;
        Ok(if grant.snapshot {
            let unionid = user.unionid.as_ref().map(|_| people::unionid());
            Person { user: grant.user, openid: people::openid(), unionid, made_up: true }
        } else {
            let (openid, unionid) = (user.enter(app_id), user.unionid.clone());
            Person { user: grant.user, openid, unionid, made_up: false }
        })
    }
}

fn refusal(bad: BadCode) -> Answer {
    match bad {
        BadCode::Foreign | BadCode::Invalid => Answer::refusal(40029, "invalid code"),
        BadCode::Used => Answer::refusal(40163, "code been used"),
    }
}
