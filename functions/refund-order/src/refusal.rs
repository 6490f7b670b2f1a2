//! What a refusal of WeChat Pay's means for a refund of which it says that there is none.

use shared::error::{ApiError, ErrorCode};
use shared::wechatpay::v3::{PayCode, PayError};

/// Why WeChat Pay has taken nothing. Source: WeChat Pay v3, "Refund", error codes and what to do about them.
pub(crate) enum Refusal {
    /// It will not, whoever asks: nothing is left of the request.
    Final(ApiError),
    /// It may later: amount and number stay for a repeat.
    Held(ApiError),
    /// Nobody knows: the same may be asked again at once.
    Open(PayError),
}

impl Refusal {
    pub(crate) fn of(err: PayError) -> Self {
        let Some((status, code, text)) = err.refusal().map(|it| (it.status, it.code, it.code_text.clone())) else {
            return Self::Open(err);
        };
        match (status, code) {
            (_, PayCode::NotEnough) => {
                let message = "the merchant's balance is not enough: top it up, and repeat with the same requestId";
                let refusal = ApiError::from_pay(err);
                Self::Held(ApiError { message: message.into(), ..refusal })
            }
            (429, _) | (_, PayCode::FrequencyLimited) => {
                Self::Held(ApiError::new(ErrorCode::RateLimited).with_source(err))
            }
            (400..500, _) => Self::Final(refusal(code, text.as_deref(), err)),
            _ => Self::Open(err),
        }
    }
}

fn refusal(code: PayCode, text: Option<&str>, err: PayError) -> ApiError {
    let of_the_merchant = match code {
        PayCode::AppidMchidNotMatch
        | PayCode::MchNotExists
        | PayCode::NoAuth
        | PayCode::RequestBlocked
        | PayCode::RuleLimit
        | PayCode::SignError => true,
        PayCode::AccountError
        | PayCode::BankError
        | PayCode::FrequencyLimited
        | PayCode::InvalidRequest
        | PayCode::InvalidTransactionId
        | PayCode::NotEnough
        | PayCode::OpenidMismatch
        | PayCode::OrderClosed
        | PayCode::OrderNotExist
        | PayCode::OrderPaid
        | PayCode::OutTradeNoUsed
        | PayCode::ParamError
        | PayCode::ResourceNotExists
        | PayCode::ServiceUnavailable
        | PayCode::SystemError
        | PayCode::TradeError
        | PayCode::Unknown
        | PayCode::UserAccountAbnormal
        | PayCode::UserPaying => false,
    };
    if of_the_merchant {
        return ApiError::from_pay(err);
    }
    let message = format!("WeChat Pay refused the refund: {}", text.unwrap_or("no code"));
    ApiError { message: message.into(), ..ApiError::new(ErrorCode::RefundRefused) }.with_source(err)
}

/// There is nothing to refund.
pub(crate) fn refused(message: &'static str) -> ApiError {
    ApiError { message: message.into(), ..ApiError::new(ErrorCode::RefundRefused) }
}

/// What has become of the refund is open, and its amount is held. Where WeChat Pay refuses whatever it is asked, the code
/// says why.
pub(crate) fn open(err: PayError) -> ApiError {
    let is_refused = err.refusal().is_none_or(|refusal| (400..500).contains(&refusal.status));
    let refusal = ApiError::from_pay(err);
    let code = match refusal.code {
        code @ (ErrorCode::Misconfigured | ErrorCode::RateLimited) if is_refused => code,
        _ => ErrorCode::WechatUnavailable,
    };
    let message = "it is open what became of the refund; repeat with the same requestId";
    ApiError { message: message.into(), source: refusal.source, ..ApiError::new(code) }
}

/// An order of another time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the order is of a merchant who is configured no more")]
pub(crate) struct FormerMerchant;
