//! Access tokens and tickets, for those who use them: kept in memory, read from the table, and asked of
//! `token-refresher` where the table has none.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::cause;
use crate::clock::{Clock, Moment};
use crate::deadline::Deadline;
use crate::lambda::{InvokeError, Lambda};
use crate::pause::{Pauses, TooLate};
use crate::random;
use crate::store::tokens::TokenId;
use crate::store::tokens::protocol::{CLAIM, Held, ReaderStep, Row, Stopped, Want, Watch};
use crate::store::{StoreError, TokenRows};
use crate::wechat::errcode::{self, Class};
use crate::wechat::{MiniProgramId, OfficialAccountId, Refusal, TokenKind, TokenValue, WechatError};

/// A reader looks for a newer value when no more than this is left, or a quarter of the value's life.
const LOOK_BEFORE: Duration = Duration::from_secs(300);
/// How often it looks then.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long it waits for the table then.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Pauses between looks at the table, while somebody else refreshes.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// How long a reader tries to claim, before it looks whether somebody else has.
const CLAIM_WITHIN: Duration = Duration::from_millis(500);

/// The tokens that a function uses.
#[derive(Debug)]
pub struct Tokens {
    rows: TokenRows,
    lambda: Lambda,
    refresher: String,
    clock: Clock,
    held: Mutex<HashMap<TokenId, InMemory>>,
}

#[derive(Clone, Debug)]
struct InMemory {
    held: Held,
    looked_at: Moment,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The refresher cannot be invoked, or does not know the app.
    #[error("token-refresher cannot be invoked")]
    Invoke(#[source] InvokeError),
    /// WeChat refuses a new token as well.
    #[error("WeChat refuses the token, and another one too, with errcode {}", .0.errcode)]
    Refused(Refusal),
    /// The last refresh failed, and nobody asks WeChat for a while.
    #[error("no token: {:?}, nobody asks WeChat for another {wait:?}", .stopped.reason)]
    Stopped {
        /// Why, and until when.
        stopped: Stopped,
        /// How long that is.
        wait: Duration,
    },
    /// The table gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There was none before the deadline.
    #[error("no token came up before the deadline")]
    TooLate,
}

impl Tokens {
    /// Tokens in a table, and who refreshes them.
    pub fn new(rows: TokenRows, lambda: Lambda, refresher: String, clock: Clock) -> Self {
        Self { rows, lambda, refresher, clock, held: Mutex::default() }
    }

    /// Makes a call of WeChat's API with a mini program's access token; and makes it again, once, with another one, if
    /// WeChat refuses the token.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if there is no token; [`WechatError`] inside, if the call fails for another reason.
    pub async fn with_access_token<T, F>(
        &self,
        app: &MiniProgramId,
        deadline: Deadline,
        call: impl Fn(TokenValue) -> F,
    ) -> Result<Result<T, WechatError>, TokenError>
    where
        F: Future<Output = Result<T, WechatError>>,
    {
        let id = TokenId { app_id: app.as_app_id().clone(), kind: TokenKind::AccessToken };
        let token = self.get(&id, deadline).await?;
        match call(token.clone()).await {
            Err(err) if refused_token(&err).is_some() => {}
            outcome => return Ok(outcome),
        }
        let other = self.fetch(&id, Want::Other(token.hash()), deadline).await?;
        let outcome = call(other).await;
        match outcome.as_ref().err().and_then(refused_token) {
            Some(refusal) => Err(TokenError::Refused(refusal.clone())),
            None => Ok(outcome),
        }
    }

    /// The api_ticket of an official account, which signs its cards.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn wx_card(&self, account: &OfficialAccountId, deadline: Deadline) -> Result<TokenValue, TokenError> {
        let id = TokenId { app_id: account.as_app_id().clone(), kind: TokenKind::WxCard };
        self.get(&id, deadline).await
    }

    /// A usable value, from memory if that has one.
    async fn get(&self, id: &TokenId, deadline: Deadline) -> Result<TokenValue, TokenError> {
        let now = self.clock.moment();
        let known = self.lock().get(id).filter(|known| known.held.is_usable(now)).cloned();
        match known {
            Some(known) if known.wants_a_look(now) => Ok(self.look(id, known.held, deadline).await),
            Some(known) => Ok(known.held.value),
            None => self.fetch(id, Want::Usable, deadline).await,
        }
    }

    /// Looks whether the table has a newer value than this one, which is good enough all the same.
    async fn look(&self, id: &TokenId, known: Held, deadline: Deadline) -> TokenValue {
        let now = self.clock.moment();
        let found = self.rows.read(id, deadline.at_most(LOOK_WITHIN)).await.ok().and_then(|row| row.value);
        let newer = found.filter(|found| found.is_usable(now) && found.expires_at > known.expires_at);
        self.remember(id, newer.unwrap_or(known))
    }

    /// A value from the table, which the refresher writes if there is none that will do. One reader of all asks it.
    async fn fetch(&self, id: &TokenId, want: Want, deadline: Deadline) -> Result<TokenValue, TokenError> {
        let (mut watch, mut pauses) = (Watch::default(), Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, deadline));
        loop {
            let row = self.rows.read(id, deadline).await?;
            let now = self.clock.moment();
            match row.reader_step(&want, now, watch.see(&row)) {
                ReaderStep::Use(held) => return Ok(self.remember(id, held.clone())),
                ReaderStep::Stop(stopped) => {
                    let wait = stopped.until.since(now);
                    return Err(TokenError::Stopped { stopped, wait });
                }
                ReaderStep::Claim => {
                    if self.claim(id, &row, deadline).await? && self.ask(id, &want, deadline).await? {
                        continue; // The row says what came of it.
                    }
                }
                ReaderStep::Wait => {}
            }
            // No longer than the lease or the claim that it waits for.
            let most = row.busy_for(now).map_or(LONGEST_PAUSE, |left| left + random::jitter(FIRST_PAUSE));
            pauses.next_at_most(most).await.map_err(|TooLate| TokenError::TooLate)?;
        }
    }

    /// Tries to become the one who asks. A table that has no time for it has it for somebody else.
    async fn claim(&self, id: &TokenId, row: &Row, deadline: Deadline) -> Result<bool, StoreError> {
        match self.rows.claim(id, row, self.clock.moment(), deadline.at_most(CLAIM_WITHIN)).await {
            Ok(claimed) => Ok(claimed.is_ok()),
            Err(StoreError::Busy(_)) => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// Invokes the refresher, and returns whether it ran. If it did not, the claim runs out, and somebody asks again.
    async fn ask(&self, id: &TokenId, want: &Want, deadline: Deadline) -> Result<bool, TokenError> {
        let failed = match want {
            Want::Other(hash) => hash.as_str(),
            Want::Anew { .. } | Want::NotDue | Want::Usable => "none",
        };
        let event = json!({ "appId": id.app_id.as_str(), "kind": id.kind, "failed": failed });
        // It goes on if this takes longer, and so does the look at the table.
        match self.lambda.invoke(&self.refresher, &event, deadline.at_most(CLAIM)).await {
            Ok(()) => Ok(true),
            Err(err) if err.is_final() => Err(TokenError::Invoke(err)),
            Err(err) => {
                tracing::warn!(cause = cause::chain(&err), "token-refresher did not run to its end");
                Ok(false)
            }
        }
    }

    fn remember(&self, id: &TokenId, held: Held) -> TokenValue {
        let value = held.value.clone();
        self.lock().insert(id.clone(), InMemory { held, looked_at: self.clock.moment() });
        value
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, InMemory>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InMemory {
    fn wants_a_look(&self, now: Moment) -> bool {
        let life = self.held.expires_at.since(self.held.obtained_at);
        self.held.left(now) <= LOOK_BEFORE.min(life / 4) && now.since(self.looked_at) >= LOOK_EVERY
    }
}

/// WeChat's refusal of the token itself (40001, 40014, 42001).
fn refused_token(err: &WechatError) -> Option<&Refusal> {
    err.refusal().filter(|refusal| errcode::class(refusal.errcode) == Class::Credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_795_231_800_000);

    fn known(life_secs: u64) -> InMemory {
        let expires_at = NOW + Duration::from_secs(life_secs);
        let held = Held { value: TokenValue::new("v"), obtained_at: NOW, expires_at };
        InMemory { held, looked_at: NOW }
    }

    fn looks_at(life_secs: u64, after_secs: u64) -> bool {
        known(life_secs).wants_a_look(NOW + Duration::from_secs(after_secs))
    }

    #[test]
    fn a_reader_looks_in_the_last_five_minutes_or_the_last_quarter_of_a_short_life() {
        assert!(!looks_at(7200, 6899) && looks_at(7200, 6900));
        assert!(!looks_at(600, 449) && looks_at(600, 450));
    }

    #[test]
    fn a_reader_looks_every_ten_seconds() {
        let mut known = known(7200);
        known.looked_at = NOW + Duration::from_secs(7000);
        let looks_after = |secs| known.wants_a_look(known.looked_at + Duration::from_secs(secs));
        assert!(!looks_after(9) && looks_after(10));
    }
}
