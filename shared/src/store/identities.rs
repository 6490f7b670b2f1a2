//! Identities, and the users they lead to: what a login does about one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Change, Table, Write};
use super::users::{OPEN_ID, User, UserId, listed_openid_key, user_row};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::wechat::{Identity, UnionId};

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
        let openid = || [lead_here(openid_key(identity)), list_openid(self.user(), identity)];
        let unionid = identity.unionid.as_ref();
        match self {
            Self::Adopt(_) => openid().into(),
            Self::Create(user) => {
                let leads_here = unionid.map(|id| lead_here(unionid_key(id)));
                [Write::Create(user_row(user, unionid, now))].into_iter().chain(openid()).chain(leads_here).collect()
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

/// A user's unionid is written once, and never over another.
fn link(user: &UserId, unionid: &UnionId) -> Write {
    Write::Update(Change {
        key: user.key(),
        update: "SET unionId = :unionid",
        condition: Some("attribute_exists(pk) AND attribute_not_exists(unionId)"),
        values: HashMap::from([(":unionid".to_owned(), AttributeValue::S(unionid.expose().to_owned()))]),
    })
}

/// The way from a user to the openid. A user has one in each app; the last one counts.
fn list_openid(user: &UserId, identity: &Identity) -> Write {
    let row = Item::new(listed_openid_key(user, &identity.app_id));
    Write::Put(row.with_str(OPEN_ID, identity.openid.expose()))
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
