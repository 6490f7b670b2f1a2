//! A token's row, as the table has it.

use super::protocol::{Failure, Held, Reason, Row};
use crate::clock::Moment;
use crate::seal::Sealer;
use crate::store::StoreError;
use crate::store::item::{Item, Key};
use crate::wechat::{TokenHash, TokenValue};

const CLAIMED_UNTIL_MS: &str = "claimedUntilMs";
const ERRCODE: &str = "errcode";
const EXPIRES_AT_MS: &str = "expiresAtMs";
const FAILURES: &str = "failures";
const LEASED_UNTIL_MS: &str = "leasedUntilMs";
const NOT_BEFORE_MS: &str = "notBeforeMs";
const OBTAINED_AT_MS: &str = "obtainedAtMs";
pub(super) const SEALED: &str = "sealed";
const STANDS_BY: &str = "standsBy";
const STANDS_BY_UNTIL_MS: &str = "standsByUntilMs";
const VALUE_VERSION: &str = "valueVersion";
const VERSION: &str = "version";
const WANTED_AT_MS: &str = "wantedAtMs";
const WRITER: &str = "writer";

/// The row of an item.
pub(super) fn read(sealer: &Sealer, key: &Key, item: &Item) -> Result<Row, StoreError> {
    let moment = |name| Ok::<_, StoreError>(item.optional_number(name)?.map(Moment::from_millis));
    let sealed = item.optional_bytes(SEALED)?;
    let opened = sealed.and_then(|sealed| sealer.open(sealed, &key.context(SEALED)));
    let value = opened.and_then(|value| String::from_utf8(value).ok()).map(TokenValue::new);
    let value = match (value, moment(OBTAINED_AT_MS)?, moment(EXPIRES_AT_MS)?) {
        (Some(value), Some(obtained_at), Some(expires_at)) => Some(Held { value, obtained_at, expires_at }),
        _ => None,
    };
    Ok(Row {
        version: item.optional_number(VERSION)?.unwrap_or_default(),
        value_version: item.optional_number(VALUE_VERSION)?.unwrap_or_default(),
        value,
        leased_until: moment(LEASED_UNTIL_MS)?,
        claimed_until: moment(CLAIMED_UNTIL_MS)?,
        failure: match moment(NOT_BEFORE_MS)? {
            Some(not_before) => Some(Failure {
                reason: item.optional_number(ERRCODE)?.map_or(Reason::NoAnswer, Reason::Errcode),
                times: item.optional_number(FAILURES)?.unwrap_or(1),
                not_before,
            }),
            None => None,
        },
        stands_by: item.optional_str(STANDS_BY)?.and_then(TokenHash::parse).zip(moment(STANDS_BY_UNTIL_MS)?),
        wanted_at: moment(WANTED_AT_MS)?,
    })
}

/// Whether this version was written by that writer.
pub(super) fn is_by(item: &Item, writer: &str, version: u64) -> Result<bool, StoreError> {
    Ok(item.optional_str(WRITER)? == Some(writer) && item.optional_number(VERSION)? == Some(version))
}
