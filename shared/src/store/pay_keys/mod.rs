//! The certificates that WeChat Pay signs with, and who fetches them anew: one partition for each merchant.

mod refresh;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use self::refresh::{AHEAD, CLAIM, NONE};
pub use self::refresh::{REFRESH_WITHIN, Refreshes};
use super::StoreError;
use super::item::{Item, Key, attr, number, text};
use super::table::{Change, Changed, Table, Transaction, Write};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::random;
use crate::wechatpay::MchId;
use crate::wechatpay::v3::PlatformCertificate;

/// How long a certificate counts that WeChat Pay lists no more: it may still sign with it for a moment.
const UNLISTED: Duration = Duration::from_secs(24 * 3600);

/// How long the row of a certificate is there when it does not count any more.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

const ANSWERED_MS: &str = "answeredMs";
const ASSOCIATED_DATA: &str = "associatedData";
const CERTIFICATE: &str = "CERTIFICATE#";
const CIPHERTEXT: &str = "ciphertext";
const CLAIMANT: &str = "claimant";
const CLAIMED_AT_MS: &str = "claimedAtMs";
const EFFECTIVE_AT: &str = "effectiveAt";
const ENDED_BY: &str = "endedBy";
const LISTED_AT_MS: &str = "listedAtMs";
const NONCE: &str = "nonce";
const NONE_SINCE_MS: &str = "noneSinceMs";
const REFRESHED_AT_MS: &str = "refreshedAtMs";
const SERIAL: &str = "serial";
const UNKNOWN_SERIAL_AT_MS: &str = "unknownSerialAtMs";

/// What the table has of the keys of a merchant.
#[derive(Clone, Debug)]
pub struct PayKeyRows {
    table: Table,
    partition: String,
}

/// All rows of a merchant.
#[derive(Debug)]
pub struct KeptKeys {
    /// The certificates that WeChat Pay lists, or has listed until a short while ago.
    pub certificates: Vec<PlatformCertificate>,
    /// How far the refreshes are.
    pub refreshes: Refreshes,
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
        let items = self.table.items(&self.partition, deadline).await?;
        let mut refreshes = Refreshes::default();
        let mut certificates = Vec::with_capacity(items.len());
        for item in &items {
            if item.str(attr::SK)?.starts_with(CERTIFICATE) {
                // One that cannot be read is none: the others count all the same.
                certificates.extend(certificate(item).ok().zip(moment(item, LISTED_AT_MS).ok()));
            } else {
                refreshes = read_refreshes(item)?;
            }
        }
        let is_listed = |listed_at: &Option<Moment>| match (refreshes.refreshed_at, listed_at) {
            (Some(refreshed_at), Some(listed_at)) => refreshed_at.since(*listed_at) < UNLISTED,
            _ => true,
        };
        certificates.retain(|(_, listed_at)| is_listed(listed_at));
        let certificates = certificates.into_iter().map(|(certificate, _)| certificate).collect();
        Ok(KeptKeys { certificates, refreshes })
    }

    /// Reads how far the refreshes are.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn refreshes(&self, deadline: Deadline) -> Result<Refreshes, StoreError> {
        let item = self.table.get(&self.refresh_key(), deadline).await?;
        item.as_ref().map_or_else(|| Ok(Refreshes::default()), read_refreshes)
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
        Ok(Some(RefreshClaim { claimant, unknown_serial_at: read_refreshes(&row)?.unknown_serial_at }))
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
        let rows = certificates.iter().map(|certificate| Write::Put(self.row(certificate, now)));
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

    fn row(&self, certificate: &PlatformCertificate, now: Moment) -> Item {
        Item::new(Key::new(self.partition.clone(), format!("{CERTIFICATE}{}", certificate.serial)))
            .with_str(SERIAL, &certificate.serial)
            .with_time(EFFECTIVE_AT, certificate.effective_at)
            .with_time(attr::EXPIRES_AT, certificate.expires_at)
            .with_time(attr::TTL, certificate.expires_at + KEPT)
            .with_number(LISTED_AT_MS, now.as_millis())
            .with_str(NONCE, &certificate.nonce)
            .with_str(ASSOCIATED_DATA, &certificate.associated_data)
            .with_str(CIPHERTEXT, &certificate.ciphertext)
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

fn certificate(item: &Item) -> Result<PlatformCertificate, StoreError> {
    Ok(PlatformCertificate {
        serial: item.str(SERIAL)?.to_owned(),
        effective_at: item.time(EFFECTIVE_AT)?,
        expires_at: item.time(attr::EXPIRES_AT)?,
        nonce: item.str(NONCE)?.to_owned(),
        associated_data: item.str(ASSOCIATED_DATA)?.to_owned(),
        ciphertext: item.str(CIPHERTEXT)?.to_owned(),
    })
}

fn read_refreshes(item: &Item) -> Result<Refreshes, StoreError> {
    let claimant = item.optional_str(CLAIMANT)?.map(str::to_owned);
    Ok(Refreshes {
        claim: claimant.zip(moment(item, CLAIMED_AT_MS)?),
        ended_by: item.optional_str(ENDED_BY)?.map(str::to_owned),
        refreshed_at: moment(item, REFRESHED_AT_MS)?,
        none_since: moment(item, NONE_SINCE_MS)?,
        unknown_serial_at: moment(item, UNKNOWN_SERIAL_AT_MS)?,
        answered: moment(item, ANSWERED_MS)?,
    })
}

fn moment(item: &Item, name: &'static str) -> Result<Option<Moment>, StoreError> {
    Ok(item.optional_number(name)?.map(Moment::from_millis))
}

fn before(now: Moment, length: Duration) -> u64 {
    now.as_millis().saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}
