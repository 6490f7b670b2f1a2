//! Logins: an identity becomes a user and a session, in one transaction; a code that comes again finds its session.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::call::{Condition, Pauses};
use super::identities::{Known, Plan};
use super::item::{Item, Key};
use super::links::{UnionIdConflict, link_was_refused};
use super::sessions::{self, SessionToken, Sessions};
use super::table::{Table, Transaction, Write};
use super::users::{User, UserId, Users};
use super::{Corrupt, StoreError};
use crate::clock::{Clock, Timestamp};
use crate::deadline::Deadline;
use crate::seal::Sealer;
use crate::wechat::{AppId, Identity, LoginCode, SessionKey};

/// How long a code leads to the session that it made.
const CODE_TTL: Duration = Duration::from_secs(120);

const SEALED: &str = "sealed";

/// Makes sessions.
#[derive(Clone, Debug)]
pub struct Logins {
    table: Table,
    users: Users,
    sessions: Sessions,
    sealer: Arc<Sealer>,
    clock: Clock,
    session_ttl: Duration,
}

/// What a login starts from.
#[derive(Debug)]
pub struct NewLogin<'a> {
    /// The code that WeChat took.
    pub code: &'a LoginCode,
    /// Who it belongs to.
    pub identity: &'a Identity,
    /// The key that came with it, if it is one of a mini program.
    pub session_key: Option<&'a SessionKey>,
    /// The token of the session to make.
    pub token: SessionToken,
}

/// A user who is logged in.
#[derive(Debug)]
pub struct Login {
    /// The client's token.
    pub token: SessionToken,
    /// How long it is good for.
    pub expires_in_secs: u64,
    /// The user.
    pub user: User,
    /// Whether this login made the user.
    pub is_new: bool,
    /// Whether the unionid is not the user's.
    pub conflict: Option<UnionIdConflict>,
}

impl Logins {
    /// Logins over a table.
    pub fn new(table: Table, sealer: Arc<Sealer>, clock: Clock, session_ttl: Duration) -> Self {
        let users = Users::new(table.clone(), Arc::clone(&sealer));
        let sessions = Sessions::new(table.clone(), clock.clone());
        Self { table, users, sessions, sealer, clock, session_ttl }
    }

    /// Finds or makes the user of an identity, and makes a session.
    ///
    /// One read and one write for a user who returns; more where something is new, or where others are at work on the
    /// same identity.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Nothing was written then, or all of it was.
    pub async fn login(&self, new: &NewLogin<'_>, deadline: Deadline) -> Result<Login, StoreError> {
        let mut has_another_unionid = false;
        let mut pauses = Pauses::until(deadline);
        loop {
            let known = Known::read(&self.table, new.identity, deadline).await?;
            let plan = Plan::new(known, new.identity, has_another_unionid);
            match self.carry_out(&plan, new, deadline).await? {
                Ok(login) => return Ok(login),
                Err(conditions) if link_was_refused(&conditions) => {
                    has_another_unionid = self.users.has_unionid(&plan, self.clock.timestamp(), deadline).await?;
                }
                Err(_) => {}
            }
            pauses.next("others at work on the same identity").await?;
        }
    }

    /// The session that a code made within the last two minutes, if that session lives.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn recall(
        &self,
        app_id: &AppId,
        code: &LoginCode,
        deadline: Deadline,
    ) -> Result<Option<Recalled>, StoreError> {
        let key = code_key(app_id, code);
        let Some(row) = self.table.get(&key, deadline).await? else { return Ok(None) };
        let now = self.clock.timestamp();
        if row.is_expired(now)? {
            return Ok(Some(Recalled::Expired));
        }
        let sealed = row.optional_bytes(SEALED)?.ok_or_else(|| row.corrupt(SEALED))?;
        let opened = self.sealer.bound_to(code.expose().as_bytes()).open(sealed, &key.context(SEALED));
        let Some(record) = opened.and_then(|json| serde_json::from_slice::<CodeRecord>(&json).ok()) else {
            return Ok(Some(Recalled::Expired));
        };
        self.resume(&key, record, deadline).await.map(Some)
    }

    async fn resume(&self, key: &Key, record: CodeRecord, deadline: Deadline) -> Result<Recalled, StoreError> {
        let token = SessionToken::parse(&record.token).ok_or_else(|| Corrupt::of(key, SEALED))?;
        let (hash, user_id) = (token.hash(), UserId::new(record.user_id));
        let reads = tokio::try_join!(self.sessions.find(&hash, deadline), self.users.find(&user_id, deadline))?;
        let (Some(session), Some(user)) = reads else { return Ok(Recalled::NoSession) };
        let expires_in_secs = session.expires_at.secs_since(self.clock.timestamp());
        let login = Login { token, expires_in_secs, user, is_new: record.is_new, conflict: None };
        Ok(Recalled::Live(Box::new(login)))
    }

    /// Writes everything at once, or says which conditions did not hold.
    async fn carry_out(
        &self,
        plan: &Plan,
        new: &NewLogin<'_>,
        deadline: Deadline,
    ) -> Result<Result<Login, Vec<Condition>>, StoreError> {
        let now = self.clock.timestamp();
        let created = plan.created_user(new.identity);
        let is_new = created.is_some();
        let mut writes = plan.writes(new.identity, now);
        let expires_at = now + self.session_ttl;
        let session =
            sessions::create(&new.token.hash(), plan.user(), new.identity, new.session_key, expires_at, &self.sealer);
        writes.extend(session);
        writes.push(self.record_code(new, plan.user(), is_new, now));

        let read = async {
            match created {
                Some(user) => Ok(Some(user)),
                None => self.users.find(plan.user(), deadline).await,
            }
        };
        // A write under way is never abandoned, whatever becomes of the read.
        let (transaction, user) = tokio::join!(self.table.transact(writes, deadline), read);
        if let Transaction::ConditionFailed(failed) = transaction? {
            return Ok(Err(failed));
        }
        let mut user = match user? {
            Some(user) => user,
            None => self.users.restore(plan.user(), plan.known_unionid(new.identity), now, deadline).await?,
        };
        if let Plan::Link(_) = plan {
            user.unionid = new.identity.unionid.clone();
        }
        let conflict = self.users.conflict(plan, &user, new.identity, now, deadline).await;
        Ok(Ok(Login { token: new.token.clone(), expires_in_secs: self.session_ttl.as_secs(), user, is_new, conflict }))
    }

    fn record_code(&self, new: &NewLogin<'_>, user: &UserId, is_new: bool, now: Timestamp) -> Write {
        let key = code_key(&new.identity.app_id, new.code);
        let record = CodeRecord { token: new.token.expose().to_owned(), user_id: user.as_str().to_owned(), is_new };
        let json = serde_json::json!(record).to_string();
        let sealer = self.sealer.bound_to(new.code.expose().as_bytes());
        let sealed = sealer.seal(json.as_bytes(), &key.context(SEALED));
        Write::Put(Item::new(key).with_bytes(SEALED, sealed).expiring(now + CODE_TTL))
    }
}

/// What has become of the session that a code made.
#[derive(Debug)]
pub enum Recalled {
    /// The code leads there no more.
    Expired,
    /// It lives.
    Live(Box<Login>),
    /// It has ended; or it is on its way, because the rows of a transaction do not become visible at one instant.
    NoSession,
}

/// Kept sealed, with a key that needs the code itself.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeRecord {
    token: String,
    user_id: String,
    is_new: bool,
}

/// A code is visible ASCII, so the line break ends the appId, whatever is in that.
fn code_key(app_id: &AppId, code: &LoginCode) -> Key {
    let text = format!("{}\n{}", app_id.as_str(), code.expose());
    Key::new(format!("CODE#{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))), "CODE")
}
