//! Serving HTTP, with the one thing that frameworks rightly do not offer: dropping a connection without an answer.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::same_origin::{self, Door};

/// How long a stop waits for the requests under way.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// In the extensions of a response: the client gets no answer, only the end of the connection.
#[derive(Clone, Debug)]
pub(crate) struct DropConnection;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BindError {
    #[error("port {port} is in use: stop what uses it, or choose another one with {option}")]
    InUse { port: u16, option: &'static str },
    #[error("cannot listen on {address}")]
    Other { address: SocketAddr, source: io::Error },
}

/// Listens on a port; `option` is what the user chooses it with. Port 0 is any free one.
pub(crate) async fn bind(ip: IpAddr, port: u16, option: &'static str) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { port, option },
        _ => BindError::Other { address, source },
    })
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Server {
    /// Every server is a door that foreign web pages find closed.
    pub(crate) fn start(listener: TcpListener, router: Router, door: Door) -> io::Result<Self> {
        let router = same_origin::protect(router, door, listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        Ok(Self { stop, done: tokio::spawn(serve(listener, router, stopped)) })
    }

    /// Lets the requests under way end, for a short time.
    pub(crate) async fn stop(self) {
        // Either may be gone already, and then there is nothing left to stop.
        let _ = self.stop.send(());
        let _ = self.done.await;
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(err) => {
                    tracing::warn!(error = %err, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = &mut stopped => break,
        };
        // Replies are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |request| respond(router.clone(), request, peer));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(err) = connection.await {
                tracing::debug!(error = %err, "a connection ended");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_WITHIN, graceful.shutdown()).await;
}

/// hyper closes a connection whose service fails.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

async fn respond(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Dropped> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let response: Result<_, Infallible> = router.oneshot(request).await;
    let Ok(response) = response;
    match response.extensions().get() {
        Some(DropConnection) => Err(Dropped),
        None => Ok(response),
    }
}
