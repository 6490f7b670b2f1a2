//! Who calls: the signature of a request. Source: 微信支付商户REST API签名规则.

use std::collections::BTreeMap;

use axum::http::Method;
use axum::http::request::Parts;
use serde_json::json;
use shared::clock::Timestamp;

use super::reply::Reply;
use crate::pay_keys::{MCH_ID, PayKeys};

const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// The items of the header: each once, in any order.
const ITEMS: [&str; 5] = ["mchid", "nonce_str", "serial_no", "signature", "timestamp"];

/// The longest nonce, of a request and of a payment.
pub(crate) const NONCE_LEN: usize = 32;

/// How far a request's time may be from WeChat Pay's, either way.
const TOLERANCE_SECS: u64 = 300;

/// Checks what every request needs.
pub(super) fn check(keys: &PayKeys, parts: &Parts, body: &[u8], now: Timestamp) -> Result<(), Reply> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let given = |name: &str| text(name).is_some_and(|value| !value.is_empty());
    if !given("accept") || !given("user-agent") {
        return Err(Reply::refusal(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"));
    }
    if parts.method == Method::POST && !text("content-type").is_some_and(is_json) {
        return Err(Reply::refusal(400, "INVALID_REQUEST", "Http头Content-Type不是application/json"));
    }
    let malformed = || refusal("Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》");
    if parts.headers.get_all("authorization").iter().count() != 1 {
        return Err(malformed());
    }
    let items = text("authorization").and_then(parse).ok_or_else(malformed)?;
    let item = |name: &str| items.get(name).copied().unwrap_or_default();
    if item("mchid") != MCH_ID {
        return Err(refusal("商户号不存在"));
    }
    if item("serial_no") != keys.merchant.serial_no() {
        return Err(refusal("商户证书序列号有误。请使用签名私钥匹配的证书序列号"));
    }
    if item("nonce_str").chars().count() > NONCE_LEN {
        return Err(malformed());
    }
    let time = Some(item("timestamp")).filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()));
    let time: u64 = time.and_then(|time| time.parse().ok()).ok_or_else(malformed)?;
    if now.as_secs().abs_diff(time) > TOLERANCE_SECS {
        return Err(refusal("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"));
    }
    check_signature(keys, parts, body, &items)
}

/// Whatever is said of the characters.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Over the very bytes that have come.
fn check_signature(keys: &PayKeys, parts: &Parts, body: &[u8], items: &BTreeMap<&str, &str>) -> Result<(), Reply> {
    let item = |name: &str| items.get(name).copied().unwrap_or_default();
    let url = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let head = format!("{}\n{url}\n{}\n{}\n", parts.method, item("timestamp"), item("nonce_str"));
    let message = [head.as_bytes(), body, b"\n"].concat();
    if keys.merchant.has_signed(&message, item("signature")) {
        return Ok(());
    }
    let detail = json!({
        "field": "signature",
        "issue": "sign not match",
        "location": "authorization",
        "sign_information": { "method": parts.method.as_str(), "url": url, "sign_message_length": message.len() },
    });
    Err(refusal("签名错误，请检查后再试").with_detail(&detail))
}

fn refusal(message: &str) -> Reply {
    Reply::refusal(401, "SIGN_ERROR", message)
}

/// `None` unless the five items are there, and nothing else.
fn parse(header: &str) -> Option<BTreeMap<&str, &str>> {
    let (scheme, list) = header.split_once(' ')?;
    let mut items = BTreeMap::new();
    for item in list.split(',') {
        let (name, value) = item.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let is_good = ITEMS.contains(&name) && !value.is_empty() && !value.contains('"');
        if !is_good || items.insert(name, value).is_some() {
            return None;
        }
    }
    (scheme == SCHEME && items.len() == ITEMS.len()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"WECHATPAY2-SHA256-RSA2048 mchid="1",nonce_str="2",signature="a+/==",timestamp="4",serial_no="5""#;

    #[test]
    fn the_items_may_come_in_any_order() {
        let items = parse(GOOD).unwrap();
        assert_eq!((items["mchid"], items["signature"], items["serial_no"]), ("1", "a+/==", "5"));
        let turned =
            r#"WECHATPAY2-SHA256-RSA2048 serial_no="5",timestamp="4",signature="a+/==",nonce_str="2",mchid="1""#;
        assert_eq!(parse(turned), Some(items));
    }

    #[test]
    fn each_item_is_there_once_and_no_other_is() {
        for bad in [
            GOOD.replace("RSA2048", "RSA4096"),
            GOOD.replace(r#"mchid="1","#, ""),
            GOOD.replace(r#"mchid="1""#, r#"mchid="1",mchid="1""#),
            GOOD.replace(r#"mchid="1""#, r#"mchid="1",other="1""#),
            GOOD.replace(r#"mchid="1""#, "mchid=1"),
            GOOD.replace(r#"mchid="1""#, r#"mchid="""#),
            GOOD.replace("RSA2048 ", "RSA2048"),
            format!("{GOOD},"),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
