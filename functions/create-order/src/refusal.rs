//! What a refusal of WeChat Pay's says of an order for which it was asked to wait.

use shared::wechatpay::v3::{PayCode, PayRefusal};

/// What it says. None of it is signed, so WeChat Pay is asked how the order stands before anything follows.
/// Source: WeChat Pay v3, "JSAPI order", error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Our request breaks a rule; or WeChat Pay has this number with other bytes.
    Doubtful,
    /// It will not take the order, for the merchant's sake or ours: it has none of this number.
    Final,
    /// Nothing, or that it will not take it of this payer: then the order keeps its place, because otherwise nothing
    /// would limit how many orders such a user makes.
    Passing,
    /// The order is past its payment.
    Settled,
    /// It has this number already.
    Used,
}

impl Refusal {
    pub(crate) fn of(refusal: &PayRefusal) -> Self {
        // What a server says that is out of order says nothing about the order.
        let is_answer = (400..500).contains(&refusal.status) && refusal.status != 429;
        match refusal.code {
            PayCode::OrderClosed | PayCode::OrderPaid => Self::Settled,
            PayCode::OutTradeNoUsed => Self::Used,
            PayCode::InvalidRequest if is_answer => Self::Doubtful,
            PayCode::AppidMchidNotMatch
            | PayCode::MchNotExists
            | PayCode::NoAuth
            | PayCode::NotEnough
            | PayCode::ParamError
            | PayCode::RequestBlocked
            | PayCode::SignError
                if is_answer =>
            {
                Self::Final
            }
            PayCode::AccountError
            | PayCode::AppidMchidNotMatch
            | PayCode::BankError
            | PayCode::FrequencyLimited
            | PayCode::InvalidRequest
            | PayCode::InvalidTransactionId
            | PayCode::MchNotExists
            | PayCode::NoAuth
            | PayCode::NotEnough
            | PayCode::OpenidMismatch
            | PayCode::OrderNotExist
            | PayCode::ParamError
            | PayCode::RequestBlocked
            | PayCode::ResourceNotExists
            | PayCode::RuleLimit
            | PayCode::ServiceUnavailable
            | PayCode::SignError
            | PayCode::SystemError
            | PayCode::TradeError
            | PayCode::Unknown
            | PayCode::UserAccountAbnormal
            | PayCode::UserPaying => Self::Passing,
        }
    }
}
