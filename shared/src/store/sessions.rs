//! Sessions: who a token stands for, until when, and the session_key that belongs to it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{BATCH_WRITE_ITEMS, Table, Write};
use super::users::UserId;
use crate::clock::{Clock, Timestamp};
use crate::deadline::Deadline;
use crate::random;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::wechat::{AppId, Identity, MiniProgramId, OpenId, SessionKey};

const APP_ID: &str = "appId";
const OPEN_ID: &str = "openId";
const SESSION_KEY: &str = "sessionKey";
const SESSION: &str = "SESSION";
const LISTED: &str = "SESSION#";

/// What a client shows to be let in: 256 random bits as base64url.
#[derive(Clone, Debug)]
pub struct SessionToken(Secret);

impl SessionToken {
    /// 32 bytes as base64url without padding.
    const CHARS: usize = 43;

    /// A new token.
    pub fn random() -> Self {
        Self(Secret::new(random::base64url::<32>()))
    }

    /// A token that a client sent, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == Self::CHARS && text.bytes().all(base64url)).then(|| Self(Secret::new(text)))
    }

    /// The token's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored in place of the token.
    pub fn hash(&self) -> SessionHash {
        SessionHash(URL_SAFE_NO_PAD.encode(digest(&SHA256, self.expose().as_bytes())))
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHash(String);

impl SessionHash {
    fn key(&self) -> Key {
        Key::new(format!("{LISTED}{}", self.0), SESSION)
    }

    fn listed_key(&self, user: &UserId) -> Key {
        Key::new(user.partition(), format!("{LISTED}{}", self.0))
    }
}

/// A session that lives.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session's name in the table.
    pub hash: SessionHash,
    /// Whose session it is.
    pub user_id: UserId,
    /// The app that the user logged in with.
    pub app_id: AppId,
    /// The user within that app.
    pub openid: OpenId,
    /// When the session ends.
    pub expires_at: Timestamp,
    sealed_session_key: Option<Vec<u8>>,
}

impl Session {
    /// The mini program of this session. `None` if it is of another kind of app: only a mini program's logins have a
    /// session_key.
    pub fn mini_program(&self) -> Option<MiniProgramId> {
        self.sealed_session_key.as_ref().map(|_| MiniProgramId::new(self.app_id.clone()))
    }

    /// The session_key of the login that made this session. `None` if there was none, or if the key that sealed it is
    /// gone.
    pub fn session_key(&self, sealer: &Sealer) -> Option<SessionKey> {
        let opened = sealer.open(self.sealed_session_key.as_deref()?, &self.hash.key().context(SESSION_KEY))?;
        String::from_utf8(opened).ok().map(SessionKey::new)
    }

    fn read(hash: &SessionHash, row: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            hash: hash.clone(),
            user_id: UserId::new(row.str(attr::USER_ID)?),
            app_id: AppId::new(row.str(APP_ID)?),
            openid: OpenId::new(row.str(OPEN_ID)?),
            expires_at: row.time(attr::EXPIRES_AT)?,
            sealed_session_key: row.optional_bytes(SESSION_KEY)?.map(<[u8]>::to_vec),
        })
    }
}

/// The writes that make a session: its row, and its line in the user's own partition. The token is random, so there is
/// nothing to overwrite.
pub(super) fn create(
    hash: &SessionHash,
    user: &UserId,
    identity: &Identity,
    session_key: Option<&SessionKey>,
    expires_at: Timestamp,
    sealer: &Sealer,
) -> [Write; 2] {
    let key = hash.key();
    let seal = |session_key: &SessionKey| sealer.seal(session_key.expose().as_bytes(), &key.context(SESSION_KEY));
    let sealed = session_key.map(seal);
    let row = Item::new(key)
        .with_str(attr::USER_ID, user.as_str())
        .with_str(APP_ID, identity.app_id.as_str())
        .with_str(OPEN_ID, identity.openid.expose())
        .expiring(expires_at);
    let row = match sealed {
        Some(sealed) => row.with_bytes(SESSION_KEY, sealed),
        None => row,
    };
    [Write::Put(row), Write::Put(Item::new(hash.listed_key(user)).expiring(expires_at))]
}

/// Reads and ends sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    table: Table,
    clock: Clock,
}

impl Sessions {
    /// The sessions in a table.
    pub fn new(table: Table, clock: Clock) -> Self {
        Self { table, clock }
    }

    /// The session that a token stands for, if it lives.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn find(&self, hash: &SessionHash, deadline: Deadline) -> Result<Option<Session>, StoreError> {
        let Some(row) = self.table.get(&hash.key(), deadline).await? else { return Ok(None) };
        let live = !row.is_expired(self.clock.timestamp())?;
        live.then(|| Session::read(hash, &row)).transpose()
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn end(&self, session: &Session, deadline: Deadline) -> Result<(), StoreError> {
        let keys = [session.hash.key(), session.hash.listed_key(&session.user_id)];
        self.table.transact(keys.map(Write::Delete).into(), deadline).await?;
        Ok(())
    }

    /// Ends all sessions of the user whose `session` this is, and returns when none is left.
    ///
    /// The caller's own goes last: whoever meets an error before that can try again with the same token.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline. Some sessions may have ended then.
    pub async fn end_all(&self, session: &Session, deadline: Deadline) -> Result<(), StoreError> {
        let (user, own) = (&session.user_id, &session.hash);
        let mut own_has_ended = false;
        loop {
            let mut others = self.listed(user, deadline).await?;
            let own_is_listed = others.contains(own);
            others.retain(|hash| hash != own);
            match (others.is_empty(), own_has_ended && !own_is_listed) {
                (false, _) => self.delete(user, &others, deadline).await?,
                (true, true) => return Ok(()),
                (true, false) => {
                    self.delete(user, std::slice::from_ref(own), deadline).await?;
                    own_has_ended = true;
                }
            }
        }
    }

    async fn listed(&self, user: &UserId, deadline: Deadline) -> Result<Vec<SessionHash>, StoreError> {
        let keys = self.table.keys(&user.partition(), LISTED, deadline).await?;
        Ok(keys.iter().filter_map(|key| Some(SessionHash(key.sk().strip_prefix(LISTED)?.to_owned()))).collect())
    }

    /// The lines in the user's partition go after the sessions, so that an interrupted logout finds them again; and batch
    /// by batch, so that the next one has less to do.
    async fn delete(&self, user: &UserId, hashes: &[SessionHash], deadline: Deadline) -> Result<(), StoreError> {
        for batch in hashes.chunks(BATCH_WRITE_ITEMS) {
            self.table.delete_batch(batch.iter().map(SessionHash::key), deadline).await?;
            self.table.delete_batch(batch.iter().map(|hash| hash.listed_key(user)), deadline).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_43_characters_of_base64url_are_a_token() {
        let token = SessionToken::random();
        assert!(SessionToken::parse(token.expose()).is_some());
        let tail = &token.expose()[1..];
        for text in [tail, &format!("{token}=", token = token.expose()), &format!("+{tail}"), &format!(" {tail}"), ""] {
            assert!(SessionToken::parse(text).is_none(), "{text}");
        }
    }
}
