//! A payment as WeChat Pay tells of it.

use serde::Deserialize;

use crate::fen::Fen;
use crate::random;
use crate::secret::Secret;

/// The number of a merchant (mchid).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MchId(String);

impl MchId {
    /// A number as WeChat Pay gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The number's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number that a merchant gives an order (out_trade_no), unique for that merchant. Ours are random, so nobody guesses
/// one, and say nothing about the user: they may be logged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OutTradeNo(String);

impl OutTradeNo {
    /// Source: WeChat Pay v3, "JSAPI order", out_trade_no: 6 to 32 characters.
    const CHARS: std::ops::RangeInclusive<usize> = 6..=32;

    /// A new number of 190 random bits. WeChat Pay takes `_-|*` too; `|` breaks signatures on its way through URLs.
    pub fn random() -> Self {
        Self(random::alphanumeric(*Self::CHARS.end()))
    }

    /// The number's text: digits, letters, `_` and `-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OutTradeNo {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let valid = Self::CHARS.contains(&text.len()) && text.bytes().all(good);
        valid.then_some(Self(text)).ok_or("not 6 to 32 digits, letters, `_` and `-`")
    }
}

/// What a payment begins with: the id under which WeChat Pay keeps an order that waits to be paid, for two hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PrepayId(Secret);

impl PrepayId {
    /// An id as WeChat Pay gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(Secret::new(id))
    }

    /// The id's text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// WeChat Pay's state of an order (trade_state).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeState {
    /// Not paid, and not to be paid any more.
    Closed,
    /// Not paid.
    NotPay,
    /// Paid, and a refund exists, be it of a part.
    Refund,
    /// Paid.
    Success,
    /// Any other: states of payments that are not made here, and those to come. They say nothing.
    Unknown,
}

impl TradeState {
    /// WeChat Pay's name of the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::NotPay => "NOTPAY",
            Self::Refund => "REFUND",
            Self::Success => "SUCCESS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl From<&str> for TradeState {
    fn from(text: &str) -> Self {
        match text {
            "CLOSED" => Self::Closed,
            "NOTPAY" => Self::NotPay,
            "REFUND" => Self::Refund,
            "SUCCESS" => Self::Success,
            _ => Self::Unknown,
        }
    }
}

/// What WeChat Pay tells of an order.
#[derive(Clone, Debug)]
pub struct Trade {
    /// The app of the payer.
    pub app_id: String,
    /// The merchant.
    pub mch_id: String,
    /// The merchant's number.
    pub out_trade_no: String,
    /// How it stands.
    pub state: TradeState,
    /// WeChat Pay's number, where it is paid.
    pub transaction_id: Option<String>,
    /// What was to be paid. May be absent before it is.
    pub amount: Option<Amount>,
    /// When it was paid (RFC 3339), where it is.
    pub success_time: Option<String>,
}

/// What was to be paid in all. What the payer paid of it (payer_total) may be less: coupons pay the rest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Amount {
    /// The total.
    pub total: Fen,
    /// The currency, such as `CNY`. An order that is not paid has none.
    pub currency: Option<String>,
}

/// What a notification or an answer says it is about.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// The merchant's number of the order.
    pub out_trade_no: Option<String>,
    /// The merchant's number of the refund.
    pub out_refund_no: Option<String>,
    /// WeChat Pay's number of the payment.
    pub transaction_id: Option<String>,
    /// The total of the order.
    pub total: Option<Fen>,
    /// The currency of the total.
    pub currency: Option<String>,
}

impl From<&Trade> for Named {
    fn from(trade: &Trade) -> Self {
        Self {
            out_trade_no: Some(trade.out_trade_no.clone()),
            transaction_id: trade.transaction_id.clone(),
            total: trade.amount.as_ref().map(|amount| amount.total),
            currency: trade.amount.as_ref().and_then(|amount| amount.currency.clone()),
            ..Self::default()
        }
    }
}
