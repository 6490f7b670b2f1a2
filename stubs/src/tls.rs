//! TLS servers with certificates of an authority of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// More than one flight of TLS or one of the answers here.
const PIPE_BYTES: usize = 256 * 1024;

/// Issues certificates for `localhost`.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        // Its name has to differ from that of what it issues, or OpenSSL takes that for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority of the stubs");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
}

impl Authority {
    /// The certificate that has to be trusted.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn server_config(&self) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A server on `localhost` that counts its connections.
#[derive(Clone, Debug)]
pub struct TlsServer {
    /// Where it listens.
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl TlsServer {
    /// Serves `router`. Every way there and back takes `rtt` longer than it does on this machine.
    pub async fn start(authority: &Authority, router: Router, rtt: Duration) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
        let counted = Arc::clone(&server.connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, acceptor.clone(), router.clone(), rtt));
            }
        });
        server
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Connections since the last time this was asked.
    pub fn take_connections(&self) -> usize {
        self.connections.swap(0, Ordering::SeqCst)
    }
}

/// A client that goes away, or that does not trust the certificate, ends its connection: nothing to report.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, router: Router, rtt: Duration) {
    let service = TowerToHyperService::new(router);
    if rtt.is_zero() {
        let Ok(stream) = acceptor.accept(stream).await else { return };
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    } else {
        let Ok(stream) = acceptor.accept(delayed(stream, rtt).await).await else { return };
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

/// The stream as it would be at a distance, the handshake of TCP included.
async fn delayed(stream: TcpStream, rtt: Duration) -> DuplexStream {
    tokio::time::sleep(rtt).await;
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let ((near_read, near_write), (far_read, far_write)) = (tokio::io::split(near), stream.into_split());
    tokio::spawn(relay(near_read, far_write, rtt / 2));
    tokio::spawn(relay(far_read, near_write, rtt / 2));
    far
}

/// Every chunk arrives `delay` after it was sent, and waits for none before it.
async fn relay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (sent, mut on_the_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let send = async move {
        let mut chunk = vec![0; PIPE_BYTES];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            if sent.send((Instant::now() + delay, chunk[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let arrive = async move {
        while let Some((at, chunk)) = on_the_way.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // The other side may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(send, arrive);
}
