//! What is said when WeChat says that a quota of ours is used up.

use crate::log::Metric;
use crate::wechat::errcode::{self, Class};
use crate::wechat::{AppId, WechatError};

/// Whose calls in a minute an API of WeChat's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerMinute {
    /// All of the app's: too many of them concern every user.
    OfApp,
    /// Those for one user, who has to slow down.
    OfUser,
}

/// Writes a line and counts one, if `err` is about a quota of the app: the day's (45009), or the minute's (45011) of an
/// API that counts the app's calls.
pub fn report(function: &str, request_id: &str, app_id: &AppId, err: &WechatError, per_minute: PerMinute) {
    let of_app = |errcode| match errcode::class(errcode) {
        Class::Quota => true,
        Class::MinuteQuota => per_minute == PerMinute::OfApp,
        _ => false,
    };
    let Some(refusal) = err.refusal().filter(|refusal| of_app(refusal.errcode)) else { return };
    tracing::error!(
        function,
        requestId = request_id,
        appId = app_id.as_str(),
        errcode = refusal.errcode,
        rid = refusal.rid.as_deref(),
        "a quota of the app is used up"
    );
    Metric::QuotaExceeded.count(function, request_id);
}
