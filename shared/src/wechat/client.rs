//! The client of `api.weixin.qq.com`: how it is asked, and how its answers are read. The calls themselves are in
//! `login`, `credential` and `phone`.

use std::time::Duration;

use bytes::Bytes;
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::http::{HeaderValue, Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Refusal, Unusable, WechatError};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::{ConfigError, Env};
use crate::json::Object;
use crate::net::{Hosts, HttpClient, HttpError};
use crate::random;

/// The variable that names other hosts.
const WECHAT_API_URLS: &str = "WECHAT_API_URLS";

/// WeChat's main host and the one for disaster recovery.
/// Source: official account documentation, "Interface field description".
const DEFAULT_URLS: [&str; 2] = ["https://api.weixin.qq.com", "https://api2.weixin.qq.com"];

/// The longest wait for one answer. WeChat answers in well under a second; a client waits 10 s at most.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Answers are a few hundred bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Calls WeChat's server API.
#[derive(Debug)]
pub struct WechatClient {
    http: HttpClient,
    hosts: Hosts,
}

/// One call. Path, query and body hold secrets, so it cannot be printed.
pub(super) struct ApiCall<'a> {
    method: Method,
    path: &'static str,
    query: &'a [(&'a str, &'a str)],
    body: Bytes,
}

impl<'a> ApiCall<'a> {
    pub(super) fn get(path: &'static str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::GET, path, query, body: Bytes::new() }
    }

    /// With a body of JSON. serde_json writes UTF-8 as it is, and WeChat takes no `\u` escapes in its place (40033).
    pub(super) fn post(path: &'static str, query: &'a [(&'a str, &'a str)], body: &serde_json::Value) -> Self {
        Self { method: Method::POST, path, query, body: body.to_string().into() }
    }
}

impl WechatClient {
    /// The hosts in `WECHAT_API_URLS`, or WeChat's own.
    ///
    /// # Errors
    ///
    /// If one of them is not a base URL.
    pub fn hosts(env: &Env, clock: &Clock) -> Result<Hosts, ConfigError> {
        Hosts::from_env(env, clock, WECHAT_API_URLS, &DEFAULT_URLS)
    }

    /// A client of these hosts.
    pub fn new(http: HttpClient, hosts: Hosts) -> Self {
        Self { http, hosts }
    }

    /// Up to three tries.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        call: ApiCall<'_>,
        deadline: Deadline,
    ) -> Result<T, WechatError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.call_once(&call, deadline).await {
                Err(err) if err.is_retryable() && pause < deadline.left() => {
                    tokio::time::sleep(random::jitter(pause)).await;
                }
                outcome => return outcome,
            }
            pause *= 2;
        }
        self.call_once(&call, deadline).await
    }

    /// One try, at the first host that can be reached.
    pub(super) async fn call_once<T: DeserializeOwned>(
        &self,
        call: &ApiCall<'_>,
        deadline: Deadline,
    ) -> Result<T, WechatError> {
        let mut tried = 0;
        loop {
            let host = self.hosts.preferred();
            let request = self.request(call, host);
            match self.http.send(request, LONGEST_ANSWER, deadline.at_most(ATTEMPT_TIMEOUT)).await {
                Ok(response) if response.status.is_success() => return decode(&response.body),
                Ok(response) => return Err(WechatError::Answer(Unusable::Status(response.status.as_u16()))),
                Err(err) => {
                    tried += 1;
                    if !matches!(err, HttpError::Connect(_)) {
                        return Err(WechatError::Transport(err));
                    }
                    // Nothing was sent, so another host may be asked.
                    self.hosts.pass_over(host);
                    if tried >= self.hosts.count() || deadline.left().is_zero() {
                        return Err(WechatError::Transport(err));
                    }
                }
            }
        }
    }

    fn request(&self, call: &ApiCall<'_>, host: usize) -> Request<Bytes> {
        let mut url = self.hosts.url(host, call.path);
        url.query_pairs_mut().extend_pairs(call.query);
        #[expect(
            clippy::expect_used,
            reason = "base URLs, apps, codes and tokens are checked, so a query is short, and it is encoded"
        )]
        let mut request = Request::get(url.as_str()).body(call.body.clone()).expect("the URL is good");
        request.method_mut().clone_from(&call.method);
        if call.method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

/// The part that every answer may have. Success has no `errcode`, or 0.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    errcode: i64,
    errmsg: Option<String>,
}

/// The errcode comes first: an answer that has one holds nothing else of use. The `Content-Type` is not looked at,
/// because WeChat sends JSON as `text/plain`.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, WechatError> {
    if body.is_empty() {
        return Err(WechatError::Answer(Unusable::Empty));
    }
    let malformed = |_| WechatError::Answer(Unusable::Malformed);
    // An errmsg has been seen in another encoding; the errcode beside it counts all the same.
    let text = String::from_utf8_lossy(body);
    let Object(envelope) = serde_json::from_str::<Object<Envelope>>(&text).map_err(malformed)?;
    if envelope.errcode != 0 {
        let errmsg = envelope.errmsg.unwrap_or_default();
        let seen_ip = errmsg.split([' ', ',']).find_map(|word| word.parse().ok());
        return Err(WechatError::Refused(Refusal { errcode: envelope.errcode, rid: rid(&errmsg), seen_ip }));
    }
    serde_json::from_slice(body).map_err(malformed)
}

/// The trace id in an errmsg: `invalid code, rid: 652d44d0-1d0af18b-5b069232`, or older `hint: [EXUzia07273064]`.
fn rid(errmsg: &str) -> Option<String> {
    let (_, tail) = ["rid: ", "req_id: ", "hint: ["].iter().find_map(|mark| errmsg.split_once(mark))?;
    let rid: String = tail.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    (!rid.is_empty()).then_some(rid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::login::Code2Session;

    fn refusal(errmsg: &str) -> Refusal {
        let body = serde_json::json!({ "errcode": 40164, "errmsg": errmsg }).to_string();
        match decode::<Code2Session>(body.as_bytes()) {
            Err(WechatError::Refused(refusal)) => refusal,
            _ => panic!("not a refusal"),
        }
    }

    #[test]
    fn the_trace_id_is_found_in_every_form_that_was_seen() {
        for (errmsg, rid) in [
            ("invalid code, rid: 652d44d0-1d0af18b-5b069232", Some("652d44d0-1d0af18b-5b069232")),
            ("code blocked rid: 63cf14c3-1af7da21-37efbc86", Some("63cf14c3-1af7da21-37efbc86")),
            ("system error, hints: [ req_id: XXX ]", Some("XXX")),
            ("invalid ip, hint: [EXUzia07273064]", Some("EXUzia07273064")),
            ("ok", None),
            ("rid: ", None),
        ] {
            assert_eq!(refusal(errmsg).rid.as_deref(), rid, "{errmsg}");
        }
    }

    #[test]
    fn the_address_that_wechat_saw_is_taken_from_a_40164() {
        let errmsg = "invalid ip 120.244.112.8 ipv6 ::ffff:120.244.112.8, not in whitelist rid: 5fa26c60-1a0ebdd5";
        assert_eq!(refusal(errmsg).seen_ip, Some([120, 244, 112, 8].into()));
    }

    #[test]
    fn an_errcode_of_zero_is_a_success_and_unknown_fields_are_ignored() {
        let body = br#"{"errcode":0,"openid":"o","session_key":"k","expires_in":7200,"new":{"x":[1]}}"#;
        let answer: Code2Session = decode(body).unwrap();
        assert_eq!(answer.openid.expose(), "o");
        assert!(answer.unionid.is_none());
    }

    #[test]
    fn an_errcode_counts_whatever_is_beside_it() {
        for body in [&b"{\"errcode\":40029,\"errmsg\":\"\xb2\xbb\"}"[..], br#"{"errcode":40029,"errmsg":null}"#] {
            match decode::<Code2Session>(body) {
                Err(WechatError::Refused(refusal)) => assert_eq!(refusal.errcode, 40029),
                _ => panic!("{body:?} is not a refusal"),
            }
        }
    }

    #[test]
    fn unusable_answers_are_errors() {
        for (body, expected) in [
            (&b""[..], Unusable::Empty),
            (b"<html>", Unusable::Malformed),
            (b"{}", Unusable::Malformed),
            (br#"["o","k"]"#, Unusable::Malformed),
            (b"{\"openid\":\"\xff\",\"session_key\":\"k\"}", Unusable::Malformed),
            (br#"{"openid":1,"session_key":"k"}"#, Unusable::Malformed),
            (br#"{"openid":"o"}"#, Unusable::Malformed),
            (&[0xff, 0xfe], Unusable::Malformed),
        ] {
            match decode::<Code2Session>(body) {
                Err(WechatError::Answer(unusable)) => assert_eq!(unusable, expected, "{body:?}"),
                _ => panic!("{body:?} was accepted"),
            }
        }
    }
}
