//! Access tokens and tickets: one row for each app and kind.

mod failure;
pub mod protocol;
mod row;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use self::protocol::{CLAIM, Failure, Held, LEASE, Reason, Row};
use super::StoreError;
use super::item::Key;
use super::table::{Change, Changed, Table};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::random;
use crate::seal::Sealer;
use crate::wechat::{AppId, TokenHash, TokenKind};

/// Which token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenId {
    /// Whose.
    pub app_id: AppId,
    /// What it is.
    pub kind: TokenKind,
}

impl TokenId {
    fn key(&self) -> Key {
        Key::new(format!("TOKEN#{}#{}", self.app_id.as_str(), self.kind.as_str()), "TOKEN")
    }
}

/// The tokens in a table.
#[derive(Clone, Debug)]
pub struct TokenRows {
    table: Table,
    sealer: Arc<Sealer>,
}

/// A token that is a refresher's alone, for a while.
#[derive(Debug)]
pub struct Lease<'a> {
    id: &'a TokenId,
    writer: String,
    /// The row as it is with the lease taken.
    pub row: Row,
}

/// Somebody else has written first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// What came of a refresh.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// WeChat was not asked.
    Abandoned,
    /// Nothing.
    Failed(Failure),
    /// A value; and that it is the one which WeChat refused, if it is, and until when that is remembered.
    Value(Held, Option<(TokenHash, Moment)>),
}

impl TokenRows {
    /// The tokens in a table.
    pub fn new(table: Table, sealer: Arc<Sealer>) -> Self {
        Self { table, sealer }
    }

    /// Reads a token's row.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn read(&self, id: &TokenId, deadline: Deadline) -> Result<Row, StoreError> {
        let key = id.key();
        match self.table.get(&key, deadline).await? {
            Some(item) => row::read(&self.sealer, &key, &item),
            None => Ok(Row::default()),
        }
    }

    /// Makes the caller the one who asks the refresher, unless `row` has changed; and keeps that the value was wanted.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn claim(
        &self,
        id: &TokenId,
        row: &Row,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Result<(), Lost>, StoreError> {
        let mut values = HashMap::from([
            (":until".to_owned(), number((now + CLAIM).as_millis())),
            (":now".to_owned(), number(now.as_millis())),
        ]);
        let claim = row.claimed_until.map(|until| values.insert(":claim".to_owned(), number(until.as_millis())));
        let condition = match (at_version(row, &mut values), claim) {
            (UNWRITTEN, None) => "attribute_not_exists(version) AND attribute_not_exists(claimedUntilMs)",
            (UNWRITTEN, Some(_)) => "attribute_not_exists(version) AND claimedUntilMs = :claim",
            (_, None) => "version = :version AND attribute_not_exists(claimedUntilMs)",
            (_, Some(_)) => "version = :version AND claimedUntilMs = :claim",
        };
        let update = "SET claimedUntilMs = :until, wantedAtMs = :now";
        let change = Change { key: id.key(), update, condition: Some(condition), values };
        match self.table.change(change, deadline).await? {
            Changed::Done(_) => Ok(Ok(())),
            // Perhaps it is this one, after a lost answer: then somebody claims again when it has run out.
            Changed::ConditionFailed(_) => Ok(Err(Lost)),
        }
    }

    /// Takes the lease, unless `row` has changed.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn take<'a>(
        &self,
        id: &'a TokenId,
        row: &Row,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Result<Lease<'a>, Lost>, StoreError> {
        let (key, writer) = (id.key(), random::base64url::<12>());
        let mut values = HashMap::from([
            (":next".to_owned(), number(row.version + 1)),
            (":until".to_owned(), number((now + LEASE).as_millis())),
            (":writer".to_owned(), AttributeValue::S(writer.clone())),
        ]);
        let condition = Some(at_version(row, &mut values));
        let update = "SET version = :next, leasedUntilMs = :until, writer = :writer";
        let changed = self.table.change(Change { key: key.clone(), update, condition, values }, deadline).await?;
        let item = match changed {
            Changed::Done(item) => item,
            // A lost answer: it was taken by this very call.
            Changed::ConditionFailed(Some(item)) if row::is_by(&item, &writer, row.version + 1)? => item,
            Changed::ConditionFailed(_) => return Ok(Err(Lost)),
        };
        Ok(Ok(Lease { id, writer, row: row::read(&self.sealer, &key, &item)? }))
    }

    /// Writes what came of a refresh and gives the lease back, unless somebody else has taken it.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn settle(
        &self,
        lease: &Lease<'_>,
        outcome: &Outcome,
        deadline: Deadline,
    ) -> Result<Result<(), Lost>, StoreError> {
        let (key, next) = (lease.id.key(), lease.row.version + 1);
        let mut values = HashMap::from([(":next".to_owned(), number(next))]);
        let update = match outcome {
            Outcome::Abandoned => "SET version = :next REMOVE leasedUntilMs",
            Outcome::Failed(failure) => failed(failure, &mut values),
            Outcome::Value(held, stands_by) => self.value(&key, held, stands_by.as_ref(), &mut values),
        };
        let condition = Some(at_version(&lease.row, &mut values));
        match self.table.change(Change { key, update, condition, values }, deadline).await? {
            Changed::Done(_) => Ok(Ok(())),
            Changed::ConditionFailed(Some(item)) if row::is_by(&item, &lease.writer, next)? => Ok(Ok(())),
            Changed::ConditionFailed(_) => Ok(Err(Lost)),
        }
    }

    fn value(
        &self,
        key: &Key,
        held: &Held,
        stands_by: Option<&(TokenHash, Moment)>,
        values: &mut HashMap<String, AttributeValue>,
    ) -> &'static str {
        let sealed = self.sealer.seal(held.value.expose().as_bytes(), &key.context(row::SEALED));
        values.extend([
            (":sealed".to_owned(), AttributeValue::B(Blob::new(sealed))),
            (":obtained".to_owned(), number(held.obtained_at.as_millis())),
            (":expires".to_owned(), number(held.expires_at.as_millis())),
        ]);
        let Some((hash, until)) = stands_by else {
            return "SET version = :next, valueVersion = :next, sealed = :sealed, obtainedAtMs = :obtained, \
                    expiresAtMs = :expires REMOVE leasedUntilMs, claimedUntilMs, errcode, failures, notBeforeMs, \
                    standsBy, standsByUntilMs";
        };
        values.extend([
            (":hash".to_owned(), AttributeValue::S(hash.as_str().to_owned())),
            (":remembered".to_owned(), number(until.as_millis())),
        ]);
        "SET version = :next, valueVersion = :next, sealed = :sealed, obtainedAtMs = :obtained, \
         expiresAtMs = :expires, standsBy = :hash, standsByUntilMs = :remembered \
         REMOVE leasedUntilMs, claimedUntilMs, errcode, failures, notBeforeMs"
    }
}

fn failed(failure: &Failure, values: &mut HashMap<String, AttributeValue>) -> &'static str {
    values.extend([
        (":failures".to_owned(), number(failure.times)),
        (":notBefore".to_owned(), number(failure.not_before.as_millis())),
    ]);
    match failure.reason {
        Reason::Errcode(errcode) => {
            values.insert(":errcode".to_owned(), number(errcode));
            "SET version = :next, errcode = :errcode, failures = :failures, notBeforeMs = :notBefore \
             REMOVE leasedUntilMs, claimedUntilMs"
        }
        Reason::NoAnswer | Reason::StandsBy => {
            "SET version = :next, failures = :failures, notBeforeMs = :notBefore \
             REMOVE leasedUntilMs, claimedUntilMs, errcode"
        }
    }
}

const UNWRITTEN: &str = "attribute_not_exists(version)";

/// The condition that nobody has written since `row` was read.
fn at_version(row: &Row, values: &mut HashMap<String, AttributeValue>) -> &'static str {
    if row.version == 0 {
        return UNWRITTEN;
    }
    values.insert(":version".to_owned(), number(row.version));
    "version = :version"
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
