//! Connections, and those that are opened before anybody asks for them.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use lambda_http::http::Uri;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::tls::Tls;
use crate::clock::Clock;

/// The longest wait for a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An idle connection that is older is not used again. The other side, or a NAT between, may have dropped it without a
/// word while the instance was frozen: NAT gateways do so after 350 s, servers commonly after 60 to 75 s.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(55);

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;
type ConnectError = Box<dyn Error + Send + Sync>;

/// Connects over TCP, and TLS where the URL is of `https`.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    clock: Clock,
    early: Arc<Mutex<Vec<Early>>>,
}

/// A connection that is being opened, or is open and waits for its first request.
struct Early {
    host: Uri,
    begun_at: SystemTime,
    connection: JoinHandle<Result<Connection, ConnectError>>,
}

impl Early {
    fn is_for(&self, uri: &Uri) -> bool {
        (self.host.scheme(), self.host.authority()) == (uri.scheme(), uri.authority())
    }

    /// Not too old. A handshake that a freeze has cut in two may never end, so it may not even become old.
    fn is_of_use(&self, now: SystemTime) -> bool {
        let limit = if self.connection.is_finished() { IDLE_LIMIT } else { CONNECT_TIMEOUT };
        now.duration_since(self.begun_at).is_ok_and(|age| age <= limit)
    }
}

impl Connector {
    pub(super) fn new(tls: &Tls, clock: &Clock) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT)); // Divided among the addresses of a name.
        Self { https: HttpsConnector::from((http, Arc::clone(&tls.0))), clock: clock.clone(), early: Arc::default() }
    }

    /// Begins to connect. Whoever wants a connection to this host gets this one; if it fails, they try anew.
    pub(super) fn connect_early(&self, host: Uri) {
        // Outside of a runtime nothing can begin, and nothing is lost.
        let Ok(runtime) = Handle::try_current() else { return };
        let connection = runtime.spawn(connect(self.https.clone(), host.clone()));
        self.early.lock().unwrap_or_else(PoisonError::into_inner).push(Early {
            host,
            begun_at: self.clock.now(),
            connection,
        });
    }

    fn take_early(&self, uri: &Uri) -> Option<Early> {
        let now = self.clock.now();
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.retain(|early| early.is_of_use(now));
        let index = early.iter().position(|early| early.is_for(uri))?;
        Some(early.remove(index))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let early = self.take_early(&uri);
        let mut https = self.https.clone();
        Box::pin(async move {
            let connection = async {
                if let Some(early) = early
                    && let Ok(Ok(mut connection)) = early.connection.await
                    && is_quiet(&mut connection).await
                {
                    return Ok(connection);
                }
                https.call(uri).await
            };
            tokio::time::timeout(CONNECT_TIMEOUT, connection).await?
        })
    }
}

/// Whether the other side has neither closed the connection nor spoken first. Nobody has looked at it so far.
async fn is_quiet(connection: &mut Connection) -> bool {
    let (mut stream, mut byte) = (TokioIo::new(connection), [0]);
    poll_fn(|context| {
        let read = Pin::new(&mut stream).poll_read(context, &mut ReadBuf::new(&mut byte));
        Poll::Ready(read.is_pending())
    })
    .await
}

async fn connect(mut https: HttpsConnector<HttpConnector>, uri: Uri) -> Result<Connection, ConnectError> {
    tokio::time::timeout(CONNECT_TIMEOUT, https.call(uri)).await?
}
