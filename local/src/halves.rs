//! The two halves of the sandbox, of which each may be given from outside.

use shared::env::Env;

/// Which of them nobody has given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halves {
    /// The logins and all that is not paid, and with them the people.
    pub(crate) wechat: bool,
    /// The payments.
    pub(crate) pay: bool,
}

impl Halves {
    /// Both, whatever is given.
    pub(crate) const BOTH: Self = Self { wechat: true, pay: true };

    pub(crate) fn wanted(outside: &Env) -> Self {
        let wanted = |name| outside.get(name).is_none();
        Self { wechat: wanted("WECHAT_API_URLS"), pay: wanted("WECHATPAY_API_URLS") }
    }

    /// The controls are there as long as one of them is.
    pub(crate) fn is_any_wanted(self) -> bool {
        self.wechat || self.pay
    }

    /// Nothing that the sandbox signs would be right for somebody who has the public key of the real WeChat Pay.
    pub(crate) fn warn_of_foreign_keys(self, outside: &Env) {
        let of_somebody = ["WECHATPAY", "WECHATPAY_SECRET_ARN"].into_iter().find(|name| outside.get(name).is_some());
        if let (Some(variable), true) = (of_somebody, self.pay) {
            tracing::warn!(
                "{variable} is set and WECHATPAY_API_URLS is not: \
                 the sandbox cannot sign as the WeChat Pay of that merchant, and knows its own only"
            );
        }
    }
}
