//! The signature of a card that a user may add.
//!
//! WeChat signs the values without their names: sorted, as one text. So the same text, cut at other places or with the
//! values in other parts, is signed as well. These rules leave no other cut that is good for anything:
//!
//! - A card's id has 24 characters or more and begins with a letter ([`is_card_id`]), and a caller's code has 20 at most
//!   ([`is_card_code`]): no value that a caller chooses has room for the id of another card.
//! - `nonce_str` is the letter `z` and 31 digits ([`card_nonce`]). The values are sorted, and one of them is a card's id,
//!   so none begins among those digits. And it is longer than a code, so it is no code.
//! - A code of ours leaves one cut of the digits of `timestamp` and code (`Cards::code`). One of an earlier version, 20
//!   free digits, does not: it is signed as it is, as long as its row is there (`USER#<id>`, `CARD#<cardId>`).
//!
//! Source: JS-SDK documentation, appendix 4, "Card extension field cardExt".

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::TokenValue;
use crate::hex::hex;
use crate::random;

/// The most characters of a card's code. Source: card documentation, "card/qrcode/create", `code`.
const LONGEST_CODE: usize = 20;

/// The least characters of a card's id that is signed for: four more than a caller's code may have. WeChat's own have 28,
/// as in all of its examples.
const SHORTEST_ID: usize = 24;

/// The digits of a nonce: with the letter before them as many characters as `nonce_str` may have.
/// Source: mini program documentation, "wx.addCard", `nonce_str`.
const NONCE_DIGITS: usize = 31;

/// Whether a text may be the id of a card that is signed for: 24 characters or more, the first of them a letter.
pub fn is_card_id(text: &str) -> bool {
    text.len() >= SHORTEST_ID && text.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// Whether a text may be a code that a caller chooses: 1 to 20 letters and digits, all of them ASCII.
pub fn is_card_code(text: &str) -> bool {
    (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A `nonce_str` that no other call gets: 32 characters, with 102 random bits.
pub fn card_nonce() -> String {
    format!("z{}", random::digits(NONCE_DIGITS))
}

/// Signs `values` with the api_ticket: SHA-1 of all of them, sorted as bytes and put together, as hexadecimal digits in
/// lower case. Empty ones take no part. Which ones there are is up to the kind of card: `timestamp` and `card_id`
/// always, `code`, `openid` and `nonce_str` where the card has them.
pub fn card_signature(api_ticket: &TokenValue, values: &[&str]) -> String {
    let mut values = [&[api_ticket.expose()], values].concat();
    values.sort_unstable();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, values.concat().as_bytes()).as_ref())
}
