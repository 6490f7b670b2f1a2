//! The fixed address from which WeChat is called, and what to say when WeChat does not let it in.

use std::net::IpAddr;

use crate::log::Metric;
use crate::wechat::errcode::INVALID_IP;
use crate::wechat::{AppId, WechatError};

/// The addresses that have to be in WeChat's whitelist.
#[derive(Clone, Debug)]
pub struct EgressIps(String);

impl EgressIps {
    /// These addresses.
    pub fn new(ips: &[IpAddr]) -> Self {
        Self(ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    /// Says what to add to which whitelist, if that is what `err` is about (40164).
    pub fn report(&self, function: &str, request_id: &str, app_id: &AppId, err: &WechatError) {
        let Some(refusal) = err.refusal().filter(|refusal| refusal.errcode == INVALID_IP) else { return };
        tracing::error!(
            function,
            requestId = request_id,
            appId = app_id.as_str(),
            seenIp = refusal.seen_ip.map(tracing::field::display),
            egressIp = self.0,
            "the caller's address is not in the app's IP whitelist: add egressIp in WeChat's console"
        );
        Metric::IpNotInWhitelist.count(function, request_id);
    }
}
