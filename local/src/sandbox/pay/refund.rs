//! Refunds, and what becomes of them. Source: 申请退款.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::clock::Timestamp;

use super::beijing_time;
use super::letter::Letter;
use super::notification::Notification;
use super::order::Order;

/// Where the money goes: back to where it came from.
const CHANNEL: &str = "ORIGINAL";

/// Whose that is.
const ACCOUNT: &str = "支付用户零钱";

/// Which money of the merchant's it is.
const FUNDS: &str = "AVAILABLE";

/// What has become of a refund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RefundStatus {
    /// The user's account does not take it: a person has to do something.
    Abnormal,
    /// It has ended without success. The money can be refunded again.
    Closed,
    /// It was accepted.
    Processing,
    #[default]
    Success,
}

impl RefundStatus {
    /// What the event of it is called; none while it is under way.
    fn event_type(self) -> Option<&'static str> {
        match self {
            Self::Abnormal => Some("REFUND.ABNORMAL"),
            Self::Closed => Some("REFUND.CLOSED"),
            Self::Processing => None,
            Self::Success => Some("REFUND.SUCCESS"),
        }
    }

    /// Whether it may become another one.
    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Processing => next != Self::Processing,
            Self::Abnormal => matches!(next, Self::Success | Self::Closed),
            Self::Closed | Self::Success => false,
        }
    }
}

/// How the merchant is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// As a refund with a `notify_url` is.
    At(String),
    /// By the notice of version 2, which is not signed. It has been seen for refunds that staff make.
    ByVersion2(String),
    /// Not at all.
    Never,
}

/// A refund of an order, which has it among its others.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) out_refund_no: String,
    pub(super) refund_id: String,
    /// How much of the order's total.
    pub(super) fen: u64,
    pub(super) status: RefundStatus,
    pub(super) created_at: Timestamp,
    pub(super) succeeded_at: Option<Timestamp>,
    pub(super) told: Told,
    pub(super) by_staff: bool,
    /// Requests of the merchant that were taken.
    pub(super) times_requested: u32,
    /// What the merchant is told, and where.
    pub(super) letter: Option<(Letter, String)>,
    /// Among all refunds, by when they were made.
    pub(crate) place: u64,
}

impl Refund {
    /// What the merchant is told, if that is signed.
    pub(crate) fn notification(&self) -> Option<&Notification> {
        match &self.letter {
            Some((Letter::Version3(notification), _)) => Some(notification),
            Some((Letter::Version2 { .. }, _)) | None => None,
        }
    }
}

/// A refund that cannot become what somebody wants.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the refund has ended, or is that already")]
pub(crate) struct Ended;

impl Order {
    /// What of the total can still be refunded.
    pub(crate) fn left(&self) -> u64 {
        let held = self.refunds.iter().filter(|refund| refund.status != RefundStatus::Closed);
        self.request.total.saturating_sub(held.map(|refund| refund.fen).sum())
    }

    /// What has been refunded.
    pub(crate) fn refunded(&self) -> u64 {
        let done = self.refunds.iter().filter(|refund| refund.status == RefundStatus::Success);
        done.map(|refund| refund.fen).sum()
    }

    pub(super) fn find_refund(&self, out_refund_no: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.out_refund_no == out_refund_no)
    }

    /// Ends a refund, or makes an abnormal one. What the merchant is told of it is ready then.
    pub(super) fn settle(&mut self, out_refund_no: &str, status: RefundStatus, now: Timestamp) -> Result<(), Ended> {
        let of_number = |refund: &&mut Refund| refund.out_refund_no == out_refund_no;
        let refund = self.refunds.iter_mut().find(of_number).ok_or(Ended)?;
        if !refund.status.may_become(status) {
            return Err(Ended);
        }
        refund.status = status;
        refund.succeeded_at = (status == RefundStatus::Success).then_some(now);
        let letter = self.find_refund(out_refund_no).and_then(|refund| self.letter(refund, now));
        if let Some(refund) = self.refunds.iter_mut().find(of_number) {
            refund.letter = letter;
        }
        Ok(())
    }

    fn letter(&self, refund: &Refund, now: Timestamp) -> Option<(Letter, String)> {
        let event_type = refund.status.event_type()?;
        match &refund.told {
            Told::At(url) => {
                let notification = Notification::new(event_type, "refund", self.refund_resource(refund), now);
                Some((Letter::Version3(notification), url.clone()))
            }
            Told::ByVersion2(url) => Some((Letter::version2(&self.request.appid), url.clone())),
            Told::Never => None,
        }
    }

    /// What the payer gets back of a refund: a coupon pays its part of each.
    fn payer_refund(&self, fen: u64) -> u64 {
        fen.saturating_mul(self.payer_total()) / self.request.total.max(1)
    }

    fn payer_total(&self) -> u64 {
        self.payment.as_ref().map_or(self.request.total, |payment| payment.payer_total)
    }

    fn transaction_id(&self) -> &str {
        self.payment.as_ref().map_or("", |payment| &payment.transaction_id)
    }

    /// What is answered. Source: 查询单笔退款.
    pub(super) fn refund_answer(&self, refund: &Refund) -> Value {
        let payer_refund = self.payer_refund(refund.fen);
        let mut answer = json!({
            "refund_id": refund.refund_id,
            "out_refund_no": refund.out_refund_no,
            "transaction_id": self.transaction_id(),
            "out_trade_no": self.request.out_trade_no,
            "channel": CHANNEL,
            "user_received_account": ACCOUNT,
            "create_time": beijing_time(refund.created_at),
            "status": refund.status,
            "funds_account": FUNDS,
            "promotion_detail": [],
            "amount": {
                "total": self.request.total,
                "refund": refund.fen,
                "from": [],
                "refund_fee": 0,
                "payer_total": self.payer_total(),
                "payer_refund": payer_refund,
                "settlement_refund": refund.fen,
                "settlement_total": self.request.total,
                "discount_refund": refund.fen.saturating_sub(payer_refund),
                "currency": "CNY",
            },
        });
        if let Some(time) = refund.succeeded_at {
            answer["success_time"] = beijing_time(time).into();
        }
        answer
    }

    /// What a notification tells. The status has another name there, and no currency is said. Source: 退款结果通知.
    fn refund_resource(&self, refund: &Refund) -> Value {
        let mut resource = json!({
            "mchid": self.request.mchid,
            "out_trade_no": self.request.out_trade_no,
            "transaction_id": self.transaction_id(),
            "out_refund_no": refund.out_refund_no,
            "refund_id": refund.refund_id,
            "refund_status": refund.status,
            "user_received_account": ACCOUNT,
            "amount": {
                "total": self.request.total,
                "refund": refund.fen,
                "payer_total": self.payer_total(),
                "payer_refund": self.payer_refund(refund.fen),
            },
        });
        if let Some(time) = refund.succeeded_at {
            resource["success_time"] = beijing_time(time).into();
        }
        resource
    }

    /// What a person sees of a refund.
    pub(crate) fn refund_view(&self, refund: &Refund) -> Value {
        json!({
            "outRefundNo": refund.out_refund_no,
            "outTradeNo": self.request.out_trade_no,
            "refundId": refund.refund_id,
            "refund": refund.fen,
            "total": self.request.total,
            "status": refund.status,
            "byStaff": refund.by_staff,
            "timesRequested": refund.times_requested,
        })
    }
}
