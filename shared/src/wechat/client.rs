//! The client of `api.weixin.qq.com`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lambda_http::http::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{App, Identity, LoginCode, OpenId, Refusal, SessionKey, UnionId, Unusable, WechatError};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::{ConfigError, Env};
use crate::json::Object;
use crate::net::{HttpClient, HttpError, base_url};
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

/// How long a host that could not be reached is passed over.
const HOST_PENALTY: Duration = Duration::from_secs(60);

/// Calls WeChat's server API.
#[derive(Debug)]
pub struct WechatClient {
    http: HttpClient,
    hosts: Hosts,
}

/// The answer to a login code of a mini program.
#[derive(Debug)]
pub struct CodeSession {
    /// Who the code belongs to.
    pub identity: Identity,
    /// The key of the user's encrypted data.
    pub session_key: SessionKey,
}

impl WechatClient {
    /// A client of these hosts.
    pub fn new(http: HttpClient, hosts: Hosts) -> Self {
        Self { http, hosts }
    }

    /// Exchanges a code of `wx.login` for the user's openid and session_key.
    ///
    /// `GET /sns/jscode2session`; source: mini program documentation, "code2Session".
    ///
    /// # Errors
    ///
    /// If WeChat refuses, or gives no good answer before the deadline, after up to three tries.
    pub async fn jscode2session(
        &self,
        app: &App,
        code: &LoginCode,
        deadline: Deadline,
    ) -> Result<CodeSession, WechatError> {
        let query = [
            ("appid", app.app_id.as_str()),
            ("secret", app.app_secret.expose()),
            ("js_code", code.expose()),
            ("grant_type", "authorization_code"),
        ];
        let answer: Code2Session = self.get("/sns/jscode2session", &query, deadline).await?;
        if answer.openid.expose().is_empty() || answer.session_key.expose().is_empty() {
            return Err(WechatError::Answer(Unusable::Malformed));
        }
        let unionid = answer.unionid.filter(|unionid| !unionid.expose().is_empty());
        let identity = Identity { app_id: app.app_id.clone(), openid: answer.openid, unionid };
        Ok(CodeSession { identity, session_key: answer.session_key })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<T, WechatError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.attempt(path, query, deadline).await {
                Err(err) if err.is_retryable() && pause < deadline.left() => {
                    tokio::time::sleep(random::jitter(pause)).await;
                }
                outcome => return outcome,
            }
            pause *= 2;
        }
        self.attempt(path, query, deadline).await
    }

    /// One request, to the first host that can be reached.
    async fn attempt<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<T, WechatError> {
        let mut tried = 0;
        loop {
            let host = self.hosts.preferred();
            let mut url = self.hosts.url(host, path);
            url.query_pairs_mut().extend_pairs(query);
            let request = get(&url);
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
}

fn get(url: &Url) -> Request<Bytes> {
    #[expect(
        clippy::expect_used,
        reason = "base URLs, apps and codes are checked, so a query is short, and it is encoded"
    )]
    Request::get(url.as_str()).body(Bytes::new()).expect("the URL is good")
}

#[derive(Deserialize)]
struct Code2Session {
    openid: OpenId,
    session_key: SessionKey,
    unionid: Option<UnionId>,
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

/// The hosts of WeChat's API, the preferred first, and which of them is in use.
#[derive(Debug)]
pub struct Hosts {
    urls: Vec<Url>,
    clock: Clock,
    /// The host in use and the time until which it is, if that is not the first one.
    fallback: Mutex<Option<(usize, SystemTime)>>,
}

impl Hosts {
    /// The hosts in `WECHAT_API_URLS`, or WeChat's own.
    ///
    /// # Errors
    ///
    /// If one of them is not a base URL.
    pub fn from_env(env: &Env, clock: &Clock) -> Result<Self, ConfigError> {
        let urls = match env.get(WECHAT_API_URLS) {
            Some(_) => env.list(WECHAT_API_URLS),
            None => DEFAULT_URLS.to_vec(),
        };
        let urls = urls.into_iter().map(base_url).collect::<Option<Vec<_>>>().filter(|urls| !urls.is_empty());
        let problem = "expected http or https URLs without query or user, separated by commas";
        let urls = urls.ok_or_else(|| ConfigError::malformed(WECHAT_API_URLS, problem))?;
        Ok(Self { urls, clock: clock.clone(), fallback: Mutex::new(None) })
    }

    /// The preferred host.
    pub fn first(&self) -> &str {
        self.urls[0].as_str()
    }

    fn count(&self) -> usize {
        self.urls.len()
    }

    fn preferred(&self) -> usize {
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        match *fallback {
            Some((host, until)) if self.clock.now() < until => host,
            _ => {
                *fallback = None;
                0
            }
        }
    }

    fn pass_over(&self, host: usize) {
        let until = self.clock.now() + HOST_PENALTY;
        let next = (host + 1) % self.count();
        *self.fallback.lock().unwrap_or_else(PoisonError::into_inner) = Some((next, until));
    }

    fn url(&self, host: usize, path: &str) -> Url {
        let mut url = self.urls.get(host).unwrap_or(&self.urls[0]).clone();
        let path = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn base_urls_keep_their_path_and_nothing_else_is_one() {
        let env = Env::from_iter([("WECHAT_API_URLS", "http://127.0.0.1:9001/wx/, https://api2.weixin.qq.com")]);
        let hosts = Hosts::from_env(&env, &Clock::system()).unwrap();
        assert_eq!(hosts.url(0, "/sns/x").as_str(), "http://127.0.0.1:9001/wx/sns/x");
        assert_eq!(hosts.url(1, "/sns/x").as_str(), "https://api2.weixin.qq.com/sns/x");
        for url in ["nonsense", "ftp://x", "https://u@x", "https://:p@x", "https://x?q", ","] {
            let err = Hosts::from_env(&Env::from_iter([("WECHAT_API_URLS", url)]), &Clock::system()).unwrap_err();
            assert!(err.to_string().starts_with("WECHAT_API_URLS is malformed"), "{err}");
        }
    }
}
