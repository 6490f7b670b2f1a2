//! Requests, and how long a pool of connections may be used.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lambda_http::http::header::USER_AGENT;
use lambda_http::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};

use super::connector::{Connector, IDLE_LIMIT};
use super::root_cause;
use super::tls::Tls;
use crate::clock::Clock;
use crate::deadline::Deadline;

/// A pool in steady use may hold a second connection that is not. It never gets as old as a NAT lets it.
const POOL_LIMIT: Duration = Duration::from_secs(300);

/// Who calls.
const NAME: HeaderValue = HeaderValue::from_static("wechat-functions");

type Body = Full<bytes::Bytes>;

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
    client: Client<Connector, Body>,
    built_at: SystemTime,
    used_at: SystemTime,
}

impl Pool {
    fn new(connector: Connector, now: SystemTime) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that builds HTTP clients")]
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client, built_at: now, used_at: now }
    }
}

/// What came back, whatever its status. Headers and body may hold secrets, so they cannot be printed.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: bytes::Bytes,
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
        Self::with_connector(tls, clock, Connector::new(tls, clock))
    }

    /// A client that begins to open so many connections to `host`. Its first requests take them, and wait for what is
    /// left of their handshakes.
    pub fn connecting(tls: &Tls, clock: &Clock, host: &Uri, connections: usize) -> Self {
        let connector = Connector::new(tls, clock);
        (0..connections).for_each(|_| connector.connect_early(host.clone()));
        Self::with_connector(tls, clock, connector)
    }

    fn with_connector(tls: &Tls, clock: &Clock, connector: Connector) -> Self {
        Self { tls: tls.clone(), clock: clock.clone(), pool: Mutex::new(Pool::new(connector, clock.now())) }
    }

    /// Sends a request and reads the answer, up to `longest` bytes of body, before the deadline.
    ///
    /// # Errors
    ///
    /// If there is no complete answer. An answer of any status is no error.
    pub async fn send(
        &self,
        request: Request<impl Into<bytes::Bytes>>,
        longest: usize,
        deadline: Deadline,
    ) -> Result<HttpResponse, HttpError> {
        let mut request = request.map(|body| Full::new(body.into()));
        // Some gateways refuse requests without one. It is not signed.
        request.headers_mut().entry(USER_AGENT).or_insert(NAME);
        let exchange = exchange(self.client(), request, longest);
        deadline.bound(exchange).await.unwrap_or(Err(HttpError::Timeout))
    }

    fn client(&self) -> Client<Connector, Body> {
        let now = self.clock.now();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let older = |since, limit| now.duration_since(since).is_ok_and(|age| age > limit);
        if older(pool.used_at, IDLE_LIMIT) || older(pool.built_at, POOL_LIMIT) {
            *pool = Pool::new(Connector::new(&self.tls, &self.clock), now);
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

async fn exchange(
    client: Client<Connector, Body>,
    request: Request<Body>,
    longest: usize,
) -> Result<HttpResponse, HttpError> {
    let (parts, body) = client.request(request).await?.into_parts();
    let body = Limited::new(body, longest).collect().await;
    let body = body.map_err(|err| match err.downcast::<LengthLimitError>() {
        Ok(_) => HttpError::TooLong,
        Err(err) => HttpError::Broken(root_cause(&*err)),
    })?;
    Ok(HttpResponse { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}

/// None of them has a URL in it.
impl From<Error> for HttpError {
    fn from(err: Error) -> Self {
        let cause = root_cause(&err);
        if err.is_connect() { Self::Connect(cause) } else { Self::Broken(cause) }
    }
}
