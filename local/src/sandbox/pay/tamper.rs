//! What may be wrong with something signed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Tamper {
    /// The envelope names other associated data than was encrypted with.
    Aad,
    /// The envelope names an algorithm that nobody knows.
    Algorithm,
    /// Another `amount.total`, rightly signed.
    Amount,
    /// Another `appid`, rightly signed.
    Appid,
    /// A space more than was signed.
    Body,
    /// Another `amount.currency`, rightly signed.
    Currency,
    /// Fields that no document lists, rightly signed.
    ExtraFields,
    /// Signed six minutes from now.
    FutureTimestamp,
    /// The envelope is encrypted with another key.
    Key,
    /// Another `mchid`, rightly signed.
    Mchid,
    /// No signature at all.
    Missing,
    /// Another nonce than was signed.
    Nonce,
    /// Another `out_refund_no`, rightly signed.
    OutRefundNo,
    /// Another `out_trade_no`, rightly signed.
    OutTradeNo,
    /// Another `amount.refund`, rightly signed.
    Refund,
    /// The name of a key that nobody has.
    Serial,
    /// Another signature.
    Signature,
    /// A signature of WeChat Pay's own tests.
    Signtest,
    /// Signed six minutes ago.
    Timestamp,
    /// A state that no document lists, rightly signed.
    UnknownState,
}

impl Tamper {
    /// Whether it changes a transaction or a refund before that is signed.
    pub(crate) fn is_of_content(self) -> bool {
        self.is_of_transactions() || self.is_of_refunds()
    }

    /// Whether a transaction has what it changes.
    pub(crate) fn is_of_transactions(self) -> bool {
        matches!(self, Self::Appid | Self::Mchid) || self.is_of_both()
    }

    /// Whether the answer about a refund has it.
    pub(crate) fn is_of_refunds(self) -> bool {
        matches!(self, Self::OutRefundNo | Self::Refund) || self.is_of_both()
    }

    fn is_of_both(self) -> bool {
        matches!(self, Self::Amount | Self::Currency | Self::ExtraFields | Self::OutTradeNo | Self::UnknownState)
    }

    /// Whether only something encrypted can have it.
    pub(crate) fn is_of_envelope(self) -> bool {
        matches!(self, Self::Aad | Self::Algorithm | Self::Key)
    }

    /// Changes a transaction or a refund; one without the field stays as it is.
    pub(super) fn change(self, content: &mut Value) {
        let mut set = |pointer: &str, value: Value| {
            if let Some(field) = content.pointer_mut(pointer) {
                *field = value;
            }
        };
        match self {
            Self::Amount => {
                let total = content.pointer("/amount/total").and_then(Value::as_u64).unwrap_or_default();
                content["amount"]["total"] = (total + 1).into();
            }
            Self::Refund => {
                if let Some(refund) = content.pointer_mut("/amount/refund") {
                    *refund = (refund.as_u64().unwrap_or_default() + 1).into();
                }
            }
            Self::Appid => set("/appid", "wxffffffffffffffff".into()),
            Self::Currency => {
                // An order that is not paid has none.
                if let Some(amount) = content.get_mut("amount") {
                    amount["currency"] = "USD".into();
                }
            }
            Self::ExtraFields => {
                content["new_text"] = "new".into();
                content["new_object"] = json!({ "new_number": 1 });
            }
            Self::Mchid => set("/mchid", "1900000002".into()),
            Self::OutRefundNo => set("/out_refund_no", "anotherRefund00000000000000000001".into()),
            Self::OutTradeNo => set("/out_trade_no", "AnotherOrder00000000000000000001".into()),
            Self::UnknownState => {
                set("/trade_state", "SETTLING".into());
                set("/refund_status", "SETTLING".into());
                set("/status", "SETTLING".into());
            }
            _ => {}
        }
    }
}
