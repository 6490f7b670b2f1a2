//! Where WeChat Pay tells of payments.

use url::{Host, Url};

use crate::net::base_url;
use crate::wechat::is_visible_ascii;

/// The URL of `pay-notify`, as WeChat Pay takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyUrl(String);

/// The value of `PAY_NOTIFY_URL` is not such a URL.
#[derive(Debug, thiserror::Error)]
#[error("expected an https URL without query, fragment and user, of at most 255 characters (http for a loopback host)")]
pub struct InvalidNotifyUrl;

impl NotifyUrl {
    /// Source: WeChat Pay v3, "JSAPI order", notify_url.
    const LONGEST: usize = 255;

    /// Reads the value of `PAY_NOTIFY_URL`.
    ///
    /// # Errors
    ///
    /// If it is not https (http, for a host on this machine), or has a query, a fragment or a user, which WeChat Pay
    /// takes none of, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidNotifyUrl> {
        let url = is_visible_ascii(text, Self::LONGEST).then(|| base_url(text)).flatten().ok_or(InvalidNotifyUrl)?;
        let taken = (url.scheme() == "https" || is_loopback(&url)) && url.as_str().len() <= Self::LONGEST;
        taken.then(|| Self(url.into())).ok_or(InvalidNotifyUrl)
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notify_url_is_public_or_of_this_machine() {
        for url in [
            "https://api.example.com/pay-notify",
            "http://127.0.0.1:9000/pay-notify",
            "http://[::1]:9000/pay-notify",
            "http://localhost/pay-notify",
        ] {
            assert_eq!(NotifyUrl::parse(url).unwrap().as_str(), url);
        }
        let long = format!("https://x/{}", "x".repeat(246));
        assert!(NotifyUrl::parse(&long[..255]).is_ok());
        for url in [
            "",
            "pay-notify",
            "http://api.example.com/pay-notify",
            "http://localhost.example.com/",
            "ftp://localhost/",
            "https://x/?q",
            "https://x/?",
            "https://x/#f",
            "https://u@x/",
            "https://:p@x/",
            " https://x/",
            "https://x/\n",
            "https://x/é",
            &long,
        ] {
            assert!(NotifyUrl::parse(url).is_err(), "{url:?}");
        }
    }
}
