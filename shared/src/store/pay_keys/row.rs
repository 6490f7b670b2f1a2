//! The rows of a merchant's keys, as the table has them.

use std::time::Duration;

use super::Refreshes;
use crate::clock::Moment;
use crate::store::StoreError;
use crate::store::item::{Item, Key, attr};
use crate::wechatpay::v3::PlatformCertificate;

/// How long a certificate counts that WeChat Pay lists no more: it may still sign with it for a moment.
const UNLISTED: Duration = Duration::from_secs(24 * 3600);

/// How long the row of a certificate is there when it does not count any more.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

const ANSWERED_MS: &str = "answeredMs";
const ASSOCIATED_DATA: &str = "associatedData";
const CERTIFICATE: &str = "CERTIFICATE#";
const CIPHERTEXT: &str = "ciphertext";
pub(super) const CLAIMANT: &str = "claimant";
const CLAIMED_AT_MS: &str = "claimedAtMs";
const EFFECTIVE_AT: &str = "effectiveAt";
const ENDED_BY: &str = "endedBy";
const LISTED_AT_MS: &str = "listedAtMs";
const NONCE: &str = "nonce";
const NONE_SINCE_MS: &str = "noneSinceMs";
const REFRESHED_AT_MS: &str = "refreshedAtMs";
const SERIAL: &str = "serial";
const UNKNOWN_SERIAL_AT_MS: &str = "unknownSerialAtMs";

/// All rows of a merchant.
#[derive(Debug)]
pub struct KeptKeys {
    /// The certificates that WeChat Pay lists, or has listed until a short while ago.
    pub certificates: Vec<PlatformCertificate>,
    /// How far the refreshes are.
    pub refreshes: Refreshes,
}

/// What is in the rows of a merchant.
pub(super) fn read(items: &[Item]) -> Result<KeptKeys, StoreError> {
    let mut how_far = Refreshes::default();
    let mut certificates = Vec::with_capacity(items.len());
    for item in items {
        if item.str(attr::SK)?.starts_with(CERTIFICATE) {
            // One that cannot be read is none: the others count all the same.
            certificates.extend(platform_certificate(item).ok().zip(moment(item, LISTED_AT_MS).ok()));
        } else {
            how_far = refreshes(item)?;
        }
    }
    let is_listed = |listed_at: &Option<Moment>| match (how_far.refreshed_at, listed_at) {
        (Some(refreshed_at), Some(listed_at)) => refreshed_at.since(*listed_at) < UNLISTED,
        _ => true,
    };
    certificates.retain(|(_, listed_at)| is_listed(listed_at));
    let certificates = certificates.into_iter().map(|(certificate, _)| certificate).collect();
    Ok(KeptKeys { certificates, refreshes: how_far })
}

/// The row of a certificate that WeChat Pay lists now.
pub(super) fn certificate(partition: &str, certificate: &PlatformCertificate, now: Moment) -> Item {
    Item::new(Key::new(partition.to_owned(), format!("{CERTIFICATE}{}", certificate.serial)))
        .with_str(SERIAL, &certificate.serial)
        .with_time(EFFECTIVE_AT, certificate.effective_at)
        .with_time(attr::EXPIRES_AT, certificate.expires_at)
        .with_time(attr::TTL, certificate.expires_at + KEPT)
        .with_number(LISTED_AT_MS, now.as_millis())
        .with_str(NONCE, &certificate.nonce)
        .with_str(ASSOCIATED_DATA, &certificate.associated_data)
        .with_str(CIPHERTEXT, &certificate.ciphertext)
}

fn platform_certificate(item: &Item) -> Result<PlatformCertificate, StoreError> {
    Ok(PlatformCertificate {
        serial: item.str(SERIAL)?.to_owned(),
        effective_at: item.time(EFFECTIVE_AT)?,
        expires_at: item.time(attr::EXPIRES_AT)?,
        nonce: item.str(NONCE)?.to_owned(),
        associated_data: item.str(ASSOCIATED_DATA)?.to_owned(),
        ciphertext: item.str(CIPHERTEXT)?.to_owned(),
    })
}

/// How far the refreshes are.
pub(super) fn refreshes(item: &Item) -> Result<Refreshes, StoreError> {
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
