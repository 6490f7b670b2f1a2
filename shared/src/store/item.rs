//! Rows: keys, attributes, and the typed way in and out of them.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Corrupt, StoreError};
use crate::clock::Timestamp;

/// Names of attributes that more than one kind of row has.
pub(super) mod attr {
    pub(crate) const PK: &str = "pk";
    pub(crate) const SK: &str = "sk";
    pub(crate) const TTL: &str = "ttl";
    pub(crate) const EXPIRES_AT: &str = "expiresAt";
    pub(crate) const CREATED_AT: &str = "createdAt";
    pub(crate) const USER_ID: &str = "userId";
}

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pk: String,
    sk: String,
}

impl Key {
    pub(super) fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    pub(super) fn pk(&self) -> &str {
        &self.pk
    }

    pub(super) fn sk(&self) -> &str {
        &self.sk
    }

    /// Names an attribute of this row, to seal its value for this place only.
    pub(super) fn context(&self, attribute: &str) -> String {
        format!("{}\n{}\n{attribute}", self.pk, self.sk)
    }

    pub(super) fn attributes(self) -> HashMap<String, AttributeValue> {
        let pk = (attr::PK.to_owned(), AttributeValue::S(self.pk));
        let sk = (attr::SK.to_owned(), AttributeValue::S(self.sk));
        HashMap::from([pk, sk])
    }
}

/// A row. It holds personal data, so it cannot be printed.
pub(super) struct Item(HashMap<String, AttributeValue>);

impl Item {
    pub(super) fn new(key: Key) -> Self {
        Self(key.attributes())
    }

    pub(super) fn from_attributes(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }

    pub(super) fn with_str(self, name: &str, value: impl Into<String>) -> Self {
        self.with(name, AttributeValue::S(value.into()))
    }

    pub(super) fn with_bytes(self, name: &str, value: Vec<u8>) -> Self {
        self.with(name, AttributeValue::B(Blob::new(value)))
    }

    pub(super) fn with_time(self, name: &str, value: Timestamp) -> Self {
        self.with_number(name, value.as_secs())
    }

    /// The row stops to count at `at`, and DynamoDB deletes it some time later.
    pub(super) fn expiring(self, at: Timestamp) -> Self {
        self.with_time(attr::EXPIRES_AT, at).with_time(attr::TTL, at)
    }

    pub(super) fn with_number(self, name: &str, value: u64) -> Self {
        self.with(name, AttributeValue::N(value.to_string()))
    }

    pub(super) fn with_true(self, name: &str) -> Self {
        self.with(name, AttributeValue::Bool(true))
    }

    /// A list of maps.
    pub(super) fn with_list(self, name: &str, maps: impl IntoIterator<Item = Self>) -> Self {
        self.with(name, list(maps))
    }

    fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// A map inside a row.
    pub(super) fn map() -> Self {
        Self(HashMap::new())
    }

    pub(super) fn into_attributes(self) -> HashMap<String, AttributeValue> {
        self.0
    }

    /// That an attribute is not there, or not what it has to be.
    pub(super) fn corrupt(&self, attribute: &'static str) -> StoreError {
        let text = |name: &str| self.0.get(name)?.as_s().ok();
        let key = text(attr::PK).zip(text(attr::SK)).map(|(pk, sk)| Key::new(pk.clone(), sk));
        key.map_or_else(|| Corrupt::unnamed(attribute), |key| Corrupt::of(&key, attribute)).into()
    }

    pub(super) fn key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(self.str(attr::PK)?.to_owned(), self.str(attr::SK)?))
    }

    pub(super) fn str(&self, name: &'static str) -> Result<&str, StoreError> {
        self.optional_str(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn optional_str(&self, name: &'static str) -> Result<Option<&str>, StoreError> {
        let value = self.0.get(name).map(AttributeValue::as_s).transpose();
        value.map(|text| text.map(String::as_str)).map_err(|_| self.corrupt(name))
    }

    pub(super) fn optional_bytes(&self, name: &'static str) -> Result<Option<&[u8]>, StoreError> {
        let value = self.0.get(name).map(AttributeValue::as_b).transpose();
        value.map(|blob| blob.map(AsRef::as_ref)).map_err(|_| self.corrupt(name))
    }

    /// What is not there is false.
    pub(super) fn is_true(&self, name: &'static str) -> Result<bool, StoreError> {
        let value = self.0.get(name).map(AttributeValue::as_bool).transpose();
        value.map(|value| value == Some(&true)).map_err(|_| self.corrupt(name))
    }

    /// Reads each map of a list.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Self) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let corrupt = || self.corrupt(name);
        let list = self.0.get(name).and_then(|value| value.as_l().ok()).ok_or_else(corrupt)?;
        let map = |value: &AttributeValue| {
            let map = Self(value.as_m().map_err(|_| corrupt())?.clone());
            // What is inside has no key of its own.
            read(&map).map_err(|err| match err {
                StoreError::Corrupt(inside) => self.corrupt(inside.attribute()),
                err => err,
            })
        };
        list.iter().map(map).collect()
    }

    pub(super) fn number<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.optional_number(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(super) fn time(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_secs)
    }

    pub(super) fn optional_number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let parse = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
        self.0.get(name).map(|value| parse(value).ok_or_else(|| self.corrupt(name))).transpose()
    }

    /// Whether the row counts no more, deleted or not.
    pub(super) fn is_expired(&self, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.time(attr::EXPIRES_AT)? <= now)
    }
}

/// A list of maps, as a value in an expression.
pub(super) fn list(maps: impl IntoIterator<Item = Item>) -> AttributeValue {
    AttributeValue::L(maps.into_iter().map(|map| AttributeValue::M(map.0)).collect())
}

/// A text in an expression, under its name there.
pub(super) fn text(name: &str, text: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::S(text.to_owned()))
}

/// What is to be added to a number in an expression: may be negative.
pub(super) fn difference(name: &str, difference: i64) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::N(difference.to_string()))
}

/// A number in an expression, under its name there.
pub(super) fn number(name: &str, number: u64) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::N(number.to_string()))
}
