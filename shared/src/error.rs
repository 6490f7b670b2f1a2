//! The errors that a client sees, and what only the log sees.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use lambda_http::http::StatusCode;

use crate::cause;
use crate::store::StoreError;
use crate::store::tokens::protocol::Reason;
use crate::tokens::TokenError;
use crate::wechat::errcode::{self, Class};
use crate::wechat::open_data::InvalidField;
use crate::wechat::{AppId, Refusal, WechatError};
use crate::wechatpay::v3::{NotVerified, PayCode, PayError};

/// What a client acts on. The whole list: a new code is a change of the contract. `NotVerified` is for WeChat Pay only, in
/// its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its name; the table in the README says what a client does about it")]
pub enum ErrorCode {
    BodyTooLarge,
    Busy,
    CardUnknown,
    IdempotencyKeyReused,
    Internal,
    InvalidRequest,
    LoginCodeInvalid,
    MethodNotAllowed,
    Misconfigured,
    NotFound,
    NotVerified,
    OpenidUnknown,
    OrderClosed,
    OrderPaid,
    OutOfStock,
    PhoneCodeInvalid,
    ProductUnknown,
    QuantityInvalid,
    RateLimited,
    RefundExceedsPaid,
    RefundRefused,
    SessionInvalid,
    SessionKeyStale,
    UnsupportedMediaType,
    UserBlocked,
    WechatUnavailable,
    WrongAppKind,
}

impl ErrorCode {
    /// The code, its status, and the message that goes with it.
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "the body is over 64 KiB"),
            Self::Busy => ("busy", S::SERVICE_UNAVAILABLE, "too much is going on at once; try again"),
            Self::CardUnknown => ("card_unknown", S::BAD_REQUEST, "there is no such card"),
            Self::IdempotencyKeyReused => {
                ("idempotency_key_reused", S::CONFLICT, "the key was used with another request")
            }
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "something went wrong here"),
            Self::InvalidRequest => ("invalid_request", S::BAD_REQUEST, "the request is not valid"),
            Self::LoginCodeInvalid => {
                ("login_code_invalid", S::BAD_REQUEST, "the code is wrong, too old or used up; get a new one")
            }
            Self::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, "use POST"),
            Self::Misconfigured => ("misconfigured", S::INTERNAL_SERVER_ERROR, "this backend is not set up correctly"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "there is no such thing"),
            Self::NotVerified => ("not_verified", S::UNAUTHORIZED, "not verified"),
            Self::OpenidUnknown => {
                ("openid_unknown", S::CONFLICT, "the user has not signed in at the official account yet")
            }
            Self::OrderClosed => ("order_closed", S::CONFLICT, "the order is closed"),
            Self::OrderPaid => ("order_paid", S::CONFLICT, "the order is paid"),
            Self::OutOfStock => ("out_of_stock", S::CONFLICT, "there is not enough in stock"),
            Self::PhoneCodeInvalid => {
                ("phone_code_invalid", S::BAD_REQUEST, "the code is wrong, too old or used up; get a new one")
            }
            Self::ProductUnknown => ("product_unknown", S::BAD_REQUEST, "there is no such product"),
            Self::QuantityInvalid => ("quantity_invalid", S::BAD_REQUEST, "a quantity is from 1 to 9999"),
            Self::RateLimited => ("rate_limited", S::TOO_MANY_REQUESTS, "too many requests; wait"),
            Self::RefundExceedsPaid => ("refund_exceeds_paid", S::CONFLICT, "that is more than is left of the payment"),
            Self::RefundRefused => ("refund_refused", S::CONFLICT, "the refund was refused"),
            Self::SessionInvalid => ("session_invalid", S::UNAUTHORIZED, "there is no such session (any more); log in"),
            Self::SessionKeyStale => {
                ("session_key_stale", S::CONFLICT, "the data is not of this session; log in and ask the user again")
            }
            Self::UnsupportedMediaType => {
                ("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "use Content-Type: application/json")
            }
            Self::UserBlocked => ("user_blocked", S::FORBIDDEN, "WeChat refuses this user"),
            Self::WechatUnavailable => {
                ("wechat_unavailable", S::SERVICE_UNAVAILABLE, "WeChat gives no answer; try again")
            }
            Self::WrongAppKind => ("wrong_app_kind", S::BAD_REQUEST, "this needs a mini program"),
        }
    }

    /// The code as clients know it.
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The status that goes with the code.
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    const fn retry_after_secs(self) -> Option<u64> {
        match self {
            Self::Busy => Some(1),
            Self::RateLimited => Some(60),
            Self::WechatUnavailable => Some(2),
            _ => None,
        }
    }
}

/// A refusal. Its `code`, `message` and `retry_after_secs` go to the client; the rest goes to the log.
pub struct ApiError {
    /// What the client acts on.
    pub code: ErrorCode,
    /// For the developer of the client. Never WeChat's text, and nothing that the client did not send.
    pub message: Cow<'static, str>,
    /// Seconds, for every 429 and 503.
    pub retry_after_secs: Option<u64>,
    /// WeChat's refusal, if that is the reason. Boxed, because every result of a call has room for it.
    pub refusal: Option<Box<Refusal>>,
    /// The app that the reason is about.
    pub app_id: Option<AppId>,
    /// The reason.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// A day's or month's quota comes back at a time that WeChat does not tell: a client need not ask more often.
const QUOTA_RETRY_AFTER_SECS: u64 = 3600;

impl ApiError {
    /// A refusal with the code's own message.
    pub fn new(code: ErrorCode) -> Self {
        let message = Cow::Borrowed(code.parts().2);
        Self { code, message, retry_after_secs: code.retry_after_secs(), refusal: None, app_id: None, source: None }
    }

    /// The request is wrong; `message` says where, naming the field.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(ErrorCode::InvalidRequest) }
    }

    /// Keeps the reason for the log.
    pub fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    /// Names the app that the reason is about, for the log.
    pub fn of_app(self, app_id: &AppId) -> Self {
        Self { app_id: Some(app_id.clone()), ..self }
    }

    /// What WeChat's answer means for the client; `wrong_input` is the code for what the client gave us to pass on.
    pub fn from_wechat(err: WechatError, wrong_input: ErrorCode) -> Self {
        let refusal = err.refusal().cloned().map(Box::new);
        let class = refusal.as_ref().map(|refusal| errcode::class(refusal.errcode));
        let code = match class {
            None | Some(Class::Busy | Class::Unknown) => ErrorCode::WechatUnavailable,
            Some(Class::Blocked) => ErrorCode::UserBlocked,
            Some(Class::Credential | Class::Operator) => ErrorCode::Misconfigured,
            Some(Class::Input) => wrong_input,
            Some(Class::MinuteQuota | Class::Quota) => ErrorCode::RateLimited,
            Some(Class::Request) => ErrorCode::Internal,
        };
        let this = Self { refusal, ..Self::new(code) }.with_source(err);
        match class {
            Some(Class::Quota) => Self { retry_after_secs: Some(QUOTA_RETRY_AFTER_SECS), ..this },
            _ => this,
        }
    }

    /// What WeChat Pay's answer means for the client.
    pub fn from_pay(err: PayError) -> Self {
        let code = match &err {
            PayError::CannotSign(_) | PayError::Unverified(_, NotVerified::MissingPublicKey(_)) => {
                ErrorCode::Misconfigured
            }
            PayError::Refused(refusal) => refusal.code.into(),
            PayError::Accepted(_) | PayError::Transport(_) | PayError::Unreadable(_) | PayError::Unverified(..) => {
                ErrorCode::WechatUnavailable
            }
        };
        Self::new(code).with_source(err)
    }

    /// The reasons, outermost first.
    pub fn cause(&self) -> Option<String> {
        Some(cause::chain(self.source.as_deref()?))
    }
}

impl From<InvalidField> for ApiError {
    fn from(InvalidField(name): InvalidField) -> Self {
        Self::invalid_request(format!("field `{name}` is not valid"))
    }
}

impl From<&StoreError> for ErrorCode {
    fn from(err: &StoreError) -> Self {
        match err {
            StoreError::Busy(_) => Self::Busy,
            StoreError::Misconfigured(_) => Self::Misconfigured,
            StoreError::Corrupt(_) | StoreError::Refused(_) => Self::Internal,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(err: StoreError) -> Self {
        Self::new(ErrorCode::from(&err)).with_source(err)
    }
}

impl From<TokenError> for ApiError {
    fn from(err: TokenError) -> Self {
        let (code, refusal, wait) = match &err {
            TokenError::Store(err) => (err.into(), None, None),
            TokenError::Invoke(_) => (ErrorCode::Misconfigured, None, None),
            TokenError::Refused(refusal) => (ErrorCode::WechatUnavailable, Some(refusal.clone()), None),
            TokenError::Stopped { stopped, wait } => {
                (stopped.reason.into(), refusal(stopped.reason), Some(wait.as_secs() + 1))
            }
            TokenError::TooLate => (ErrorCode::WechatUnavailable, None, None),
        };
        let this = Self { refusal: refusal.map(Box::new), ..Self::new(code) }.with_source(err);
        let retry_after_secs = this.retry_after_secs.map(|secs| wait.unwrap_or(secs));
        Self { retry_after_secs, ..this }
    }
}

/// What WeChat has refused another who asked for the token.
fn refusal(reason: Reason) -> Option<Refusal> {
    let Reason::Errcode(errcode) = reason else { return None };
    Some(Refusal { errcode, rid: None, seen_ip: None })
}

/// What a refusal of WeChat Pay's means for the client.
impl From<PayCode> for ErrorCode {
    fn from(code: PayCode) -> Self {
        match code {
            PayCode::OrderClosed => Self::OrderClosed,
            PayCode::OrderPaid => Self::OrderPaid,
            PayCode::AccountError | PayCode::UserAccountAbnormal => Self::UserBlocked,
            // Too often, by one rule or another.
            PayCode::FrequencyLimited | PayCode::RuleLimit => Self::RateLimited,
            // The operator has to do something, on the merchant platform or here.
            PayCode::AppidMchidNotMatch
            | PayCode::MchNotExists
            | PayCode::NoAuth
            | PayCode::NotEnough
            | PayCode::OpenidMismatch
            | PayCode::RequestBlocked
            | PayCode::SignError => Self::Misconfigured,
            // The request is ours alone. A number is used with one body only, so it is never used already.
            PayCode::InvalidRequest | PayCode::InvalidTransactionId | PayCode::OutTradeNoUsed | PayCode::ParamError => {
                Self::Internal
            }
            // Nothing final follows from a single answer that something is not there: it is not signed.
            PayCode::BankError
            | PayCode::OrderNotExist
            | PayCode::ResourceNotExists
            | PayCode::ServiceUnavailable
            | PayCode::SystemError
            | PayCode::TradeError
            | PayCode::Unknown
            | PayCode::UserPaying => Self::WechatUnavailable,
        }
    }
}

/// What it means for whoever needs a token that a refresh had no success.
impl From<Reason> for ErrorCode {
    fn from(reason: Reason) -> Self {
        let Reason::Errcode(errcode) = reason else { return Self::WechatUnavailable };
        match errcode::class(errcode) {
            Class::Busy | Class::MinuteQuota | Class::Quota | Class::Unknown => Self::WechatUnavailable,
            Class::Blocked | Class::Credential | Class::Input | Class::Operator | Class::Request => Self::Misconfigured,
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError").field("code", &self.code).field("cause", &self.cause()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::HttpError;
    use crate::wechat::Unusable;
    use crate::wechatpay::v3::{PayRefusal, RequestId};

    fn outcome(errcode: i64) -> (&'static str, u16, Option<u64>) {
        let refusal = Refusal { errcode, rid: None, seen_ip: None };
        let err = ApiError::from_wechat(WechatError::Refused(refusal), ErrorCode::LoginCodeInvalid);
        (err.code.as_str(), err.code.status().as_u16(), err.retry_after_secs)
    }

    #[test]
    fn every_errcode_of_a_login_has_its_meaning_for_the_client() {
        for (errcodes, expected) in [
            (&[40029, 40163, 42003][..], ("login_code_invalid", 400, None)),
            (&[40226], ("user_blocked", 403, None)),
            (&[45011, 44991], ("rate_limited", 429, Some(60))),
            (&[45009, 44993], ("rate_limited", 429, Some(3600))),
            (&[40001, 40013, 40125, 40164, 40243, 41002, 41004, 50007], ("misconfigured", 500, None)),
            (&[40002, 41008, 43001, 47001], ("internal", 500, None)),
            (&[-1, 44990, 1, -2, 99_999, i64::MAX], ("wechat_unavailable", 503, Some(2))),
        ] {
            for errcode in errcodes {
                assert_eq!(outcome(*errcode), expected, "{errcode}");
            }
        }
    }

    #[test]
    fn every_refusal_of_wechat_pay_has_its_meaning_for_the_client() {
        for (codes, expected) in [
            (&["ORDER_CLOSED"][..], ("order_closed", 409, None)),
            (&["ORDERPAID", "ORDER_PAID"], ("order_paid", 409, None)),
            (&["ACCOUNTERROR", "USER_ACCOUNT_ABNORMAL"], ("user_blocked", 403, None)),
            (&["FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", "RULE_LIMIT", "RULELIMIT"], ("rate_limited", 429, Some(60))),
            (&["APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "NO_AUTH", "NOT_ENOUGH"], ("misconfigured", 500, None)),
            (&["OPENID_MISMATCH", "REQUEST_BLOCKED", "SIGN_ERROR"], ("misconfigured", 500, None)),
            (&["INVALID_REQUEST", "INVALID_TRANSACTIONID"], ("internal", 500, None)),
            (&["OUT_TRADE_NO_USED", "PARAM_ERROR"], ("internal", 500, None)),
            (&["BANKERROR", "ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"], ("wechat_unavailable", 503, Some(2))),
            (&["SERVICE_UNAVAILABLE", "SYSTEM_ERROR", "TRADE_ERROR"], ("wechat_unavailable", 503, Some(2))),
            (&["USERPAYING", "SOMETHING_NEW", ""], ("wechat_unavailable", 503, Some(2))),
        ] {
            for code in codes {
                let request_id = RequestId::default();
                let refusal =
                    PayRefusal { status: 400, code: (*code).into(), code_text: None, field: None, request_id };
                let err = ApiError::from_pay(PayError::Refused(refusal));
                let outcome = (err.code.as_str(), err.code.status().as_u16(), err.retry_after_secs);
                assert_eq!(outcome, expected, "{code}");
            }
        }
    }

    #[test]
    fn without_a_good_answer_wechat_pay_is_unavailable_and_the_cause_says_why() {
        let id = RequestId::default;
        for (err, cause) in [
            (PayError::Accepted(id()), "WeChat Pay has only accepted the request (Request-ID none)"),
            (PayError::Unreadable(id()), "WeChat Pay's answer is not as documented (Request-ID none)"),
            (PayError::Transport(HttpError::Timeout), "no answer from WeChat Pay: no answer in time"),
            (
                PayError::Unverified(id(), NotVerified::Signature),
                "WeChat Pay's answer is not verified (Request-ID none): the signature is wrong",
            ),
        ] {
            let err = ApiError::from_pay(err);
            assert_eq!((err.code.as_str(), err.cause().as_deref()), ("wechat_unavailable", Some(cause)));
        }
    }

    #[test]
    fn the_cause_is_the_whole_chain() {
        let err = ApiError::from_wechat(WechatError::Answer(Unusable::Status(502)), ErrorCode::Internal);
        assert_eq!(err.cause().unwrap(), "WeChat's answer is unusable: status 502");
    }
}
