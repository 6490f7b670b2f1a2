//! The work that no login can do without: its requests signed, and carried over TLS connections that are open already.
//!
//! Takes a file of requests and a number of rounds, and prints the CPU time of a round, in microseconds, as JSON.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the line is what this is run for")]

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::Env;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Rounds before the first one that counts.
const WARM_UP: usize = 50;

struct Request {
    base_url: String,
    text: Vec<u8>,
    /// What the signature covers, where there is one.
    target: Option<String>,
    body: Vec<u8>,
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let requests: Vec<Value> = serde_json::from_slice(&std::fs::read(&arguments[1]).unwrap()).unwrap();
    let requests: Vec<_> = requests.iter().map(Request::read).collect();
    let rounds: usize = arguments[2].parse().unwrap();
    let env = Env::process();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connections = runtime.block_on(connect(&requests, env.get("SSL_CERT_FILE").unwrap()));
    let mut buffer = vec![0; 64 * 1024];
    let tls = cpu_micros(rounds, || runtime.block_on(exchange(&requests, &mut connections, &mut buffer)));
    let identity = identity(&env);
    let signing = cpu_micros(rounds, || requests.iter().for_each(|request| request.sign(&identity)));
    println!("{}", json!({ "tls": tls, "signing": signing }));
}

impl Request {
    fn read(request: &Value) -> Self {
        let text = |name: &str| request[name].as_str().unwrap().to_owned();
        Self {
            base_url: text("baseUrl"),
            text: [text("head"), text("body")].concat().into_bytes(),
            target: request["target"].as_str().map(str::to_owned),
            body: text("body").into_bytes(),
        }
    }

    fn sign(&self, identity: &Identity) {
        let Some(target) = &self.target else { return };
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region("us-east-1")
            .name("dynamodb")
            .time(Clock::system().now())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)].into_iter();
        let uri = format!("{}/", self.base_url);
        let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(&self.body)).unwrap();
        assert!(!sign(signable, &params.into()).unwrap().signature().is_empty());
    }
}

fn identity(env: &Env) -> Identity {
    let variable = |name: &str| env.get(name).unwrap().to_owned();
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    Credentials::new(id, secret, Some(variable("AWS_SESSION_TOKEN")), None, "environment").into()
}

async fn connect(requests: &[Request], root: &str) -> BTreeMap<String, TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let mut connections = BTreeMap::new();
    for request in requests {
        if !connections.contains_key(&request.base_url) {
            let stream = TcpStream::connect(request.base_url.trim_start_matches("https://")).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
            connections.insert(request.base_url.clone(), stream);
        }
    }
    connections
}

/// Sends each request as bytes, and reads its answer. The upstreams here write an answer at once.
async fn exchange(requests: &[Request], connections: &mut BTreeMap<String, TlsStream<TcpStream>>, buffer: &mut [u8]) {
    for request in requests {
        let stream = connections.get_mut(&request.base_url).expect("it is connected");
        stream.write_all(&request.text).await.unwrap();
        let count = stream.read(buffer).await.unwrap();
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200 OK"), "an answer comes in one piece");
    }
}

/// The CPU time of a round, after some that do not count.
fn cpu_micros(rounds: usize, mut work: impl FnMut()) -> f64 {
    (0..WARM_UP).for_each(|_| work());
    let before = thread_cpu_micros();
    (0..rounds).for_each(|_| work());
    (thread_cpu_micros() - before) / rounds as f64
}

fn thread_cpu_micros() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the CPU time");
    let nanos: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e3
}
