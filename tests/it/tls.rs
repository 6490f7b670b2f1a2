//! TLS: certificates are verified, against the roots that are configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use serde_json::Value;
use stubs::file::TemporaryFile;
use stubs::tls::{Authority, TlsServer};
use tests::logs;
use tests::world::World;

const ANSWER: &str = r#"{"openid":"oTls","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}"#;

/// A WeChat with a certificate for `localhost` that an authority of its own has issued.
struct TlsWechat {
    port: u16,
    root: TemporaryFile,
    requests: Arc<AtomicUsize>,
}

impl TlsWechat {
    async fn start() -> Self {
        let (authority, requests) = (Authority::default(), Arc::<AtomicUsize>::default());
        let answer = async |State(requests): State<Arc<AtomicUsize>>| {
            requests.fetch_add(1, Ordering::SeqCst);
            ANSWER
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&requests));
        let server = TlsServer::start(&authority, router, Duration::ZERO).await;
        Self { port: server.port, root: TemporaryFile::new(&authority.pem()), requests }
    }

    fn root(&self) -> &str {
        self.root.path().to_str().unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn login(url: &str, roots: &str) -> (u16, Value) {
    let world = World::start_with([("WECHAT_API_URLS", url), ("SSL_CERT_FILE", roots)]).await;
    let reply = world.login("any-code").await;
    (reply.status, reply.json)
}

fn cause(reply: &Value) -> String {
    let lines = logs::of_request(reply["requestId"].as_str().unwrap());
    lines.iter().find_map(|line| line["cause"].as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_of_a_trusted_root_is_accepted() {
    let wechat = TlsWechat::start().await;
    let (status, _) = login(&format!("https://localhost:{}", wechat.port), wechat.root()).await;
    assert_eq!((status, wechat.requests()), (200, 1));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_no_request() {
    let (wechat, other) = (TlsWechat::start().await, TlsWechat::start().await);
    // An empty variable is none: the built-in roots.
    for roots in ["", other.root()] {
        let (status, reply) = login(&format!("https://localhost:{}", wechat.port), roots).await;
        assert_eq!((status, reply["code"].as_str().unwrap()), (503, "wechat_unavailable"));
        assert!(cause(&reply).contains("invalid peer certificate"), "{}", cause(&reply));
    }
    assert_eq!(wechat.requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_no_request() {
    let wechat = TlsWechat::start().await;
    let (status, reply) = login(&format!("https://127.0.0.1:{}", wechat.port), wechat.root()).await;
    assert_eq!(status, 503);
    assert!(cause(&reply).contains("not valid for name"), "{}", cause(&reply));
    assert_eq!(wechat.requests(), 0);
}
