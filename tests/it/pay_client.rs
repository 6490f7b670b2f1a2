//! What WeChat Pay is asked, and what becomes of its answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use shared::clock::{Clock, Timestamp};
use shared::deadline::Deadline;
use shared::env::Env;
use shared::setup::Setup;
use shared::wechatpay::v3::{NotVerified, PayClient, PayCode, PayError, Stamp, authorization};
use shared::wechatpay::{Merchant, OutTradeNo, TradeState};
use tests::pay_vectors::{PUBLIC_KEY_ID, PayVectors};
use tests::upstream::ClosedPort;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const PREPAID: &str = r#"{"prepay_id":"wx201410272009395522657a690389285100","new":{"x":[1]}}"#;
const BODY: &str = r#"{"description":"茶"}"#;

/// An answer, and whether it is signed.
#[derive(Clone, Copy)]
enum Answer {
    Signed(u16, &'static str),
    Unsigned(u16, &'static str),
    Probe(u16, &'static str),
}

#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn authorization_item(&self, name: &str) -> &str {
        let (_, value) = self.header("authorization").split_once(&format!("{name}=\"")).unwrap();
        value.split_once('"').unwrap().0
    }
}

/// A WeChat Pay that gives one answer after the other.
#[derive(Clone)]
struct Pay(Arc<Inner>);

struct Inner {
    platform: Merchant,
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

impl Pay {
    async fn start(answers: &[Answer]) -> (Self, String) {
        let answers = Mutex::new(answers.iter().copied().collect());
        let pay =
            Self(Arc::new(Inner { platform: PayVectors::default().platform(), answers, asked: Mutex::default() }));
        let router = Router::new().fallback(answer).with_state(pay.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (pay, url)
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().unwrap().clone()
    }
}

async fn answer(
    State(Pay(pay)): State<Pay>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, &'static str) {
    pay.asked.lock().unwrap().push(Asked { method, uri, headers, body });
    let answer = pay.answers.lock().unwrap().pop_front().unwrap();
    let (status, body, probe) = match answer {
        Answer::Signed(status, body) => (status, body, Some("")),
        Answer::Probe(status, body) => (status, body, Some("WECHATPAY/SIGNTEST/")),
        Answer::Unsigned(status, body) => (status, body, None),
    };
    let mut headers = HeaderMap::new();
    headers.insert("request-id", "08F78FA3AB-268449538".parse().unwrap());
    if let Some(probe) = probe {
        let timestamp = Clock::system().timestamp().as_secs();
        let signature = pay.platform.sign(format!("{timestamp}\nn\n{body}\n").as_bytes()).unwrap();
        headers.insert("wechatpay-timestamp", timestamp.into());
        headers.insert("wechatpay-nonce", "n".parse().unwrap());
        headers.insert("wechatpay-serial", PUBLIC_KEY_ID.parse().unwrap());
        headers.insert("wechatpay-signature", format!("{probe}{signature}").parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers, body)
}

fn client(urls: &str) -> PayClient {
    // Nobody reads the table who knows the keys.
    let env = Env::from_iter([
        ("WECHATPAY_API_URLS", urls),
        ("TABLE_NAME", "none"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
    ]);
    let setup = Setup::new(env, Clock::system()).unwrap().without_early_connections();
    let (hosts, table) = (setup.wechatpay().unwrap(), setup.table().unwrap());
    PayClient::new(hosts, Arc::new(PayVectors::default().merchant()), table, Clock::system())
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(9))
}

fn number() -> OutTradeNo {
    OutTradeNo::try_from("order-1".to_owned()).unwrap()
}

/// The answer to a query of that order, in a state.
const NOT_PAID: &str = r#"{"appid":"wx1","mchid":"1900007291","out_trade_no":"order-1","trade_state":"NOTPAY",
    "trade_state_desc":"订单未支付","payer":{}}"#;

#[tokio::test]
async fn an_order_is_prepared_as_documented() {
    let (pay, url) = Pay::start(&[Answer::Signed(200, PREPAID)]).await;
    let prepay_id = client(&format!("{url}/base/")).prepay(BODY, deadline()).await.unwrap();
    assert_eq!(prepay_id.expose(), "wx201410272009395522657a690389285100");

    let [asked] = pay.asked().try_into().unwrap();
    assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/base/v3/pay/transactions/jsapi"));
    assert_eq!(asked.body, BODY);
    assert_eq!((asked.header("accept"), asked.header("content-type")), ("application/json", "application/json"));
    assert_eq!(asked.header("wechatpay-serial"), PUBLIC_KEY_ID);
    assert!(!asked.header("user-agent").is_empty());
    // What is signed is the path as it was sent.
    let timestamp = Timestamp::from_secs(asked.authorization_item("timestamp").parse().unwrap());
    let stamp = Stamp { timestamp, nonce: asked.authorization_item("nonce_str").to_owned() };
    let merchant = PayVectors::default().merchant();
    assert_eq!(
        asked.headers["authorization"],
        authorization(&merchant, &Method::POST, asked.uri.path(), BODY, &stamp).unwrap()
    );
    assert_eq!(stamp.nonce.len(), 32);
}

#[tokio::test]
async fn an_order_is_queried_as_documented() {
    let (pay, url) = Pay::start(&[Answer::Signed(200, NOT_PAID)]).await;
    let trade = client(&url).query(&number(), deadline()).await.unwrap();
    assert_eq!((trade.state, &trade.amount), (TradeState::NotPay, &None));

    let [asked] = pay.asked().try_into().unwrap();
    let path_and_query = "/v3/pay/transactions/out-trade-no/order-1?mchid=1900007291";
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("GET", path_and_query));
    assert!(asked.body.is_empty() && !asked.headers.contains_key("content-type"));
    let timestamp = Timestamp::from_secs(asked.authorization_item("timestamp").parse().unwrap());
    let stamp = Stamp { timestamp, nonce: asked.authorization_item("nonce_str").to_owned() };
    let merchant = PayVectors::default().merchant();
    assert_eq!(
        asked.headers["authorization"],
        authorization(&merchant, &Method::GET, path_and_query, "", &stamp).unwrap()
    );
}

#[tokio::test]
async fn an_answer_about_another_order_is_none() {
    let (_pay, url) = Pay::start(&[Answer::Signed(200, NOT_PAID); 3]).await;
    let other = OutTradeNo::try_from("order-2".to_owned()).unwrap();
    let err = client(&url).query(&other, deadline()).await.unwrap_err();
    assert!(matches!(err, PayError::Unreadable(_)), "{err}");
}

#[tokio::test]
async fn a_refusal_is_final_and_names_its_code() {
    for (status, body, code) in [
        (400, r#"{"code":"ORDERPAID","message":"x"}"#, PayCode::OrderPaid),
        (401, r#"{"code":"SIGN_ERROR"}"#, PayCode::SignError),
        (404, "", PayCode::Unknown),
        (301, "<html>", PayCode::Unknown),
    ] {
        let (pay, url) = Pay::start(&[Answer::Unsigned(status, body)]).await;
        let err = client(&url).prepay(BODY, deadline()).await.unwrap_err();
        let refusal = err.refusal().unwrap();
        assert_eq!((refusal.status, refusal.code), (status, code));
        assert_eq!(refusal.request_id.to_string(), "Request-ID 08F78FA3AB-268449538");
        assert_eq!(pay.asked().len(), 1);
    }
}

#[tokio::test]
async fn where_the_outcome_is_open_the_same_is_asked_again_with_a_new_stamp() {
    for first in [
        Answer::Unsigned(500, r#"{"code":"SYSTEM_ERROR"}"#),
        Answer::Unsigned(502, ""),
        Answer::Unsigned(429, r#"{"code":"FREQUENCY_LIMITED"}"#),
        Answer::Signed(202, "{}"),
        Answer::Unsigned(200, PREPAID),
        Answer::Probe(200, PREPAID),
        Answer::Signed(200, "{}"),
        Answer::Signed(200, r#"{"prepay_id":"a b"}"#),
        Answer::Signed(200, ""),
    ] {
        let (pay, url) = Pay::start(&[first, Answer::Signed(200, PREPAID)]).await;
        client(&url).prepay(BODY, deadline()).await.unwrap();
        let [first, second] = pay.asked().try_into().unwrap();
        assert_eq!((&first.uri, &first.body), (&second.uri, &second.body));
        assert_ne!(first.authorization_item("nonce_str"), second.authorization_item("nonce_str"));
    }
}

#[tokio::test]
async fn three_requests_are_the_most() {
    let (pay, url) = Pay::start(&[Answer::Unsigned(503, ""); 3]).await;
    let err = client(&url).prepay(BODY, deadline()).await.unwrap_err();
    assert_eq!(err.refusal().unwrap().status, 503);
    assert_eq!(pay.asked().len(), 3);

    let (pay, url) = Pay::start(&[Answer::Unsigned(200, PREPAID); 3]).await;
    let err = client(&url).prepay(BODY, deadline()).await.unwrap_err();
    assert!(matches!(err, PayError::Unverified(_, NotVerified::Missing(_))), "{err}");
    assert_eq!(pay.asked().len(), 3);
}

#[tokio::test]
async fn no_request_is_sent_after_the_deadline() {
    let (pay, url) = Pay::start(&[Answer::Unsigned(503, ""); 3]).await;
    let err = client(&url).prepay(BODY, Deadline::after(Duration::from_millis(40))).await.unwrap_err();
    assert!(err.refusal().is_some_and(|refusal| refusal.status == 503) || matches!(err, PayError::Transport(_)));
    assert!(pay.asked().len() <= 1);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_passed_over() {
    let (pay, url) = Pay::start(&[Answer::Signed(200, PREPAID); 2]).await;
    let closed = ClosedPort::default();
    let client = client(&format!("{},{url}", closed.url));
    client.prepay(BODY, deadline()).await.unwrap();
    client.prepay(BODY, deadline()).await.unwrap();
    assert_eq!(pay.asked().len(), 2);
}

#[tokio::test]
async fn a_broken_connection_sends_the_same_request_to_the_next_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let breaking = format!("http://{}", listener.local_addr().unwrap());
    let head = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    });
    let (pay, url) = Pay::start(&[Answer::Signed(200, NOT_PAID)]).await;
    client(&format!("{breaking},{url}")).query(&number(), deadline()).await.unwrap();
    let [asked] = pay.asked().try_into().unwrap();
    assert!(head.await.unwrap().contains(asked.header("authorization")));
}
