//! A WeChat Pay that writes down what it is sent, in front of the sandbox's.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode};
use serde_json::Value;

use crate::dice::Dice;
use crate::http::Client;
use crate::notifications::Notice;
use crate::patience::within;
use crate::world::World;
use tokio::sync::{Notify, watch};

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Method, path and query.
    pub line: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The very bytes.
    pub body: Vec<u8>,
}

impl Sent {
    /// The body, `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's text, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The proxy. As long as there is nobody behind it, it never answers.
#[derive(Clone, Debug)]
pub struct PayProxy {
    /// Where it listens.
    pub url: String,
    client: Arc<Client>,
    state: Arc<Mutex<Seen>>,
    holds: Arc<Notify>,
    released: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Seen {
    target: Option<String>,
    answer: Option<Notice>,
    /// What requests have in their lines that are held, or are not passed on.
    held: Option<String>,
    refused: Option<String>,
    sent: Vec<Sent>,
    losses: Option<(Dice, u64)>,
    lost: usize,
}

/// What gets lost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Request,
    Answer,
}

impl PayProxy {
    /// In front of nobody.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (client, state, holds, released) = Default::default();
        let proxy = Self { url, client, state, holds, released };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// From now on in front of a world's sandbox.
    pub fn stand_before(&self, world: &World) {
        self.state.lock().unwrap().target = world.machine.sandbox_url().map(str::to_owned);
    }

    /// From now on in front of nobody.
    pub fn hang(&self) {
        self.state.lock().unwrap().target = None;
    }

    /// From now on this is the answer to everything.
    pub fn answer(&self, answer: Notice) {
        self.state.lock().unwrap().answer = Some(answer);
    }

    /// From now on whoever is behind it answers again.
    pub fn answer_no_more(&self) {
        self.state.lock().unwrap().answer = None;
    }

    /// Holds the requests that have this in their line, until they are released.
    pub fn hold(&self, text: &str) {
        self.released.send_replace(false);
        self.state.lock().unwrap().held = Some(text.to_owned());
    }

    /// Waits until a request is held.
    pub async fn holding(&self) {
        within("a request of WeChat Pay that is held", self.holds.notified()).await;
    }

    /// Lets the requests that are held go on, and holds none any more.
    pub fn release(&self) {
        self.state.lock().unwrap().held = None;
        self.released.send_replace(true);
    }

    /// From now on requests that have this in their line are answered as by a gateway with nobody behind it. `None`: no
    /// more.
    pub fn refuse(&self, text: Option<&str>) {
        self.state.lock().unwrap().refused = text.map(str::to_owned);
    }

    /// From now on so many of a hundred calls get lost on the way there or back, by chance: in the order in which they
    /// come, so of calls at the same time now this one and now that.
    pub fn lose(&self, seed: u64, percent: u64) {
        self.state.lock().unwrap().losses = Some((Dice::new(seed), percent));
    }

    /// From now on none gets lost.
    pub fn lose_no_more(&self) {
        self.state.lock().unwrap().losses = None;
    }

    /// How many calls have got lost by chance, on the way there or back.
    pub fn lost(&self) -> usize {
        self.state.lock().unwrap().lost
    }

    /// How many were sent so far, since they were taken.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap().sent.len()
    }

    /// What was sent so far; and starts anew.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state.lock().unwrap().sent)
    }
}

impl World {
    /// A world whose functions reach WeChat Pay through a proxy.
    pub async fn start_with_pay_proxy() -> (Self, PayProxy) {
        let proxy = PayProxy::start().await;
        let world = Self::start_with([("WECHATPAY_API_URLS", &proxy.url)]).await;
        proxy.stand_before(&world);
        (world, proxy)
    }
}

impl Seen {
    fn next_loss(&mut self) -> Option<Loss> {
        let (dice, percent) = self.losses.as_mut()?;
        let is_lost = dice.is_of(*percent);
        let loss = if dice.is_of(50) { Loss::Request } else { Loss::Answer };
        self.lost += usize::from(is_lost);
        is_lost.then_some(loss)
    }
}

/// What a gateway in between says.
fn lost() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

async fn pass(State(proxy): State<PayProxy>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let sent = Sent { line: format!("{} {path}", parts.method), headers: parts.headers.clone(), body: body.clone() };
    let (target, answer, is_held, is_refused, loss) = {
        let mut state = proxy.state.lock().unwrap();
        let has = |text: &Option<String>| text.as_ref().is_some_and(|text| sent.line.contains(text));
        let (is_held, is_refused) = (has(&state.held), has(&state.refused));
        state.sent.push(sent);
        (state.target.clone(), state.answer.clone(), is_held, is_refused, state.next_loss())
    };
    if is_held {
        proxy.holds.notify_one();
        let released = proxy.released.subscribe().wait_for(|released| *released).await.map(|_| ());
        released.expect("the proxy is there");
    }
    if is_refused {
        return lost();
    }
    if let Some(Notice { headers, body }) = answer {
        let mut response = Response::new(Body::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        return response;
    }
    let Some(target) = target else { return std::future::pending().await };
    if loss == Some(Loss::Request) {
        return lost();
    }
    parts.uri = format!("{target}{path}").parse().unwrap();
    let (status, headers, body) = proxy.client.forward(Request::from_parts(parts, body)).await;
    if loss == Some(Loss::Answer) {
        return lost();
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
