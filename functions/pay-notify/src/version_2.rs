//! Notices of WeChat Pay's version 2, which come to the URL of version 3 for some refunds of the merchant platform.

use lambda_http::http::HeaderMap;

/// How much of a body is looked at. The tag that is looked for is the first of a refund's notice.
const LOOKED_AT: usize = 4096;

/// The whole element that such a notice is, and one that each has.
/// Source: WeChat Pay v2, "Refund result notification", "Payment result notification".
const XML: &[u8] = b"<xml>";
const RETURN_CODE: &[u8] = b"<return_code>";

/// Why such a notice is refused, for the log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a notice of version 2, which is not signed and cannot be opened")]
pub(crate) struct OfVersion2;

/// Whether what is not verified looks like such a notice, which has no signature in its headers. Anybody may send what
/// looks so: nothing follows from it but how it is counted.
pub(crate) fn is_notice(headers: &HeaderMap, body: &[u8]) -> bool {
    let start = body.get(..LOOKED_AT).unwrap_or(body).trim_ascii_start();
    let has_code = || start.windows(RETURN_CODE.len()).any(|window| window == RETURN_CODE);
    !headers.contains_key("wechatpay-signature") && start.starts_with(XML) && has_code()
}
