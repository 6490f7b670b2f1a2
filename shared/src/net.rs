//! HTTP to the outside: one TLS provider, one root store, connections that survive a freeze.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lambda_http::http::{HeaderMap, StatusCode};
use reqwest::{Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::{ConfigError, Env};

/// A URL to append paths to: http or https, and nothing of a user or a query in it.
pub(crate) fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain && nobody).then_some(url)
}

/// The longest wait for a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An idle connection that is older is not used again. The other side, or a NAT between, may have dropped it without a
/// word while the instance was frozen: NAT gateways do so after 350 s, servers commonly after 60 to 75 s.
const IDLE_LIMIT: Duration = Duration::from_secs(55);

/// A pool in steady use may hold a second connection that is not. It never gets as old as a NAT lets it.
const POOL_LIMIT: Duration = Duration::from_secs(300);

const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// The TLS configuration that all clients of a function share: root certificates and session tickets included.
#[derive(Clone)]
pub struct Tls(ClientConfig);

impl Tls {
    /// Trusts the built-in root certificates, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no usable certificate.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let roots = match env.get(SSL_CERT_FILE) {
            Some(path) => roots_from_file(path)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        #[expect(clippy::expect_used, reason = "ring has the cipher suites of TLS 1.2 and 1.3")]
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions");
        Ok(Self(config.with_root_certificates(roots).with_no_client_auth()))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn roots_from_file(path: &str) -> Result<RootCertStore, ConfigError> {
    let malformed = || ConfigError::malformed(SSL_CERT_FILE, "expected a readable PEM file of root certificates");
    let mut roots = RootCertStore::empty();
    // A system's bundle may have an odd one among the others.
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| malformed())?;
    roots.add_parsable_certificates(certificates.flatten());
    (!roots.is_empty()).then_some(roots).ok_or_else(malformed)
}

/// A client for one upstream, with a pool of its own.
///
/// Pools measure idle time on the monotonic clock, which may stand still while Lambda has the instance frozen. So the
/// idle time is measured on the wall clock here, and a pool that has not been used for a while, or that is old, is
/// thrown away.
pub struct HttpClient {
    tls: Tls,
    clock: Clock,
    pool: Mutex<Pool>,
}

struct Pool {
    client: reqwest::Client,
    built_at: SystemTime,
    used_at: SystemTime,
}

impl Pool {
    fn new(tls: &Tls, now: SystemTime) -> Self {
        Self { client: build(tls), built_at: now, used_at: now }
    }
}

/// What came back, whatever its status. Headers and body may hold secrets, so they cannot be printed.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why nothing came back. Never holds a URL: WeChat takes secrets in the query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection broke after the request may have been sent: it may have been carried out.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// There was no connection, so the request was not sent.
    #[error("could not connect: {0}")]
    Connect(String),
    /// No answer in time: the request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The body is longer than the limit.
    #[error("the answer is too long")]
    TooLong,
}

impl HttpClient {
    /// A client without connections.
    pub fn new(tls: &Tls, clock: &Clock) -> Self {
        Self { tls: tls.clone(), clock: clock.clone(), pool: Mutex::new(Pool::new(tls, clock.now())) }
    }

    /// Sends a request and reads the answer, up to `longest` bytes of body, before the deadline.
    ///
    /// # Errors
    ///
    /// If there is no complete answer. An answer of any status is no error.
    pub async fn send(
        &self,
        request: reqwest::Request,
        longest: usize,
        deadline: Deadline,
    ) -> Result<HttpResponse, HttpError> {
        let client = self.client();
        deadline.bound(exchange(client, request, longest)).await.unwrap_or(Err(HttpError::Timeout))
    }

    fn client(&self) -> reqwest::Client {
        let now = self.clock.now();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let older = |since, limit| now.duration_since(since).is_ok_and(|age| age > limit);
        if older(pool.used_at, IDLE_LIMIT) || older(pool.built_at, POOL_LIMIT) {
            *pool = Pool::new(&self.tls, now);
        }
        pool.used_at = now;
        pool.client.clone()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

fn build(tls: &Tls) -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "the one place that builds HTTP clients")]
    let builder = reqwest::Client::builder();
    #[expect(clippy::expect_used, reason = "with TLS configured, nothing else in here can fail")]
    builder
        .tls_backend_preconfigured(tls.0.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_LIMIT)
        .redirect(redirect::Policy::none()) // A redirect would carry the secrets of the query elsewhere.
        .no_proxy()
        .build()
        .expect("the client is well configured")
}

async fn exchange(
    client: reqwest::Client,
    request: reqwest::Request,
    longest: usize,
) -> Result<HttpResponse, HttpError> {
    let mut response = client.execute(request).await?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > longest {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body })
}

impl From<reqwest::Error> for HttpError {
    fn from(err: reqwest::Error) -> Self {
        let (connect, timeout) = (err.is_connect(), err.is_timeout());
        let cause = root_cause(&err.without_url());
        match (connect, timeout) {
            (true, _) => Self::Connect(cause),
            (false, true) => Self::Timeout,
            (false, false) => Self::Broken(cause),
        }
    }
}

/// The innermost reason of an error.
pub(crate) fn root_cause(mut err: &(dyn Error + 'static)) -> String {
    while let Some(source) = err.source() {
        err = source;
    }
    err.to_string()
}
