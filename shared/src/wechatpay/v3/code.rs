//! WeChat Pay's error codes. Source: WeChat Pay v3, the tables of each interface.

/// What WeChat Pay says is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its name at WeChat Pay")]
pub enum PayCode {
    AccountError,
    AppidMchidNotMatch,
    BankError,
    FrequencyLimited,
    InvalidRequest,
    InvalidTransactionId,
    MchNotExists,
    NoAuth,
    NotEnough,
    OpenidMismatch,
    OrderClosed,
    OrderNotExist,
    OrderPaid,
    OutTradeNoUsed,
    ParamError,
    RequestBlocked,
    ResourceNotExists,
    RuleLimit,
    ServiceUnavailable,
    SignError,
    SystemError,
    TradeError,
    /// Any other, and none at all.
    Unknown,
    UserAccountAbnormal,
    UserPaying,
}

impl From<&str> for PayCode {
    /// Older interfaces write most codes without underscores, and newer ones some; so they do not count.
    fn from(text: &str) -> Self {
        match text.replace('_', "").as_str() {
            "ACCOUNTERROR" => Self::AccountError,
            "APPIDMCHIDNOTMATCH" => Self::AppidMchidNotMatch,
            "BANKERROR" => Self::BankError,
            "FREQUENCYLIMITED" | "RATELIMITEXCEEDED" => Self::FrequencyLimited,
            "INVALIDREQUEST" => Self::InvalidRequest,
            "INVALIDTRANSACTIONID" => Self::InvalidTransactionId,
            "MCHNOTEXISTS" => Self::MchNotExists,
            "NOAUTH" => Self::NoAuth,
            "NOTENOUGH" => Self::NotEnough,
            "OPENIDMISMATCH" => Self::OpenidMismatch,
            "ORDERCLOSED" => Self::OrderClosed,
            "ORDERNOTEXIST" => Self::OrderNotExist,
            "ORDERPAID" => Self::OrderPaid,
            "OUTTRADENOUSED" => Self::OutTradeNoUsed,
            "PARAMERROR" => Self::ParamError,
            "REQUESTBLOCKED" => Self::RequestBlocked,
            "RESOURCENOTEXISTS" => Self::ResourceNotExists,
            "RULELIMIT" => Self::RuleLimit,
            "SERVICEUNAVAILABLE" => Self::ServiceUnavailable,
            "SIGNERROR" => Self::SignError,
            "SYSTEMERROR" => Self::SystemError,
            "TRADEERROR" => Self::TradeError,
            "USERACCOUNTABNORMAL" => Self::UserAccountAbnormal,
            "USERPAYING" => Self::UserPaying,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_in_each_of_its_spellings() {
        for (texts, code) in [
            (&["FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED"][..], PayCode::FrequencyLimited),
            (&["NO_AUTH", "NOAUTH"], PayCode::NoAuth),
            (&["NOT_ENOUGH", "NOTENOUGH"], PayCode::NotEnough),
            (&["ORDER_CLOSED", "ORDERCLOSED"], PayCode::OrderClosed),
            (&["ORDER_NOT_EXIST", "ORDERNOTEXIST"], PayCode::OrderNotExist),
            (&["ORDER_PAID", "ORDERPAID"], PayCode::OrderPaid),
            (&["RULE_LIMIT", "RULELIMIT"], PayCode::RuleLimit),
            (&["SYSTEM_ERROR", "SYSTEMERROR"], PayCode::SystemError),
            (&["OUT_TRADE_NO_USED"], PayCode::OutTradeNoUsed),
            (&["", "order_paid", "ORDER PAID", "SOMETHING_NEW"], PayCode::Unknown),
        ] {
            for text in texts {
                assert_eq!(PayCode::from(*text), code, "{text}");
            }
        }
    }
}
