//! What may happen in a shop.

use proptest::sample::Index;
use serde_json::{Value, json};

use super::model::Cart;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody orders.
    Create { user: usize, key: usize, wish: Wish, loss: Option<Loss> },
    /// Somebody asks how an order stands: whose it is, or somebody else.
    Query { order: Index, is_stranger: bool, loss: Option<Loss> },
    /// An order is paid.
    Pay(Index),
    /// An order is closed on the merchant's platform.
    Close(Index),
    /// WeChat Pay has it that a closed order was paid all the same.
    PayClosed(Index),
    /// WeChat Pay tells of a payment, once more or for the first time.
    Notify { order: Index, copies: usize },
    /// WeChat Pay tells of a payment that has a refund.
    NotifyRefunded(Index),
    /// Somebody tells of a payment what is not so.
    NotifyWrong { order: Index, tamper: &'static str, status: u16 },
    /// Staff asks for a refund.
    Refund(RefundStep),
    /// Staff refunds so much of what is left on the merchant's platform.
    RefundElsewhere { order: Index, percent: u64, status: &'static str },
    /// A refund becomes something at WeChat Pay.
    SettleRefund { refund: Index, status: &'static str },
    /// WeChat Pay tells of a refund.
    NotifyRefund { refund: Index, copies: usize },
    /// The sweeper runs.
    Sweep(SweepStep),
    /// Time passes.
    Pass(u64),
    /// All instances are replaced.
    Restart,
}

/// What somebody orders.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) cart: Cart,
    /// Whether this is what is ordered even where the key was used for something else.
    pub(super) insists: bool,
    /// Whether the items come in the reversed order.
    pub(super) reversed: bool,
}

/// A request for a refund: so much of an order, by a request that may have been there before.
#[derive(Clone, Debug)]
pub(super) struct RefundStep {
    pub(super) order: Index,
    pub(super) request: usize,
    pub(super) percent: u64,
    pub(super) fate: Fate,
    pub(super) request_loss: Option<Loss>,
    pub(super) query_loss: Option<Loss>,
}

/// A run of the sweeper, or two at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct SweepStep {
    pub(super) min_age: Option<u64>,
    pub(super) twice: bool,
    pub(super) query: Option<Loss>,
    pub(super) close: Option<Loss>,
    pub(super) refund_query: Option<Loss>,
}

/// What becomes of a new refund at WeChat Pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Abnormal,
    Closed,
    /// The merchant's balance is not enough.
    NotEnough,
    Processing,
    Success,
}

impl Fate {
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
            Self::NotEnough | Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
        }
    }

    /// What the control takes.
    pub(super) fn settings(self) -> Value {
        match self {
            Self::NotEnough => json!({ "balanceFen": 0 }),
            fate => json!({ "outcome": fate.status() }),
        }
    }
}

/// So many percent of an amount, and one fen at least.
pub(super) fn part(fen: u64, percent: u64) -> u64 {
    (fen * percent / 100).max(1)
}

/// What becomes of calls of WeChat Pay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) how: How,
    /// Whether of all of them, or of the first.
    pub(super) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// They do not get there.
    Request,
    /// They fail there.
    Error,
    /// The answer gets lost.
    Answer,
    /// The answer is not what was signed. What is not signed comes through.
    Signature,
    /// WeChat Pay refuses them, because something is wrong with the merchant.
    Refusal,
}

impl Loss {
    pub(super) fn is_refusal(self) -> bool {
        self.how == How::Refusal
    }

    pub(super) fn reaches_wechat_pay(self) -> bool {
        !self.is_refusal() && !self.all || matches!(self.how, How::Answer | How::Signature)
    }

    /// Whether no answer comes through.
    pub(super) fn loses_all(self, is_refusal: bool) -> bool {
        self.all && !(is_refusal && self.how == How::Signature)
    }

    /// Whether an answer does not come through, of a call of which it is.
    pub(super) fn loses(self, is_refusal: bool) -> bool {
        !(is_refusal && self.how == How::Signature)
    }

    /// Whether calls do get there.
    pub(super) fn is_of_answers(self) -> bool {
        matches!(self.how, How::Answer | How::Signature)
    }

    pub(super) fn is_of_all(self) -> bool {
        self.all
    }

    pub(super) fn fault(self) -> Value {
        let mut fault = match self.how {
            How::Request => json!({ "drop": "before" }),
            How::Error => json!({ "status": 500 }),
            How::Answer => json!({ "drop": "after" }),
            How::Signature => json!({ "tamper": "signature" }),
            How::Refusal => json!({ "status": 403, "code": "NO_AUTH" }),
        };
        fault["times"] = if self.all { u32::MAX } else { 1 }.into();
        fault
    }
}

/// What can be wrong with a notification, and how it is answered.
pub(super) const WRONGS: [(&str, u16); 16] = [
    ("amount", 204),
    ("appid", 204),
    ("currency", 204),
    ("mchid", 204),
    ("outTradeNo", 204),
    ("aad", 401),
    ("algorithm", 401),
    ("body", 401),
    ("futureTimestamp", 401),
    ("key", 401),
    ("missing", 401),
    ("nonce", 401),
    ("serial", 401),
    ("signature", 401),
    ("signtest", 401),
    ("timestamp", 401),
];
