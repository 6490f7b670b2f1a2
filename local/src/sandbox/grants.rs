//! What people grant to apps, by codes.

use std::time::Duration;

use shared::wechat::AppKind;

use super::answer::Answer;
use super::codes::{BadCode, Grant};
use super::people::Phone;
use super::state::{Nobody, State};

/// A code of `wx.login`, or for a phone number, is good for five minutes, once.
const CODE_TTL: Duration = Duration::from_secs(300);

impl State {
    /// `wx.login`: a code for a user of an app.
    pub(crate) fn issue_login_code(&mut self, user: &str, app_id: &str) -> Result<String, Nobody> {
        if self.kind_of(app_id) != Some(AppKind::MiniProgram) || !self.users.contains_key(user) {
            return Err(Nobody);
        }
        let (app_id, user) = (app_id.to_owned(), user.to_owned());
        Ok(self.login_codes.issue(Grant { app_id, user }, self.now(), CODE_TTL))
    }

    /// Takes a code for the user that it belongs to, as `code2Session` does.
    pub(crate) fn take_login_code(&mut self, code: &str, app_id: &str) -> Result<String, Answer> {
        let grant = self.login_codes.take(code, app_id, self.now()).map_err(|bad| match bad {
            BadCode::Foreign | BadCode::Invalid => Answer::refusal(40029, "invalid code"),
            BadCode::Used => Answer::refusal(40163, "code been used"),
        })?;
        let blocked = self.users.get(&grant.user).is_some_and(|user| user.blocked);
        if blocked { Err(Answer::refusal(40226, "code blocked")) } else { Ok(grant.user) }
    }

    /// A code for a user's phone number.
    pub(crate) fn issue_phone_code(&mut self, user: &str, app_id: &str) -> String {
        let (app_id, user) = (app_id.to_owned(), user.to_owned());
        self.phone_codes.issue(Grant { app_id, user }, self.now(), CODE_TTL)
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
}
