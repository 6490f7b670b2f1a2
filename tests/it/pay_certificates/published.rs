//! Lists of certificates that a test writes: around the published certificate of WeChat Pay's own examples.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};
use shared::deadline::Deadline;
use shared::settlement::Work;
use shared::wechatpay::v3::{NotVerified, PayClient, PayError, RefreshError, Refreshed};
use shared::wechatpay::{Merchant, OutTradeNo};
use tests::pay_keys::CERTIFICATES;
use tests::pay_vectors::{API_V3_KEY, MCH_ID, PUBLIC_KEY_ID, PayVectors};
use tests::world::World;

const NONCE: &str = "d215b0511e9c";
const NUMBER: &str = "order-1";

/// A certificate in a list, encrypted.
fn entry(serial: &str, plaintext: &str) -> Value {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
    let mut body = plaintext.as_bytes().to_vec();
    let nonce = Nonce::try_assume_unique_for_key(NONCE.as_bytes()).unwrap();
    key.seal_in_place_append_tag(nonce, Aad::from("certificate"), &mut body).unwrap();
    json!({
        "serial_no": serial,
        "effective_time": "2021-04-27T16:55:23+08:00",
        "expire_time": "2099-04-25T16:55:23+08:00",
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": NONCE,
            "associated_data": "certificate",
            "ciphertext": STANDARD.encode(body),
        },
    })
}

/// That of the examples.
fn published() -> Value {
    let vectors = PayVectors::default();
    entry(vectors.platform_serial(), &vectors.key("platform_certificate"))
}

fn with(mut entry: Value, pointer: &str, value: Value) -> Value {
    *entry.pointer_mut(pointer).unwrap() = value;
    entry
}

/// A WeChat Pay with this list, who signs all it says with the key of the published certificate.
struct Platform {
    world: World,
    keys: Merchant,
    list: Mutex<Value>,
    serial: Mutex<String>,
}

impl Platform {
    async fn start() -> (Arc<Self>, String) {
        let (vectors, list) = (PayVectors::default(), Mutex::new(json!({ "data": [published()] })));
        let serial = Mutex::new(vectors.platform_serial().to_owned());
        let platform = Arc::new(Self { world: World::start().await, keys: vectors.platform(), list, serial });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&platform));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (platform, url)
    }

    fn client(&self, url: &str, merchant: Merchant) -> PayClient {
        let setup = self.world.setup([("WECHATPAY_API_URLS", url)]);
        let (hosts, table) = (setup.wechatpay().unwrap(), setup.table().unwrap());
        PayClient::new(hosts, Arc::new(merchant), table, setup.clock().clone())
    }

    async fn kept(&self) -> Vec<String> {
        let rows = self.world.rows_at(&format!("PAYKEY#{MCH_ID}"), "CERTIFICATE#").await;
        rows.iter().map(|row| row["serial"].as_s().unwrap().clone()).collect()
    }
}

async fn answer(State(platform): State<Arc<Platform>>, uri: Uri) -> (HeaderMap, String) {
    let body = match uri.path() {
        CERTIFICATES => platform.list.lock().unwrap().to_string(),
        _ => json!({ "appid": "wx1", "mchid": MCH_ID, "out_trade_no": NUMBER, "trade_state": "NOTPAY" }).to_string(),
    };
    let time = shared::clock::Timestamp::from(platform.world.now()).as_secs();
    let signature = platform.keys.sign(format!("{time}\nn\n{body}\n").as_bytes()).unwrap();
    let serial = platform.serial.lock().unwrap().clone();
    let mut headers = HeaderMap::new();
    headers.insert("wechatpay-timestamp", time.into());
    for (name, value) in [("nonce", "n"), ("signature", &signature), ("serial", &serial)] {
        headers.insert(axum::http::HeaderName::try_from(format!("wechatpay-{name}")).unwrap(), value.parse().unwrap());
    }
    (headers, body)
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(9))
}

/// What becomes of a list: what is kept of it, or what is wrong with it.
async fn outcome(list: Value, serial: &str, merchant: Merchant) -> (Result<Refreshed, RefreshError>, Vec<String>) {
    let (platform, url) = Platform::start().await;
    *platform.list.lock().unwrap() = list;
    *platform.serial.lock().unwrap() = serial.to_owned();
    let work = Work { function: "keys", request_id: "published" };
    let outcome = platform.client(&url, merchant).refresh_if_due(work, deadline()).await;
    (outcome, platform.kept().await)
}

#[tokio::test]
async fn the_published_certificate_verifies_its_list_and_what_comes_after() {
    let (platform, url) = Platform::start().await;
    let client = platform.client(&url, PayVectors::default().merchant_with_certificates());
    let number = OutTradeNo::try_from(NUMBER.to_owned()).unwrap();
    assert_eq!(client.query(&number, deadline()).await.unwrap().out_trade_no, NUMBER);
    assert_eq!(platform.kept().await, [PayVectors::default().platform_serial()]);
}

#[tokio::test]
async fn certificates_of_other_kinds_are_left_out() {
    let vectors = PayVectors::default();
    let sm2 =
        with(entry("5157F09EFDC096DE15EBE81A47057A72", "x"), "/encrypt_certificate/algorithm", json!("AEAD_SM4_GCM"));
    let unreadable = entry("0123456789ABCDEF", "no certificate");
    let list = json!({ "data": [sm2, unreadable, published()], "new": 1 });
    let (outcome, kept) = outcome(list, vectors.platform_serial(), vectors.merchant_with_certificates()).await;
    assert_eq!((outcome.unwrap(), kept), (Refreshed::Kept(1), vec![vectors.platform_serial().to_owned()]));
}

#[tokio::test]
async fn a_serial_is_that_of_the_certificate_and_is_matched_as_it_is_written() {
    let vectors = PayVectors::default();
    let pem = vectors.key("platform_certificate");
    for serial in ["d7ce59d1f522d701", "00D7CE59D1F522D701"] {
        let list = json!({ "data": [entry(serial, &pem)] });
        let (outcome, kept) = outcome(list, serial, vectors.merchant_with_certificates()).await;
        assert_eq!((outcome.unwrap(), kept), (Refreshed::Kept(1), vec![serial.to_owned()]));
    }
    // It is in the list under another name, as far as its letters go.
    let list = json!({ "data": [entry("d7ce59d1f522d701", &pem)] });
    let (outcome, kept) = outcome(list, vectors.platform_serial(), vectors.merchant_with_certificates()).await;
    let unknown =
        |err: &RefreshError| matches!(err, RefreshError::Pay(PayError::Unverified(_, NotVerified::UnknownKey)));
    assert!(unknown(&outcome.unwrap_err()) && kept.is_empty());
}

#[tokio::test]
async fn a_list_with_anything_wrong_in_it_is_not_kept_though_wechat_pay_has_signed_it() {
    let vectors = PayVectors::default();
    let pem = vectors.key("platform_certificate");
    let tampered = |pointer: &str, value: Value| json!({ "data": [published(), with(published(), pointer, value)] });
    for list in [
        json!([]),
        json!({}),
        json!({ "data": {} }),
        json!({ "data": [] }),
        json!({ "data": [[]] }),
        json!({ "data": [published(), entry("D7CE59D1F522D702", &pem)] }),
        json!({ "data": [published(), entry("", &pem)] }),
        json!({ "data": [published(), entry(PUBLIC_KEY_ID, &pem)] }),
        json!({ "data": vec![published(); 21] }),
        tampered("/effective_time", json!("2021-04-27")),
        tampered("/expire_time", json!(1)),
        tampered("/encrypt_certificate/associated_data", Value::Null),
        tampered("/encrypt_certificate/nonce", json!("x")),
        tampered("/encrypt_certificate/ciphertext", json!("AAAA")),
    ] {
        // The public key has signed it, so that it is verified.
        let (outcome, kept) = outcome(list.clone(), PUBLIC_KEY_ID, vectors.merchant()).await;
        let err = outcome.unwrap_err();
        assert!(matches!(err, RefreshError::Pay(PayError::Unreadable(_))), "{list}: {err:?}");
        assert!(kept.is_empty(), "{list}");
    }
}

#[tokio::test]
async fn a_certificate_that_has_ended_verifies_nothing() {
    let vectors = PayVectors::default();
    let list = json!({ "data": [with(published(), "/expire_time", json!("2021-04-28T16:55:23+08:00"))] });
    let (outcome, kept) = outcome(list, vectors.platform_serial(), vectors.merchant_with_certificates()).await;
    let err = outcome.unwrap_err();
    assert!(matches!(err, RefreshError::Pay(PayError::Unverified(_, NotVerified::UnknownKey))), "{err:?}");
    assert!(kept.is_empty());
}
