//! Why WeChat Pay gave no good answer.

use std::fmt;

use lambda_http::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::{NotVerified, PayCode};
use crate::json::Object;
use crate::net::{HttpError, HttpResponse};
use crate::wechat::is_visible_ascii;
use crate::wechatpay::CannotSign;

/// Characters of a code that may be shown. The longest known one has 21.
const LONGEST_CODE: usize = 64;
/// Characters of a field's path that may be shown.
const LONGEST_FIELD: usize = 64;
/// Characters of a Request-ID that may be shown.
const LONGEST_REQUEST_ID: usize = 128;

/// Why WeChat Pay's API gave no good answer. After all but a refusal it is open what has become of the request.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// Taken (202), and what comes of it is open.
    #[error("WeChat Pay has only accepted the request ({0})")]
    Accepted(RequestId),
    /// WeChat Pay refused. Refusals are not signed, so nothing final is to follow from a single one.
    #[error("WeChat Pay refused: {0}")]
    Refused(PayRefusal),
    /// Nothing was sent.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
    /// No answer.
    #[error("no answer from WeChat Pay")]
    Transport(#[source] HttpError),
    /// An answer that is signed and is not what the documentation promises.
    #[error("WeChat Pay's answer is not as documented ({0})")]
    Unreadable(RequestId),
    /// An answer of somebody else's, or one that WeChat Pay has signed wrongly on purpose.
    #[error("WeChat Pay's answer is not verified ({0})")]
    Unverified(RequestId, #[source] NotVerified),
}

/// WeChat Pay's "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayRefusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong.
    pub code: PayCode,
    /// How WeChat Pay writes it, if it is fit to be shown.
    pub code_text: Option<String>,
    /// The field that is wrong, where WeChat Pay names one that is fit to be shown.
    pub field: Option<Field>,
    /// The call's id.
    pub request_id: RequestId,
}

/// The path of a field of a request, such as `/amount/currency`: a JSON pointer of at most 64 characters, of nothing but
/// names as WeChat Pay writes them and positions in lists. Any other text could be a value, and is left out.
/// Source: WeChat Pay v3, "Basic rules", error information: `detail.field`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(String);

impl Field {
    fn parse(pointer: &str) -> Option<Self> {
        let is_name = |part: &str| {
            let rest = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            part.starts_with(|first: char| first.is_ascii_lowercase()) && rest
        };
        let is_position = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = pointer.strip_prefix('/')?.split('/');
        let is_path = pointer.len() <= LONGEST_FIELD && parts.all(|part| is_name(part) || is_position(part));
        is_path.then(|| Self(pointer.to_owned()))
    }
}

/// The id under which WeChat Pay can look a call up, if there is one that is fit to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(Option<String>);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let id = headers.get("request-id").and_then(|id| id.to_str().ok());
        Self(id.filter(|id| is_visible_ascii(id, LONGEST_REQUEST_ID)).map(str::to_owned))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request-ID {}", self.0.as_deref().unwrap_or("none"))
    }
}

/// The body of a refusal. Its message is WeChat Pay's own and not used here, and a value that it names may be anything.
#[derive(Deserialize)]
struct Body {
    code: Option<Value>,
    detail: Option<Value>,
}

impl PayError {
    /// Whether the same request may be sent again after a pause: its number makes that harmless.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status >= 500 || refusal.status == 429,
            Self::Accepted(_) | Self::Unreadable(_) | Self::Unverified(..) => true,
            Self::Transport(HttpError::Broken(_) | HttpError::Connect(_) | HttpError::Timeout) => true,
            Self::CannotSign(_) | Self::Transport(HttpError::TooLong) => false,
        }
    }

    /// WeChat Pay's refusal, if it is one.
    pub fn refusal(&self) -> Option<&PayRefusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Accepted(_)
            | Self::CannotSign(_)
            | Self::Transport(_)
            | Self::Unreadable(_)
            | Self::Unverified(..) => None,
        }
    }
}

impl PayRefusal {
    /// A body that says nothing, and gateways send such, is a refusal all the same.
    pub(super) fn of(response: &HttpResponse) -> Self {
        // A message in another encoding does not hide the code.
        let text = String::from_utf8_lossy(&response.body);
        let body = serde_json::from_str::<Object<Body>>(&text).ok().map(|Object(body)| body);
        let code = body.as_ref().and_then(|body| body.code.as_ref()?.as_str()).unwrap_or_default();
        let field = body.as_ref().and_then(|body| body.detail.as_ref()?.get("field")?.as_str());
        Self {
            status: response.status.as_u16(),
            code: PayCode::from(code),
            code_text: is_plain(code).then(|| code.to_owned()),
            field: field.and_then(Field::parse),
            request_id: RequestId::of(&response.headers),
        }
    }
}

fn is_plain(code: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(plain)
}

impl fmt::Display for PayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code_text.as_deref().unwrap_or("none");
        write!(f, "status {}, code {code}, ", self.status)?;
        if let Some(Field(field)) = &self.field {
            write!(f, "field {field}, ")?;
        }
        self.request_id.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::http::StatusCode;
    use serde_json::json;

    use super::*;

    fn response(status: u16, request_id: &str, body: Vec<u8>) -> HttpResponse {
        let mut headers = HeaderMap::new();
        headers.insert("request-id", request_id.parse().unwrap());
        HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
    }

    fn refusal(status: u16, request_id: &str, body: &[u8]) -> PayRefusal {
        PayRefusal::of(&response(status, request_id, body.to_vec()))
    }

    #[test]
    fn a_refusal_shows_status_code_and_request_id_and_nothing_else() {
        let body = br#"{"code":"ORDERPAID","message":"hunter2","detail":{"value":"hunter2"}}"#;
        let refusal = refusal(400, "08F78FA3AB-268449538", body);
        assert_eq!(refusal.code, PayCode::OrderPaid);
        let shown = PayError::Refused(refusal).to_string();
        assert_eq!(shown, "WeChat Pay refused: status 400, code ORDERPAID, Request-ID 08F78FA3AB-268449538");
    }

    #[test]
    fn a_refusal_names_the_field_that_is_wrong_and_never_its_value() {
        let shown = |field: &str| {
            let body = json!({ "code": "PARAM_ERROR", "detail": { "field": field, "value": "hunter2" } }).to_string();
            PayRefusal::of(&response(400, "1", body.into_bytes())).to_string()
        };
        for field in ["/amount/currency", "/out_trade_no", "/detail/goods_detail/12/goods_name", "/mchid", "/scene2"] {
            assert_eq!(shown(field), format!("status 400, code PARAM_ERROR, field {field}, Request-ID 1"));
        }
        let long = format!("/{}", "a".repeat(64));
        for field in
            ["", "/", "hunter2", "/a//b", "/a b", "/Hunter2", "/13800138000", "/a\n", "/é", "//x", "/a?x=1", &long]
        {
            assert_eq!(shown(field), "status 400, code PARAM_ERROR, Request-ID 1", "{field:?}");
        }
        for body in [r#"{"detail":[]}"#, r#"{"detail":"/a"}"#, r#"{"detail":{"field":["/a"]}}"#, r#"{"detail":null}"#] {
            let shown = PayRefusal::of(&response(400, "1", body.into())).to_string();
            assert_eq!(shown, "status 400, code none, Request-ID 1", "{body}");
        }
    }

    #[test]
    fn a_body_that_says_nothing_is_a_refusal_for_an_unknown_reason() {
        for body in [&b""[..], b"<html>", b"[]", b"[\"ORDERPAID\"]", b"{}", br#"{"code":1}"#, b"{\"code\":null}"] {
            let refusal = refusal(404, "", body);
            assert_eq!((refusal.status, refusal.code), (404, PayCode::Unknown), "{body:?}");
            assert_eq!(refusal.to_string(), "status 404, code none, Request-ID none");
        }
    }

    #[test]
    fn a_code_in_another_encoding_s_company_counts_and_an_odd_one_is_not_shown() {
        assert_eq!(refusal(403, "", b"{\"code\":\"NOAUTH\",\"message\":\"\xb2\xbb\"}").code, PayCode::NoAuth);
        let odd = refusal(403, "a b", br#"{"code":"https://x/?secret"}"#);
        assert_eq!(odd.to_string(), "status 403, code none, Request-ID none");
    }
}
