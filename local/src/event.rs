//! What API Gateway makes of HTTP: the event of an HTTP API (payload format 2.0), and the reply to it.
//!
//! Source: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs".

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::random;

use crate::functions::request_id;

/// The event for a request to `function`.
pub(crate) fn from_http(function: &str, parts: &Parts, body: &[u8], source_ip: IpAddr, now: SystemTime) -> Value {
    let path = parts.uri.path();
    let route_key = format!("{} {path}", parts.method);
    let (body, is_base64) = encode_body(&parts.headers, body);
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers, source_ip),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "local.execute-api.localhost",
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": source_ip,
                "userAgent": text(parts.headers.get(USER_AGENT)),
            },
            "requestId": request_id(),
            "routeKey": route_key,
            "stage": "$default",
            "time": log_time(now),
            "timeEpoch": epoch_millis(now),
        },
        "isBase64Encoded": is_base64,
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let (Some(event), Some(value)) = (event.as_object_mut(), value) {
            event.insert(name.to_owned(), value);
        }
    };
    set("body", body.map(Value::from));
    set("cookies", cookies(&parts.headers));
    set("queryStringParameters", query(parts.uri.query(), function));
    event
}

/// The time in the form of access logs: `12/Mar/2020:19:03:58 +0000`.
pub(crate) fn log_time(now: SystemTime) -> String {
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

pub(crate) fn epoch_millis(now: SystemTime) -> i64 {
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond()
}

/// The response that a function's reply stands for; `None` where API Gateway would answer 500.
pub(crate) fn to_http(reply: &[u8]) -> Option<Response<Body>> {
    let reply: Reply = serde_json::from_slice(reply).ok()?;
    let body = reply.body.unwrap_or_default();
    let body = if reply.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(reply.status_code).ok()?;
    for (name, value) in reply.headers {
        response.headers_mut().insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for cookie in reply.cookies {
        response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    Some(response)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Text goes as it is, anything else as base64.
fn encode_body(headers: &HeaderMap, body: &[u8]) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(body) if is_text(headers) => (Some(body.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = text(headers.get(CONTENT_TYPE)).to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.starts_with("text/")
        || matches!(media_type, "application/json" | "application/javascript" | "application/xml")
}

/// Headers of the connection, which end at the gateway, and the one that has its own place in the event.
const NOT_PASSED_ON: [&str; 8] =
    ["connection", "cookie", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Names in lower case, repeated headers joined, and those that the gateway adds.
fn headers(headers: &HeaderMap, source_ip: IpAddr) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|earlier| *earlier = format!("{earlier},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    joined.retain(|name, _| !NOT_PASSED_ON.contains(&name.as_str()));
    let source = source_ip.to_string();
    let forwarded_for = joined.get("x-forwarded-for").map(|others| format!("{others}, {source}")).unwrap_or(source);
    let port = headers.get(HOST).and_then(|host| host.to_str().ok()?.rsplit_once(':')).map_or("80", |(_, port)| port);
    let added = [
        ("x-amzn-trace-id", trace_id()),
        ("x-forwarded-for", forwarded_for),
        ("x-forwarded-port", port.to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
    ];
    joined.extend(added.map(|(name, value)| (name.to_owned(), value)));
    joined
}

/// `Root=1-67891233-abcdef012345678912345678`. Source: X-Ray developer guide, "Tracing header".
fn trace_id() -> String {
    let id = format!("{:032x}", u128::from_be_bytes(random::bytes()));
    let (time, rest) = id.split_at(8);
    format!("Root=1-{time}-{rest}")
}

fn cookies(headers: &HeaderMap) -> Option<Value> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<_> = cookies.flat_map(|value| value.split("; ")).map(Value::from).collect();
    (!cookies.is_empty()).then_some(Value::Array(cookies))
}

fn query(query: Option<&str>, function: &str) -> Option<Value> {
    let query = query.filter(|query| !query.is_empty())?;
    let url = url::Url::parse(&format!("http://localhost/{function}?{query}")).ok()?;
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in url.query_pairs() {
        joined
            .entry(name.into_owned())
            .and_modify(|earlier| *earlier = format!("{earlier},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    Some(json!(joined))
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::{Duration, UNIX_EPOCH};

    use axum::http::Request;

    use super::*;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let now = UNIX_EPOCH + Duration::from_millis(1_583_348_638_390);
        from_http("login", &parts, body, Ipv4Addr::LOCALHOST.into(), now)
    }

    #[test]
    fn the_event_has_the_form_of_payload_2_0() {
        let request = Request::post("/login?a=1&b=%20&a=2").header("host", "localhost:9000").header("x-one", "1");
        let request =
            request.header("X-One", "2").header("content-type", "application/json").header("cookie", "k=v; l=w");
        let request =
            request.header("connection", "close").header("user-agent", "curl/8").header("x-forwarded-for", "::1");
        let mut event = event(request, br#"{"code":"x"}"#);
        let trace_id = event["headers"]["x-amzn-trace-id"].take();
        assert!(trace_id.as_str().unwrap().starts_with("Root=1-"), "{trace_id}");
        let request_id = event["requestContext"]["requestId"].take();
        assert_eq!(request_id.as_str().unwrap().len(), 36);
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /login",
            "rawPath": "/login",
            "rawQueryString": "a=1&b=%20&a=2",
            "cookies": ["k=v", "l=w"],
            "headers": {
                "content-type": "application/json",
                "host": "localhost:9000",
                "user-agent": "curl/8",
                "x-amzn-trace-id": null,
                "x-forwarded-for": "::1, 127.0.0.1",
                "x-forwarded-port": "9000",
                "x-forwarded-proto": "http",
                "x-one": "1,2",
            },
            "queryStringParameters": { "a": "1,2", "b": " " },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": "local.execute-api.localhost",
                "domainPrefix": "local",
                "http": {
                    "method": "POST",
                    "path": "/login",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "curl/8",
                },
                "requestId": null,
                "routeKey": "POST /login",
                "stage": "$default",
                "time": "04/Mar/2020:19:03:58 +0000",
                "timeEpoch": 1_583_348_638_390_u64,
            },
            "body": r#"{"code":"x"}"#,
            "isBase64Encoded": false,
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn an_empty_query_is_none() {
        let event = event(Request::get("/login?"), b"");
        assert_eq!((event.get("queryStringParameters"), event["rawQueryString"].as_str()), (None, Some("")));
    }

    #[test]
    fn what_is_not_text_is_base64() {
        let binary = event(Request::post("/login").header("content-type", "application/octet-stream"), b"{}");
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        let broken = event(Request::post("/login").header("content-type", "application/json"), b"\xff");
        assert_eq!((&broken["body"], &broken["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
        let empty = event(Request::get("/login"), b"");
        assert_eq!((empty.get("body"), &empty["isBase64Encoded"]), (None, &json!(false)));
    }
}
