//! Users, and the identities that lead to them.
//!
//! A user has one row, and one more row for each openid and for the unionid that lead there. Those rows' keys make an
//! identity unique: two logins at once cannot both create a user for it.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Change, Table, Write};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::random;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::wechat::{Identity, UnionId};

const AVATAR_URL: &str = "avatarUrl";
const NICK_NAME: &str = "nickName";
const OTHER_USER_ID: &str = "otherUserId";
const PHONE_NUMBER: &str = "phoneNumber";
const UNION_ID: &str = "unionId";

/// The id of a user of ours. It says nothing about the person, and may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId(String);

impl UserId {
    /// A new id of 128 random bits.
    pub fn random() -> Self {
        Self(format!("u_{}", random::base64url::<16>()))
    }

    /// An id that exists already.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn partition(&self) -> String {
        format!("USER#{}", self.0)
    }

    fn key(&self) -> Key {
        Key::new(self.partition(), "USER")
    }
}

/// What is known of a user.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The name that the user set. Personal data.
    pub nick_name: Option<Secret>,
    /// The picture that the user set. Personal data.
    pub avatar_url: Option<Secret>,
    /// The user across apps, where that is known. Personal data.
    pub unionid: Option<UnionId>,
    /// The phone number, unless the key that sealed it is gone. Personal data.
    pub phone_number: Option<Secret>,
}

impl User {
    fn blank(id: &UserId, unionid: Option<UnionId>) -> Self {
        Self { id: id.clone(), nick_name: None, avatar_url: None, unionid, phone_number: None }
    }
}

/// Reads users.
#[derive(Clone, Debug)]
pub struct Users {
    table: Table,
    sealer: Arc<Sealer>,
}

impl Users {
    /// The users in a table.
    pub fn new(table: Table, sealer: Arc<Sealer>) -> Self {
        Self { table, sealer }
    }

    /// The user with that id.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn find(&self, id: &UserId, deadline: Deadline) -> Result<Option<User>, StoreError> {
        let row = self.table.get(&id.key(), deadline).await?;
        row.map(|row| self.read(id, &row)).transpose()
    }

    /// Makes a user's row anew that somebody deleted by hand: the identities, `unionid` among them, still lead there.
    pub(super) async fn restore(
        &self,
        id: &UserId,
        unionid: Option<&UnionId>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<User, StoreError> {
        // Where the condition fails, somebody else has just done it.
        self.table.transact(vec![Write::Create(user_row(id, unionid, now))], deadline).await?;
        Ok(User::blank(id, unionid.cloned()))
    }

    /// Records that `unionid` is not this user's: one row for each such pair. Returns once it is there.
    pub(super) async fn record_conflict(
        &self,
        user: &UserId,
        other: Option<&UserId>,
        unionid: &UnionId,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = Key::new(user.partition(), format!("CONFLICT#{}", unionid.expose()));
        let row = Item::new(key).with_str(UNION_ID, unionid.expose()).with_time(attr::CREATED_AT, now);
        let row = match other {
            Some(other) => row.with_str(OTHER_USER_ID, other.as_str()),
            None => row,
        };
        self.table.transact(vec![Write::Create(row)], deadline).await.map(|_| ())
    }

    fn read(&self, id: &UserId, row: &Item) -> Result<User, StoreError> {
        let secret = |name| Ok::<_, StoreError>(row.optional_str(name)?.map(Secret::new));
        let sealed = row.optional_bytes(PHONE_NUMBER)?;
        let opened = sealed.and_then(|sealed| self.sealer.open(sealed, &id.key().context(PHONE_NUMBER)));
        Ok(User {
            id: id.clone(),
            nick_name: secret(NICK_NAME)?,
            avatar_url: secret(AVATAR_URL)?,
            unionid: row.optional_str(UNION_ID)?.map(UnionId::new),
            phone_number: opened.and_then(|number| String::from_utf8(number).ok()).map(Secret::new),
        })
    }
}

/// Whom an identity leads to, as the table has it.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_openid: Option<UserId>,
    by_unionid: Option<UserId>,
}

impl Known {
    /// Reads both rows in one round trip.
    pub(super) async fn read(table: &Table, identity: &Identity, deadline: Deadline) -> Result<Self, StoreError> {
        let openid_key = openid_key(identity);
        let unionid_key = identity.unionid.as_ref().map(unionid_key);
        let keys: Vec<Key> = std::iter::once(openid_key.clone()).chain(unionid_key).collect();
        let mut known = Self::default();
        for row in table.get_many(&keys, deadline).await? {
            let user = UserId::new(row.str(attr::USER_ID)?);
            let found = if row.key()? == openid_key { &mut known.by_openid } else { &mut known.by_unionid };
            *found = Some(user);
        }
        Ok(known)
    }
}

/// What a login does to the users.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A new openid of a user who is known by the unionid.
    Adopt(UserId),
    /// The unionid is another user's, or the user has another one: the openid decides, and nothing is linked.
    Conflict { user: UserId, other: Option<UserId> },
    /// Nobody knows this identity.
    Create(UserId),
    /// The user's unionid has become known.
    Link(UserId),
    /// Nothing is new.
    Return(UserId),
}

impl Plan {
    /// `has_another_unionid` is known only after linking was refused for that reason.
    pub(super) fn new(known: Known, identity: &Identity, has_another_unionid: bool) -> Self {
        match (known.by_openid, known.by_unionid, &identity.unionid) {
            (None, None, _) => Self::Create(UserId::random()),
            (None, Some(user), _) => Self::Adopt(user),
            (Some(user), _, None) => Self::Return(user),
            (Some(user), Some(other), Some(_)) if user == other => Self::Return(user),
            (Some(user), Some(other), Some(_)) => Self::Conflict { user, other: Some(other) },
            (Some(user), None, Some(_)) if has_another_unionid => Self::Conflict { user, other: None },
            (Some(user), None, Some(_)) => Self::Link(user),
        }
    }

    pub(super) fn user(&self) -> &UserId {
        match self {
            Self::Adopt(user)
            | Self::Conflict { user, .. }
            | Self::Create(user)
            | Self::Link(user)
            | Self::Return(user) => user,
        }
    }

    /// The writes that carry it out. Where there is a change to the user's row, it is the first.
    pub(super) fn writes(&self, identity: &Identity, now: Timestamp) -> Vec<Write> {
        let lead_here = |key: Key| {
            let row = Item::new(key).with_str(attr::USER_ID, self.user().as_str());
            Write::Create(row.with_time(attr::CREATED_AT, now))
        };
        let openid = || lead_here(openid_key(identity));
        let unionid = identity.unionid.as_ref();
        match self {
            Self::Adopt(_) => vec![openid()],
            Self::Create(user) => {
                let leads_here = unionid.map(|id| lead_here(unionid_key(id)));
                [Write::Create(user_row(user, unionid, now)), openid()].into_iter().chain(leads_here).collect()
            }
            Self::Link(user) => {
                let link = unionid.map(|id| [link(user, id), lead_here(unionid_key(id))]);
                link.into_iter().flatten().collect()
            }
            Self::Conflict { .. } | Self::Return(_) => Vec::new(),
        }
    }

    /// The unionid of the login, if it leads to the user already.
    pub(super) fn known_unionid<'a>(&self, identity: &'a Identity) -> Option<&'a UnionId> {
        match self {
            Self::Adopt(_) | Self::Return(_) => identity.unionid.as_ref(),
            Self::Conflict { .. } | Self::Create(_) | Self::Link(_) => None,
        }
    }

    /// The user as he or she is once a new row has been written, if this makes one.
    pub(super) fn created_user(&self, identity: &Identity) -> Option<User> {
        let Self::Create(id) = self else { return None };
        Some(User::blank(id, identity.unionid.clone()))
    }
}

fn user_row(id: &UserId, unionid: Option<&UnionId>, now: Timestamp) -> Item {
    let row = Item::new(id.key()).with_time(attr::CREATED_AT, now);
    match unionid {
        Some(unionid) => row.with_str(UNION_ID, unionid.expose()),
        None => row,
    }
}

/// A user's unionid is written once, and never over another.
fn link(user: &UserId, unionid: &UnionId) -> Write {
    Write::Update(Change {
        key: user.key(),
        update: "SET unionId = :unionid",
        condition: Some("attribute_exists(pk) AND attribute_not_exists(unionId)"),
        values: HashMap::from([(":unionid".to_owned(), AttributeValue::S(unionid.expose().to_owned()))]),
    })
}

fn openid_key(identity: &Identity) -> Key {
    let (app_id, openid) = (identity.app_id.as_str(), identity.openid.expose());
    Key::new(format!("OPENID#{app_id}#{openid}"), "OPENID")
}

fn unionid_key(unionid: &UnionId) -> Key {
    Key::new(format!("UNIONID#{}", unionid.expose()), "UNIONID")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::{AppId, OpenId};

    fn plan(by_openid: Option<&str>, by_unionid: Option<&str>, unionid: bool, another: bool) -> Plan {
        let user = |id: Option<&str>| id.map(UserId::new);
        let known = Known { by_openid: user(by_openid), by_unionid: user(by_unionid) };
        let unionid = unionid.then(|| UnionId::new("union"));
        let identity = Identity { app_id: AppId::new("wx"), openid: OpenId::new("open"), unionid };
        Plan::new(known, &identity, another)
    }

    #[test]
    fn the_openid_decides_and_a_known_unionid_helps_a_new_openid() {
        let user = |id: &str| UserId::new(id);
        assert!(matches!(plan(None, None, false, false), Plan::Create(_)));
        assert!(matches!(plan(None, None, true, false), Plan::Create(_)));
        assert_eq!(plan(None, Some("b"), true, false), Plan::Adopt(user("b")));
        assert_eq!(plan(Some("a"), None, false, false), Plan::Return(user("a")));
        assert_eq!(plan(Some("a"), Some("a"), true, false), Plan::Return(user("a")));
        assert_eq!(plan(Some("a"), None, true, false), Plan::Link(user("a")));
        assert_eq!(plan(Some("a"), None, true, true), Plan::Conflict { user: user("a"), other: None });
        let conflict = Plan::Conflict { user: user("a"), other: Some(user("b")) };
        assert_eq!(plan(Some("a"), Some("b"), true, false), conflict);
    }
}
