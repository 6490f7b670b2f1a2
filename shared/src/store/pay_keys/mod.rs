//! The certificates that WeChat Pay signs with, and who fetches them anew: one partition for each merchant.

mod refresh;
mod row;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use self::refresh::{AHEAD, CLAIM, NONE};
pub use self::refresh::{REFRESH_WITHIN, Refreshes};
use self::row::CLAIMANT;
pub use self::row::KeptKeys;
use super::StoreError;
use super::item::{Key, number, text};
use super::table::{Change, Changed, Table, Transaction, Write};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::random;
use crate::wechatpay::MchId;
use crate::wechatpay::v3::PlatformCertificate;

/// What the table has of the keys of a merchant.
#[derive(Clone, Debug)]
pub struct PayKeyRows {
    table: Table,
    partition: String,
}

/// The right to ask WeChat Pay for its certificates.
#[derive(Debug)]
pub struct RefreshClaim {
    claimant: String,
    unknown_serial_at: Option<Moment>,
}

impl PayKeyRows {
    /// The rows of a merchant.
    pub fn new(table: Table, mch_id: &MchId) -> Self {
        Self { table, partition: format!("PAYKEY#{}", mch_id.as_str()) }
    }

    /// Reads all there is, in one round trip.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn read(&self, deadline: Deadline) -> Result<KeptKeys, StoreError> {
        row::read(&self.table.items(&self.partition, deadline).await?)
    }

    /// Reads how far the refreshes are.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn refreshes(&self, deadline: Deadline) -> Result<Refreshes, StoreError> {
        let item = self.table.get(&self.refresh_key(), deadline).await?;
        item.as_ref().map_or_else(|| Ok(Refreshes::default()), row::refreshes)
    }

    /// Claims the right to ask WeChat Pay. `None` if somebody has it, or has had it within the last minute, or WeChat Pay
    /// has said that there is nothing to ask for.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn claim(&self, now: Moment, deadline: Deadline) -> Result<Option<RefreshClaim>, StoreError> {
        let claimant = random::base64url::<12>();
        let values = HashMap::from([
            text(":claimant", &claimant),
            number(":now", now.as_millis()),
            number(":ended", before(now, CLAIM)),
            number(":noneEnded", before(now, NONE)),
            number(":ahead", (now + AHEAD).as_millis()),
        ]);
        let update = "SET claimant = :claimant, claimedAtMs = :now";
        let condition = "(attribute_not_exists(claimedAtMs) OR claimedAtMs <= :ended OR claimedAtMs > :ahead) AND \
                         (attribute_not_exists(noneSinceMs) OR refreshedAtMs <= :noneEnded OR refreshedAtMs > :ahead)";
        let row = match self.change(update, Some(condition), values, deadline).await? {
            Changed::Done(row) => row,
            // After a lost answer, the claim has met itself.
            Changed::ConditionFailed(Some(row)) if row.optional_str(CLAIMANT)? == Some(claimant.as_str()) => row,
            Changed::ConditionFailed(_) => return Ok(None),
        };
        Ok(Some(RefreshClaim { claimant, unknown_serial_at: row::refreshes(&row)?.unknown_serial_at }))
    }

    /// Keeps the certificates that WeChat Pay lists, all or none. Those that it does not list stay for a while. It does
    /// not matter who else has claimed meanwhile: this only adds.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn keep(
        &self,
        claim: &RefreshClaim,
        certificates: &[PlatformCertificate],
        now: Moment,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let update = "SET refreshedAtMs = :now, endedBy = :claimant, answeredMs = :answered REMOVE noneSinceMs";
        let change = Change { key: self.refresh_key(), update, condition: None, values: claim.values(now) };
        let rows =
            certificates.iter().map(|certificate| Write::Put(row::certificate(&self.partition, certificate, now)));
        match self.table.transact(rows.chain([Write::Update(change)]).collect(), deadline).await? {
            Transaction::Committed => Ok(()),
            Transaction::ConditionFailed(_) => Err(StoreError::Refused("a condition failed".to_owned())),
        }
    }

    /// Keeps that WeChat Pay has no certificates for the merchant. One that comes late does not undo what another has
    /// found meanwhile.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn keep_none(&self, claim: &RefreshClaim, now: Moment, deadline: Deadline) -> Result<(), StoreError> {
        let update = "SET refreshedAtMs = :now, endedBy = :claimant, answeredMs = :answered, \
                      noneSinceMs = if_not_exists(noneSinceMs, :now)";
        self.change(update, Some("claimant = :claimant"), claim.values(now), deadline).await.map(|_| ())
    }

    /// Lets nobody wait any longer for a refresh that came to nothing. The claim stands until its minute is over.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn give_up(&self, claim: &RefreshClaim, deadline: Deadline) -> Result<(), StoreError> {
        let values = HashMap::from([text(":claimant", &claim.claimant)]);
        let (update, condition) = ("SET endedBy = :claimant", "claimant = :claimant");
        self.change(update, Some(condition), values, deadline).await.map(|_| ())
    }

    /// Leaves a mark on which the certificates are fetched anew, unless there is one of the last minute.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn mark(&self, now: Moment, deadline: Deadline) -> Result<(), StoreError> {
        let values = HashMap::from([
            number(":now", now.as_millis()),
            number(":ended", before(now, CLAIM)),
            number(":ahead", (now + AHEAD).as_millis()),
        ]);
        let update = "SET unknownSerialAtMs = :now";
        let condition = "attribute_not_exists(unknownSerialAtMs) OR unknownSerialAtMs <= :ended OR \
                         unknownSerialAtMs > :ahead";
        self.change(update, Some(condition), values, deadline).await.map(|_| ())
    }

    async fn change(
        &self,
        update: &'static str,
        condition: Option<&'static str>,
        values: HashMap<String, AttributeValue>,
        deadline: Deadline,
    ) -> Result<Changed, StoreError> {
        self.table.change(Change { key: self.refresh_key(), update, condition, values }, deadline).await
    }

    fn refresh_key(&self) -> Key {
        Key::new(self.partition.clone(), "REFRESH")
    }
}

impl RefreshClaim {
    /// What the end of the refresh writes.
    fn values(&self, now: Moment) -> HashMap<String, AttributeValue> {
        let answered = self.unknown_serial_at.map_or(0, Moment::as_millis);
        HashMap::from([
            text(":claimant", &self.claimant),
            number(":now", now.as_millis()),
            number(":answered", answered),
        ])
    }
}

fn before(now: Moment, length: Duration) -> u64 {
    now.as_millis().saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}
