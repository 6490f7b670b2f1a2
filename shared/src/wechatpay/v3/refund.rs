//! Refunds: what is asked for, and what WeChat Pay answers and notifies. Source: WeChat Pay v3, "Refund".

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fen::Fen;
use crate::json::Object;
use crate::secret::Secret;
use crate::wechatpay::{NotifyUrl, OutRefundNo, OutTradeNo, RefundResult, RefundStatus};

/// The longest reason. The documentation says 80 characters, and at times bytes; bytes are the fewer.
const LONGEST_REASON: usize = 80;

/// A refund that is to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct RefundRequest<'a> {
    /// Our number of the order.
    pub out_trade_no: &'a OutTradeNo,
    /// Our number of the refund.
    pub out_refund_no: &'a OutRefundNo,
    /// What the payer reads.
    pub reason: Option<&'a str>,
    /// Where WeChat Pay tells what became of it. Without one, the notice may come in the format of version 2, and
    /// unsigned.
    pub notify_url: &'a NotifyUrl,
    /// How much is refunded.
    pub refund: Fen,
    /// The total of the order.
    pub total: Fen,
}

impl RefundRequest<'_> {
    /// The body of the request. The number stands for one refund with one body, so this text is kept, and is what is sent
    /// each time.
    pub fn to_body(self) -> Secret {
        let mut body = json!({
            "out_trade_no": self.out_trade_no.as_str(),
            "out_refund_no": self.out_refund_no.as_str(),
            "notify_url": self.notify_url.as_str(),
            "amount": { "refund": self.refund, "total": self.total, "currency": "CNY" },
        });
        if let Some(reason) = self.reason {
            body["reason"] = reason.into();
        }
        Secret::new(body.to_string())
    }
}

/// Whether WeChat Pay takes a text as a reason: no characters of four bytes in UTF-8, such as emoji.
pub fn is_reason(text: &str) -> bool {
    let good = |c: char| !c.is_control() && c.len_utf8() < 4;
    !text.trim().is_empty() && text.len() <= LONGEST_REASON && text.chars().all(good)
}

/// Fields that are not here are not of use.
#[derive(Deserialize)]
struct Refund {
    mchid: Option<String>,
    out_trade_no: String,
    transaction_id: String,
    out_refund_no: String,
    refund_id: String,
    /// In answers.
    status: Option<String>,
    /// In notifications.
    refund_status: Option<String>,
    amount: Object<Amount>,
}

#[derive(Deserialize)]
struct Amount {
    total: Fen,
    refund: Fen,
    currency: Option<Value>,
}

/// Reads an answer about a refund. One about another refund is none: what is signed does not name the question.
pub(super) fn answered(json: &[u8], number: &OutRefundNo) -> Option<RefundResult> {
    read(json, |refund| refund.status.take()).filter(|refund| refund.out_refund_no == *number)
}

/// Reads what a notification of a refund has in it.
pub(super) fn notified(json: &[u8]) -> Option<RefundResult> {
    read(json, |refund| refund.refund_status.take())
}

fn read(json: &[u8], status: impl FnOnce(&mut Refund) -> Option<String>) -> Option<RefundResult> {
    let Object(mut refund): Object<Refund> = serde_json::from_slice(json).ok()?;
    let status = status(&mut refund)?;
    let Object(Amount { total, refund: amount, currency }) = refund.amount;
    let currency = match currency {
        None | Some(Value::Null) => None,
        Some(Value::String(currency)) => Some(currency),
        Some(_) => return None,
    };
    Some(RefundResult {
        mch_id: refund.mchid,
        out_trade_no: refund.out_trade_no,
        transaction_id: refund.transaction_id,
        out_refund_no: OutRefundNo::try_from(refund.out_refund_no).ok()?,
        refund_id: refund.refund_id,
        status: RefundStatus::from(status.as_str()),
        total,
        refund: amount,
        currency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> OutRefundNo {
        OutRefundNo::try_from(text.to_owned()).unwrap()
    }

    /// An answer, with a field changed.
    fn answer(field: &str, value: Value) -> Option<RefundResult> {
        let mut json = json!({
            "refund_id": "50000000382019052709732678859", "out_refund_no": "refund-1", "transaction_id": "42",
            "out_trade_no": "order-1", "channel": "ORIGINAL", "status": "PROCESSING", "new": [null],
            "amount": { "total": 100, "refund": 60, "payer_total": 90, "payer_refund": 54, "currency": "CNY" },
        });
        json[field] = value;
        answered(json.to_string().as_bytes(), &number("refund-1"))
    }

    #[test]
    fn an_answer_and_a_notification_call_the_state_by_two_names() {
        let refund = answer("new", json!(1)).unwrap();
        assert_eq!(
            (refund.status, refund.refund, refund.total),
            (RefundStatus::Processing, Fen::new(60), Fen::new(100))
        );
        assert_eq!(refund.currency.as_deref(), Some("CNY"));
        let json = json!({
            "mchid": "1900000100", "transaction_id": "42", "out_trade_no": "order-1", "refund_id": "5",
            "out_refund_no": "refund-1", "refund_status": "ABNORMAL", "user_received_account": "x",
            "amount": { "total": 999, "refund": 999, "payer_total": 999, "payer_refund": 999 },
        });
        let json = json.to_string();
        let refund = notified(json.as_bytes()).unwrap();
        assert_eq!((refund.status, refund.currency), (RefundStatus::Abnormal, None));
        assert!(answered(json.as_bytes(), &number("refund-1")).is_none());
        assert!(answer("status", json!(null)).is_none());
    }

    #[test]
    fn a_state_to_come_says_nothing_and_breaks_nothing() {
        for text in ["", "REFUNDING", "success"] {
            assert_eq!(answer("status", json!(text)).unwrap().status, RefundStatus::Unknown, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_refund() {
        assert!(answer("out_refund_no", json!("refund-2")).is_none(), "another one");
        for field in ["out_trade_no", "transaction_id", "out_refund_no", "refund_id", "amount"] {
            assert!(answer(field, json!(null)).is_none(), "{field}");
        }
        for amount in [
            json!({}),
            json!([100, 60, "CNY"]),
            json!({ "total": 100 }),
            json!({ "total": 100, "refund": 0.5 }),
            json!({ "total": 100, "refund": -1 }),
            json!({ "total": "100", "refund": 60 }),
            json!({ "total": 100, "refund": 60, "currency": 1 }),
        ] {
            assert!(answer("amount", amount.clone()).is_none(), "{amount}");
        }
        assert!(notified(b"\xff").is_none());
    }

    #[test]
    fn the_body_is_the_documented_one() {
        let (order, url) = (OutTradeNo::try_from("order-1".to_owned()).unwrap(), "https://x.example/pay-notify");
        let request = RefundRequest {
            out_trade_no: &order,
            out_refund_no: &number("refund-1"),
            reason: Some("不想要了"),
            notify_url: &NotifyUrl::parse(url).unwrap(),
            refund: Fen::new(60),
            total: Fen::new(100),
        };
        let mut expected = json!({
            "out_trade_no": "order-1", "out_refund_no": "refund-1", "reason": "不想要了", "notify_url": url,
            "amount": { "refund": 60, "total": 100, "currency": "CNY" },
        });
        let body = |request: RefundRequest<'_>| serde_json::from_str::<Value>(request.to_body().expose()).unwrap();
        assert_eq!(body(request), expected);
        expected.as_object_mut().unwrap().remove("reason");
        assert_eq!(body(RefundRequest { reason: None, ..request }), expected);
    }

    #[test]
    fn a_reason_is_what_wechat_pay_takes() {
        for good in ["不想要了", "x", &"x".repeat(80), &"茶".repeat(26)] {
            assert!(is_reason(good), "{good}");
        }
        for bad in ["", " ", "🍵", "a\nb", &"x".repeat(81), &"茶".repeat(27)] {
            assert!(!is_reason(bad), "{bad:?}");
        }
    }
}
