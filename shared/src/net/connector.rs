//! Connections, and the one that is opened before anybody asks for it.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use lambda_http::http::Uri;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::tls::Tls;

/// The longest wait for a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;
type ConnectError = Box<dyn Error + Send + Sync>;

/// Connects over TCP, and TLS where the URL is of `https`.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    early: Arc<Mutex<Option<Early>>>,
}

struct Early {
    host: Uri,
    connection: JoinHandle<Result<Connection, ConnectError>>,
}

impl Early {
    fn is_for(&self, uri: &Uri) -> bool {
        (self.host.scheme(), self.host.authority()) == (uri.scheme(), uri.authority())
    }
}

impl Connector {
    pub(super) fn new(tls: &Tls) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        Self { https: HttpsConnector::from((http, Arc::clone(&tls.0))), early: Arc::default() }
    }

    /// Begins to connect. Whoever wants a connection to this host first gets this one; if it fails, they try anew.
    pub(super) fn connect_early(&self, host: Uri) {
        // Outside of a runtime nothing can begin, and nothing is lost.
        let Ok(runtime) = Handle::try_current() else { return };
        let connection = runtime.spawn(connect(self.https.clone(), host.clone()));
        *self.early.lock().unwrap_or_else(PoisonError::into_inner) = Some(Early { host, connection });
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
        let early = self.early.lock().unwrap_or_else(PoisonError::into_inner).take_if(|early| early.is_for(&uri));
        let https = self.https.clone();
        Box::pin(async move {
            if let Some(early) = early
                && let Ok(Ok(connection)) = early.connection.await
            {
                return Ok(connection);
            }
            connect(https, uri).await
        })
    }
}

async fn connect(mut https: HttpsConnector<HttpConnector>, uri: Uri) -> Result<Connection, ConnectError> {
    tokio::time::timeout(CONNECT_TIMEOUT, https.call(uri)).await?
}
