//! A refund as WeChat Pay tells of it.

use super::{Named, OutTradeNo};
use crate::fen::Fen;
use crate::hex::sha256_hex;

/// The number that a merchant gives a refund (out_refund_no), unique for that merchant: however often WeChat Pay is told
/// it, there is one refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRefundNo(String);

impl OutRefundNo {
    /// Source: WeChat Pay v3, "Refund", out_refund_no: 1 to 64 characters.
    const LONGEST: usize = 64;

    /// What tells the refunds of one order apart: 96 bits.
    const DIGEST_CHARS: usize = 24;

    /// The number that stands for a request: the same for the same request of the same order, and no other's.
    pub fn of_request(order: &OutTradeNo, request_id: &str) -> Self {
        let order = order.as_str();
        let mut digest = sha256_hex(format!("{order}\n{request_id}").as_bytes());
        digest.truncate(Self::DIGEST_CHARS);
        Self(format!("{order}-{digest}"))
    }

    /// The number's text: digits, letters and `_-|*@`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OutRefundNo {
    type Error = &'static str;

    /// Any number that WeChat Pay takes: refunds on the merchant platform have numbers that are not ours.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte);
        let valid = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(good);
        valid.then_some(Self(text)).ok_or("not 1 to 64 digits, letters and `_-|*@`")
    }
}

/// WeChat Pay's state of a refund (status, or refund_status in a notification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// The payer cannot be reached with it: a person has to refund by other means, on the merchant platform.
    Abnormal,
    /// Ended, and nothing was refunded.
    Closed,
    /// Accepted, and under way.
    Processing,
    /// Refunded.
    Success,
    /// Any other: one to come. It says nothing.
    Unknown,
}

impl RefundStatus {
    /// WeChat Pay's name of the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl From<&str> for RefundStatus {
    fn from(text: &str) -> Self {
        match text {
            "ABNORMAL" => Self::Abnormal,
            "CLOSED" => Self::Closed,
            "PROCESSING" => Self::Processing,
            "SUCCESS" => Self::Success,
            _ => Self::Unknown,
        }
    }
}

/// What WeChat Pay tells of a refund.
#[derive(Clone, Debug)]
pub struct RefundResult {
    /// The merchant, where it is told: notifications have it, and answers have not.
    pub mch_id: Option<String>,
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// WeChat Pay's number of the payment.
    pub transaction_id: String,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// WeChat Pay's number of the refund.
    pub refund_id: String,
    /// How it stands.
    pub status: RefundStatus,
    /// The total of the order.
    pub total: Fen,
    /// How much of it is refunded.
    pub refund: Fen,
    /// The currency, where it is told: answers have it, and notifications have not.
    pub currency: Option<String>,
}

impl From<&RefundResult> for Named {
    fn from(refund: &RefundResult) -> Self {
        Self {
            out_trade_no: Some(refund.out_trade_no.clone()),
            out_refund_no: Some(refund.out_refund_no.as_str().to_owned()),
            transaction_id: Some(refund.transaction_id.clone()),
            total: Some(refund.total),
            currency: refund.currency.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_request_is_the_same_each_time_and_one_that_wechat_pay_takes() {
        let order = OutTradeNo::try_from("x".repeat(32)).unwrap();
        let number = OutRefundNo::of_request(&order, "return-1");
        assert_eq!(number, OutRefundNo::of_request(&order, "return-1"));
        assert_eq!(OutRefundNo::try_from(number.as_str().to_owned()), Ok(number.clone()));
        assert_ne!(number, OutRefundNo::of_request(&order, "return-2"));
        let other = OutTradeNo::try_from("y".repeat(32)).unwrap();
        assert_ne!(number, OutRefundNo::of_request(&other, "return-1"));
    }

    #[test]
    fn a_number_of_the_merchant_platform_is_one() {
        for good in ["5", "50000000382019052709732678859", "a_-|*@Z", &"9".repeat(64)] {
            assert!(OutRefundNo::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a#b", "退款", &"9".repeat(65)] {
            assert!(OutRefundNo::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
