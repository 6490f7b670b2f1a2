//! A DynamoDB that behaves as AWS's does under load, in front of one that does not: conflicts, throttles, lost answers,
//! stale reads.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::http::Client;
use crate::patience::within;
use crate::world::World;

/// What goes wrong with the next calls of an operation.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The operation, such as `TransactWriteItems`.
    pub operation: &'static str,
    /// How many calls go well first.
    pub after: u32,
    /// For how many calls then.
    pub times: u32,
    /// How.
    pub kind: Kind,
}

/// How a call goes wrong.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing is done, and this is the answer.
    Refuse(StatusCode, Value),
    /// It is done, and the answer is an error of the server's.
    LoseAnswer,
    /// Nothing is done, and there is no answer.
    Hang,
    /// It is done, and there is no answer.
    HangAfter,
    /// It is done when [`DynamoDbProxy::release`] says so, however often it is repeated until then.
    Hold,
    /// It is refused when [`DynamoDbProxy::release`] says so, for want of a right, and nothing is done.
    HoldAndRefuse,
}

impl Kind {
    /// An error by its name.
    pub fn error(name: &str) -> Self {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "injected" });
        Self::Refuse(StatusCode::BAD_REQUEST, body)
    }

    /// A transaction that is cancelled for these reasons, one for each write.
    pub fn cancelled(reasons: &[&str]) -> Self {
        let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        let reasons: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
        let message = "Transaction cancelled, please refer cancellation reasons for specific reasons";
        let body = json!({ "__type": name, "message": message, "CancellationReasons": reasons });
        Self::Refuse(StatusCode::BAD_REQUEST, body)
    }
}

/// The proxy.
#[derive(Clone, Debug)]
pub struct DynamoDbProxy {
    /// Where it listens.
    pub url: String,
    state: Arc<Mutex<Faults>>,
    target: String,
    client: Arc<Client>,
    hangs: Arc<Notify>,
    released: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Faults {
    queue: Vec<Fault>,
    requests: Vec<(String, Value)>,
    held: Vec<(Value, Kind)>,
}

impl DynamoDbProxy {
    /// In front of the DynamoDB at `target`.
    pub async fn start(target: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (url, target) = (format!("http://{address}"), target.to_owned());
        let (state, client, hangs, released) = Default::default();
        let proxy = Self { url, state, target, client, hangs, released };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// Lets something go wrong.
    pub fn inject(&self, operation: &'static str, times: u32, kind: Kind) {
        self.inject_after(operation, 0, times, kind);
    }

    /// Lets something go wrong, but not at once.
    pub fn inject_after(&self, operation: &'static str, after: u32, times: u32, kind: Kind) {
        self.state.lock().unwrap().queue.push(Fault { operation, after, times, kind });
    }

    /// Lets nothing go wrong any more. What hangs goes on hanging.
    pub fn heal(&self) {
        self.state.lock().unwrap().queue.clear();
    }

    /// The operations so far, those that went wrong included; and starts to count anew.
    pub fn take_calls(&self) -> Vec<String> {
        self.take_requests().into_iter().map(|(operation, _)| operation).collect()
    }

    /// As [`Self::take_calls`], with what was sent.
    pub fn take_requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// Waits until a call hangs, or is held.
    pub async fn hanging(&self) {
        within("a call of DynamoDB that hangs or is held", self.hangs.notified()).await;
    }

    /// Lets the calls that are held go on, and holds none any more.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    async fn hold(&self) {
        self.hangs.notify_one();
        let released = self.released.subscribe().wait_for(|released| *released).await.map(|_| ());
        released.expect("the proxy is there");
    }

    async fn hang(&self) -> Response<Body> {
        self.hangs.notify_one();
        std::future::pending().await
    }

    fn next_fault(&self, operation: &str, body: &Value) -> Option<Kind> {
        let mut faults = self.state.lock().unwrap();
        faults.requests.push((operation.to_owned(), body.clone()));
        if let Some((_, kind)) = faults.held.iter().find(|(held, _)| held == body) {
            return Some(kind.clone());
        }
        let fault = faults.queue.iter_mut().find(|fault| fault.operation == operation && fault.times > 0)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        let kind = fault.kind.clone();
        if let Kind::Hold | Kind::HoldAndRefuse = kind {
            faults.held.push((body.clone(), kind.clone()));
        }
        Some(kind)
    }
}

impl World {
    /// A machine whose functions reach their DynamoDB through a proxy. The machine that has the DynamoDB has to be kept.
    pub async fn start_with_proxy() -> (Self, DynamoDbProxy, Self) {
        Self::start_with_proxy_and_keys(KeyMode::default()).await
    }

    /// The same, where the merchant has these keys of WeChat Pay's.
    pub async fn start_with_proxy_and_keys(pay_keys: KeyMode) -> (Self, DynamoDbProxy, Self) {
        let behind = Self::start().await;
        let proxy = DynamoDbProxy::start(behind.machine.dynamodb_url()).await;
        let table = behind.machine.env().get("TABLE_NAME").unwrap().to_owned();
        let variables = [("AWS_ENDPOINT_URL_DYNAMODB", proxy.url.as_str()), ("TABLE_NAME", &table)];
        let world = Self::start_with_keys(pay_keys, variables).await;
        (world, proxy, behind)
    }
}

async fn pass(State(proxy): State<DynamoDbProxy>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    let operation = target.unwrap_or_default().split('.').next_back().unwrap_or_default().to_owned();
    let json: Value = serde_json::from_slice(&body).unwrap();
    let fault = proxy.next_fault(&operation, &json);
    match &fault {
        Some(Kind::Refuse(status, body)) => return answer(*status, body),
        Some(Kind::Hang) => return proxy.hang().await,
        Some(Kind::Hold) => proxy.hold().await,
        Some(Kind::HoldAndRefuse) => {
            proxy.hold().await;
            let error = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": "injected" });
            return answer(StatusCode::BAD_REQUEST, &error);
        }
        Some(Kind::HangAfter | Kind::LoseAnswer) | None => {}
    }
    if is_stale(&operation, &json) {
        return answer(StatusCode::OK, &json!({}));
    }
    parts.uri = proxy.target.parse::<Uri>().unwrap();
    let (status, headers, body) = proxy.client.forward(Request::from_parts(parts, body.to_vec())).await;
    if let Some(Kind::HangAfter) = fault {
        return proxy.hang().await;
    }
    if let Some(Kind::LoseAnswer) = fault {
        let error = json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "injected" });
        return answer(StatusCode::INTERNAL_SERVER_ERROR, &error);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// An eventually consistent read may see nothing of what was written: here it never does.
fn is_stale(operation: &str, body: &Value) -> bool {
    match operation {
        // An index has no other reads.
        "GetItem" | "Query" => body["ConsistentRead"] != true && body["IndexName"].is_null(),
        "BatchGetItem" => {
            body["RequestItems"].as_object().unwrap().values().any(|table| table["ConsistentRead"] != true)
        }
        "Scan" => false, // Tests look into the table with it.
        _ => false,
    }
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
