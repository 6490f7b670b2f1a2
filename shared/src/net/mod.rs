//! HTTP to the outside: one TLS provider, one root store, connections that survive a freeze.

mod client;
mod connector;
mod hosts;
mod tls;

use std::error::Error;

use lambda_http::http::Uri;
use url::Url;

pub use client::{HttpClient, HttpError, HttpResponse};
pub use connector::CONNECT_TIMEOUT;
pub use hosts::Hosts;
pub use tls::Tls;

/// A URL to append paths to: http or https, and nothing of a user or a query in it.
pub(crate) fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let sendable = Uri::try_from(url.as_str()).is_ok();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain && nobody && sendable).then_some(url)
}

/// The innermost reason of an error.
pub(crate) fn root_cause(mut err: &(dyn Error + 'static)) -> String {
    while let Some(source) = err.source() {
        err = source;
    }
    err.to_string()
}
