//! The work that no login can do without: its requests signed, and carried over TLS connections that are open already.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use shared::clock::Clock;
use stubs::upstreams::Recorded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The requests of one login, and a connection to each upstream.
pub struct Floor {
    requests: Vec<(Recorded, Vec<u8>)>,
    connections: BTreeMap<String, TlsStream<TcpStream>>,
    credentials: Credentials,
}

impl Floor {
    /// Connects, trusting the certificate in `roots`.
    pub async fn connect(requests: Vec<Recorded>, variables: &BTreeMap<String, String>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&variables["SSL_CERT_FILE"]).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let mut connections = BTreeMap::new();
        for request in &requests {
            if !connections.contains_key(&request.base_url) {
                let address = request.base_url.trim_start_matches("https://");
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
                connections.insert(request.base_url.clone(), stream);
            }
        }
        let (id, secret) = (&variables["AWS_ACCESS_KEY_ID"], &variables["AWS_SECRET_ACCESS_KEY"]);
        let token = variables.get("AWS_SESSION_TOKEN").cloned();
        let credentials = Credentials::new(id, secret, token, None, "environment");
        let requests = requests.into_iter().map(|request| (request.clone(), text(&request))).collect();
        Self { requests, connections, credentials }
    }

    /// Signs what DynamoDB is sent.
    pub fn sign(&self) {
        for (request, _) in &self.requests {
            if request.parts.headers.contains_key("x-amz-target") {
                sign_request(request, &self.credentials);
            }
        }
    }

    /// Sends each request as bytes, and reads its answer.
    pub async fn exchange(&mut self) {
        let mut answer = vec![0; 64 * 1024];
        for (request, text) in &self.requests {
            let stream = self.connections.get_mut(&request.base_url).expect("it is connected");
            stream.write_all(text).await.unwrap();
            // The upstreams here write an answer at once, and it is shorter than a record of TLS.
            let count = stream.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"), "an answer comes in one piece");
        }
    }
}

impl std::fmt::Debug for Floor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Floor")
    }
}

fn text(request: &Recorded) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.parts.method, request.parts.uri);
    for (name, value) in &request.parts.headers {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += "\r\n";
    [text.into_bytes(), request.body.to_vec()].concat()
}

fn sign_request(request: &Recorded, credentials: &Credentials) {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("dynamodb")
        .time(Clock::system().now())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let headers = ["content-type", "x-amz-target"];
    let headers = headers.map(|name| (name, request.parts.headers[name].to_str().unwrap())).into_iter();
    let uri = format!("{}/", request.base_url);
    let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(&request.body)).unwrap();
    let signed = sign(signable, &params.into()).unwrap();
    assert!(!signed.signature().is_empty());
}
