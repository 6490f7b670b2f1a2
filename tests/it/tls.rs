//! TLS: certificates are verified, against the roots that are configured.

use std::path::PathBuf;

use serde_json::Value;
use tests::logs;
use tests::upstream::TlsUpstream;
use tests::world::World;

const ANSWER: &str = r#"{"openid":"oTls","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}"#;

struct PemFile(PathBuf);

impl PemFile {
    fn new(pem: &str) -> Self {
        let name = format!("wechat-functions-{}.pem", shared::random::base64url::<12>());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, pem).unwrap();
        Self(path)
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
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
    let wechat = TlsUpstream::start(ANSWER).await;
    let roots = PemFile::new(&wechat.certificate);
    let (status, _) = login(&format!("https://localhost:{}", wechat.port), roots.0.to_str().unwrap()).await;
    assert_eq!((status, wechat.requests()), (200, 1));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_no_request() {
    let wechat = TlsUpstream::start(ANSWER).await;
    let other = TlsUpstream::start(ANSWER).await;
    let others_root = PemFile::new(&other.certificate);
    // An empty variable is none: the built-in roots.
    for roots in ["", others_root.0.to_str().unwrap()] {
        let (status, reply) = login(&format!("https://localhost:{}", wechat.port), roots).await;
        assert_eq!((status, reply["code"].as_str().unwrap()), (503, "wechat_unavailable"));
        assert!(cause(&reply).contains("invalid peer certificate"), "{}", cause(&reply));
    }
    assert_eq!(wechat.requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_no_request() {
    let wechat = TlsUpstream::start(ANSWER).await;
    let roots = PemFile::new(&wechat.certificate);
    let (status, reply) = login(&format!("https://127.0.0.1:{}", wechat.port), roots.0.to_str().unwrap()).await;
    assert_eq!(status, 503);
    assert!(cause(&reply).contains("not valid for name"), "{}", cause(&reply));
    assert_eq!(wechat.requests(), 0);
}
