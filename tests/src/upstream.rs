//! A server that tests write by hand, connection by connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

/// A port that nobody listens on, as long as this is kept.
#[derive(Debug)]
pub struct ClosedPort {
    /// Where nobody is.
    pub url: String,
    _socket: TcpSocket,
}

impl Default for ClosedPort {
    fn default() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { url: format!("http://{}", socket.local_addr().unwrap()), _socket: socket }
    }
}

/// What a connection does after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Says goodbye properly.
    Close,
    /// Says that it will send nothing more, and goes on reading.
    HalfClose,
    /// Reads on and never says anything again, like a connection that a NAT has forgotten.
    Silence,
    /// Answers on.
    Stay,
}

/// A server that answers every first request of a connection with the same body, and counts.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Upstream {
    /// A server that answers `body`.
    pub async fn start(body: &str, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let answer = answer(body);
        let counts = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.0.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answer.clone(), after, Arc::clone(&counts.1)));
            }
        });
        Self { url, connections, requests }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests so far, answered or not.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// The answer of a login, over TLS, with a certificate for `localhost` that nobody but the test trusts.
#[derive(Debug)]
pub struct TlsUpstream {
    /// Where it listens.
    pub port: u16,
    /// The certificate that has to be trusted, as PEM.
    pub certificate: String,
    requests: Arc<AtomicUsize>,
}

impl TlsUpstream {
    /// A server that answers `body`.
    pub async fn start(body: &str) -> Self {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificates = vec![issued.cert.der().clone()];
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(certificates, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, requests) = (answer(body), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answer, counted) = (acceptor.clone(), answer.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends the handshake.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    serve(stream, answer, After::Stay, counted).await;
                });
            }
        });
        Self { port, certificate: issued.cert.pem(), requests }
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: String,
    after: After,
    requests: Arc<AtomicUsize>,
) {
    let mut first = true;
    while read_head(&mut stream).await {
        requests.fetch_add(1, Ordering::SeqCst);
        if first || after == After::Stay {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        match after {
            After::Close => return,
            After::HalfClose => stream.shutdown().await.unwrap(),
            After::Silence | After::Stay => {}
        }
        first = false;
    }
}

/// Reads up to the end of a request's head; `false` at the end of the connection. Requests here have no body.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}
