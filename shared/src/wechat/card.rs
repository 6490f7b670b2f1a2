//! The signature of a card that a user may add.
//!
//! Source: JS-SDK documentation, appendix 4, "Card extension field cardExt".

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::TokenValue;
use crate::hex::hex;

/// Signs `values` with the api_ticket: SHA-1 of all of them, sorted as bytes and put together, as hexadecimal digits in
/// lower case. Empty ones take no part. Which ones there are is up to the kind of card: `timestamp` and `card_id`
/// always, `code`, `openid` and `nonce_str` where the card has them.
pub fn card_signature(api_ticket: &TokenValue, values: &[&str]) -> String {
    let mut values = [&[api_ticket.expose()], values].concat();
    values.sort_unstable();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, values.concat().as_bytes()).as_ref())
}
