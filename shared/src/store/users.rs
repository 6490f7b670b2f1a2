//! Users, and the identities that lead to them.
//!
//! A user has one row, and one more row for each openid and for the unionid that lead there. Those rows' keys make an
//! identity unique: two logins at once cannot both create a user for it.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Change, Changed, Table, Write};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::random;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::wechat::{AppId, OpenId, UnionId};

const AVATAR_URL: &str = "avatarUrl";
const NICK_NAME: &str = "nickName";
pub(super) const OPEN_ID: &str = "openId";
const PHONE_NUMBER: &str = "phoneNumber";
pub(super) const UNION_ID: &str = "unionId";

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

    pub(super) fn key(&self) -> Key {
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
    pub(super) fn blank(id: &UserId, unionid: Option<UnionId>) -> Self {
        Self { id: id.clone(), nick_name: None, avatar_url: None, unionid, phone_number: None }
    }
}

/// Reads users.
#[derive(Clone, Debug)]
pub struct Users {
    pub(super) table: Table,
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

    /// Sets what is given of a profile, and returns the user as he or she is then. `None` if there is no such user.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn set_profile(
        &self,
        id: &UserId,
        nick_name: Option<&str>,
        avatar_url: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let update = match (nick_name, avatar_url) {
            (None, None) => return self.find(id, deadline).await,
            (Some(_), None) => "SET nickName = :nickName",
            (None, Some(_)) => "SET avatarUrl = :avatarUrl",
            (Some(_), Some(_)) => "SET nickName = :nickName, avatarUrl = :avatarUrl",
        };
        let value = |name: &str, text: &str| (name.to_owned(), AttributeValue::S(text.to_owned()));
        let nick_name = nick_name.map(|text| value(":nickName", text));
        let values = nick_name.into_iter().chain(avatar_url.map(|text| value(":avatarUrl", text))).collect();
        self.change(id, update, values, deadline).await
    }

    /// Sets the phone number, and returns the user as he or she is then. `None` if there is no such user.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn set_phone_number(
        &self,
        id: &UserId,
        number: &Secret,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let sealed = self.sealer.seal(number.expose().as_bytes(), &id.key().context(PHONE_NUMBER));
        let values = HashMap::from([(":sealed".to_owned(), AttributeValue::B(Blob::new(sealed)))]);
        self.change(id, "SET phoneNumber = :sealed", values, deadline).await
    }

    async fn change(
        &self,
        id: &UserId,
        update: &'static str,
        values: HashMap<String, AttributeValue>,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let change = Change { key: id.key(), update, condition: Some("attribute_exists(pk)"), values };
        match self.table.change(change, deadline).await? {
            Changed::Done(row) => self.read(id, &row).map(Some),
            Changed::ConditionFailed(_) => Ok(None),
        }
    }

    /// The openid of a user in an app, if he or she has logged in there.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn openid(&self, id: &UserId, app_id: &AppId, deadline: Deadline) -> Result<Option<OpenId>, StoreError> {
        let row = self.table.get(&listed_openid_key(id, app_id), deadline).await?;
        row.map(|row| row.str(OPEN_ID).map(OpenId::new)).transpose()
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

pub(super) fn user_row(id: &UserId, unionid: Option<&UnionId>, now: Timestamp) -> Item {
    let row = Item::new(id.key()).with_time(attr::CREATED_AT, now);
    match unionid {
        Some(unionid) => row.with_str(UNION_ID, unionid.expose()),
        None => row,
    }
}

pub(super) fn listed_openid_key(user: &UserId, app_id: &AppId) -> Key {
    Key::new(user.partition(), format!("OPENID#{}", app_id.as_str()))
}
