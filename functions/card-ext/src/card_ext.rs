//! The `cardExt` of `wx.addCard`.
//!
//! Source: mini program documentation, "wx.addCard"; JS-SDK documentation, appendix 4.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::secret::Secret;
use shared::wechat::{OpenId, TokenValue, card_nonce, card_signature, is_card_code, is_visible_ascii};

/// The most characters of a card's id. Real ones have 28.
const LONGEST_CARD_ID: usize = 64;
/// The most characters of a channel's name.
const LONGEST_OUTER_STR: usize = 128;
/// From 2000-01-01 to 2100-01-01, in seconds: a time in milliseconds is none.
const BEGINS: RangeInclusive<u64> = 946_684_800..=4_102_444_800;

/// The id of a card.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CardId(String);

/// The code of a card, chosen by the client.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CardCode(Secret);

/// The name of the channel through which a card is given out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct OuterStr(String);

/// From when on a card counts, in whole seconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(try_from = "u64")]
pub(crate) struct BeginTimestamp(u64);

impl CardId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        is_visible_ascii(&id, LONGEST_CARD_ID).then_some(Self(id)).ok_or("not 1 to 64 visible ASCII characters")
    }
}

impl TryFrom<String> for CardCode {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        is_card_code(&code).then(|| Self(Secret::new(code))).ok_or("not 1 to 20 letters and digits")
    }
}

impl From<CardCode> for String {
    fn from(code: CardCode) -> Self {
        code.0.expose().to_owned()
    }
}

impl TryFrom<String> for OuterStr {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = (1..=LONGEST_OUTER_STR).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        valid.then_some(Self(text)).ok_or("not 1 to 128 characters without control characters")
    }
}

impl TryFrom<u64> for BeginTimestamp {
    type Error = &'static str;

    fn try_from(secs: u64) -> Result<Self, Self::Error> {
        BEGINS.contains(&secs).then_some(Self(secs)).ok_or("not a time in seconds from 2000 to 2100")
    }
}

/// What is to be signed.
pub(crate) struct Extension<'a> {
    pub(crate) card_id: &'a CardId,
    pub(crate) code: Option<&'a str>,
    pub(crate) openid: Option<&'a OpenId>,
    pub(crate) outer_str: Option<&'a OuterStr>,
    pub(crate) fixed_begin_timestamp: Option<BeginTimestamp>,
}

/// What `wx.addCard` takes as text. What is absent is left out.
#[derive(Serialize)]
struct CardExtJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'a str>,
    timestamp: String,
    nonce_str: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed_begintimestamp: Option<BeginTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_str: Option<&'a OuterStr>,
    signature: String,
}

impl Extension<'_> {
    /// The `cardExt`. `outer_str` and `fixed_begintimestamp` take no part in the signature.
    pub(crate) fn sign(&self, ticket: &TokenValue, now: Timestamp) -> String {
        let (timestamp, nonce_str) = (now.as_secs().to_string(), card_nonce());
        let openid = self.openid.map(OpenId::expose);
        let optional = [self.code.unwrap_or_default(), openid.unwrap_or_default()];
        let values = [&[timestamp.as_str(), &nonce_str, self.card_id.as_str()], optional.as_slice()].concat();
        let signature = card_signature(ticket, &values);
        let (outer_str, fixed_begintimestamp) = (self.outer_str, self.fixed_begin_timestamp);
        serde_json::json!(CardExtJson {
            code: self.code,
            openid,
            timestamp,
            nonce_str,
            fixed_begintimestamp,
            outer_str,
            signature,
        })
        .to_string()
    }
}
