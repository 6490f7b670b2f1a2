//! Tokens of users, which an official account or a mobile app gets for a code: with one, it may ask who that is.

use std::collections::HashMap;
use std::time::Duration;

use shared::clock::Timestamp;
use shared::random;

use super::answer::{Answer, given};
use super::grants::Person;

/// How long one is good. Source: official account documentation, "snsAccessToken".
pub(crate) const TTL: Duration = Duration::from_secs(7200);

/// All of them, by their text.
#[derive(Debug, Default)]
pub(crate) struct UserTokens(HashMap<String, UserToken>);

#[derive(Debug)]
struct UserToken {
    app_id: String,
    person: Person,
    expires_at: Timestamp,
}

impl UserTokens {
    /// A new one.
    pub(crate) fn issue(&mut self, app_id: &str, person: Person, now: Timestamp) -> String {
        let value = random::base64url::<64>();
        self.0.insert(value.clone(), UserToken { app_id: app_id.to_owned(), person, expires_at: now + TTL });
        value
    }

    /// The app that has it, even if it is no longer good.
    pub(crate) fn app_of(&self, value: &str) -> Option<&str> {
        Some(&self.0.get(value)?.app_id)
    }

    /// Whose it is, who has to have this openid.
    pub(crate) fn person(&self, value: Option<&str>, openid: Option<&str>, now: Timestamp) -> Result<&Person, Answer> {
        let value = given(value, 41001, "access_token missing")?;
        let token = self.0.get(value).ok_or_else(|| Answer::refusal(40014, "invalid access_token"))?;
        if token.expires_at <= now {
            return Err(Answer::refusal(42001, "access_token expired"));
        }
        let openid = given(openid, 41009, "missing openid")?;
        let is_theirs = token.person.openid == openid;
        is_theirs.then_some(&token.person).ok_or_else(|| Answer::refusal(40003, "invalid openid"))
    }
}
