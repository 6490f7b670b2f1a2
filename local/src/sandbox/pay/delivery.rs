//! Notifications on their way: when they are sent, how often, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use serde::{Deserialize, Serialize};

use super::letter::Letter;
use super::tamper::Tamper;
use crate::sandbox::state::{Shared, State};

/// The pauses between the tries, in seconds.
const SCHEDULE: [u64; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];

/// How notifications are sent. What a request leaves out is as here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Settings {
    /// Whether any are.
    pub(crate) enabled: bool,
    /// Whether they wait until this is over. Then they are sent in the reversed order.
    pub(crate) hold: bool,
    /// How many copies go with the first try of each, at the same time.
    pub(crate) duplicates: u8,
    /// Every so many are lost, all tries of them; 0 loses none.
    pub(crate) drop_every: u64,
    /// Before every so many comes a probe, whose signature is wrong; 0 is no probe.
    pub(crate) signtest_every: u64,
    /// How much faster than WeChat Pay's the pauses between the tries are.
    pub(crate) time_factor: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, hold: false, duplicates: 0, drop_every: 0, signtest_every: 0, time_factor: 1000 }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    pub(crate) settings: Settings,
    /// How many there were to send.
    count: u64,
    held: Vec<Outgoing>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// One try.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    event_id: String,
    /// What has happened, where the merchant is told so.
    event_type: Option<String>,
    pub(crate) out_trade_no: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_refund_no: Option<String>,
    /// What was answered; 0 is no answer.
    status: u16,
    is_probe: bool,
}

/// What a notification is about, by its number.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Order(String),
    Refund(String),
}

/// A notification, and where it goes.
#[derive(Clone, Debug)]
struct Outgoing {
    letter: Letter,
    out_trade_no: String,
    out_refund_no: Option<String>,
    url: String,
    with_probe: bool,
}

impl Notifications {
    /// What is to be sent now of what has happened.
    fn admit(&mut self, mut outgoing: Outgoing) -> Option<Outgoing> {
        let is_nth = |every: u64, count: u64| every > 0 && count.is_multiple_of(every);
        self.count += 1;
        if !self.settings.enabled || is_nth(self.settings.drop_every, self.count) {
            return None;
        }
        outgoing.with_probe = outgoing.letter.is_signed() && is_nth(self.settings.signtest_every, self.count);
        if self.settings.hold {
            self.held.push(outgoing);
            return None;
        }
        Some(outgoing)
    }
}

/// Begins to send what the merchant is to know of a paid order, or of a refund that was settled, as the settings have it.
pub(crate) fn send(shared: &Shared, subject: &Subject) {
    let mut state = shared.lock();
    let outgoing = about(&state, subject);
    if let Some(outgoing) = outgoing.and_then(|outgoing| state.pay.notifications.admit(outgoing)) {
        tokio::spawn(insist(shared.clone(), outgoing));
    }
}

/// Sends what was held, the last first: each is answered, or not, before the next. What fails is tried again later.
pub(crate) async fn release(shared: &Shared) {
    let shared = shared.clone();
    to_the_end(async move {
        let held = std::mem::take(&mut shared.lock().pay.notifications.held);
        for outgoing in held.into_iter().rev() {
            if !first_try(&shared, &outgoing).await {
                tokio::spawn(repeat(shared.clone(), outgoing));
            }
        }
    })
    .await;
}

/// Sends one again, once, whatever the settings are: what was answered, and the event's id.
pub(crate) async fn resend(shared: &Shared, subject: &Subject) -> Option<(u16, String)> {
    let outgoing = about(&shared.lock(), subject)?;
    let (shared, event_id) = (shared.clone(), outgoing.letter.id().to_owned());
    let status = to_the_end(async move { deliver(&shared, &outgoing, false).await }).await?;
    Some((status, event_id))
}

/// WeChat Pay does not stop when whoever began it hangs up.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

/// `None` while there is nothing to tell.
fn about(state: &State, subject: &Subject) -> Option<Outgoing> {
    let (order, out_refund_no, letter, url) = match subject {
        Subject::Order(number) => {
            let order = state.pay.orders.get(number)?;
            let notification = order.payment.as_ref()?.notification.clone()?;
            (order, None, Letter::Version3(notification), order.request.notify_url.clone())
        }
        Subject::Refund(number) => {
            let (order, refund) = state.pay.find_refund(number)?;
            let (letter, url) = refund.letter.clone()?;
            (order, Some(number.clone()), letter, url)
        }
    };
    Some(Outgoing { letter, out_trade_no: order.request.out_trade_no.clone(), out_refund_no, url, with_probe: false })
}

async fn insist(shared: Shared, outgoing: Outgoing) {
    if !first_try(&shared, &outgoing).await {
        repeat(shared, outgoing).await;
    }
}

/// With the probe and the copies, where those are wanted; ends when all of them are answered. Whether it has arrived.
async fn first_try(shared: &Shared, outgoing: &Outgoing) -> bool {
    if outgoing.with_probe && (200..300).contains(&deliver(shared, outgoing, true).await) {
        tracing::error!(outTradeNo = outgoing.out_trade_no, "a probe whose signature is wrong was taken for good");
    }
    let copies = shared.lock().pay.notifications.settings.duplicates;
    let copies: Vec<_> = (0..copies)
        .map(|_| {
            let (shared, outgoing) = (shared.clone(), outgoing.clone());
            tokio::spawn(async move { deliver(&shared, &outgoing, false).await })
        })
        .collect();
    let status = deliver(shared, outgoing, false).await;
    for copy in copies {
        // Whatever its answer is, it is written down.
        let _ = copy.await;
    }
    has_arrived(status)
}

/// Tries until it has arrived, or for a day; or until the sandbox is gone.
async fn repeat(shared: Shared, outgoing: Outgoing) {
    let pause = |secs: u64| {
        let factor = shared.lock().pay.notifications.settings.time_factor.max(1);
        Duration::from_secs(secs) / factor
    };
    let pauses = SCHEDULE.map(pause);
    let sandbox = shared.downgrade();
    drop(shared);
    for pause in pauses {
        tokio::time::sleep(pause).await;
        let Some(shared) = Shared::upgrade(&sandbox) else { return };
        if has_arrived(deliver(&shared, &outgoing, false).await) {
            return;
        }
    }
}

/// Only these two are documented. A redirect is not followed.
fn has_arrived(status: u16) -> bool {
    [200, 204].contains(&status)
}

/// One try; a probe has a signature that is none. Writes down what was answered.
async fn deliver(shared: &Shared, outgoing: &Outgoing, is_probe: bool) -> u16 {
    let (request, post) = {
        let mut state = shared.lock();
        (request(&mut state, outgoing, is_probe.then_some(Tamper::Signtest)), Arc::clone(&state.pay.post))
    };
    let status = match request {
        Some(request) => post.deliver(request).await,
        None => 0,
    };
    let (event_id, event_type) = (outgoing.letter.id().to_owned(), outgoing.letter.event_type().map(str::to_owned));
    let (out_trade_no, out_refund_no) = (outgoing.out_trade_no.clone(), outgoing.out_refund_no.clone());
    let delivery = Delivery { event_id, event_type, out_trade_no, out_refund_no, status, is_probe };
    shared.lock().pay.notifications.deliveries.push(delivery);
    status
}

/// Encrypted and signed anew: a signature of the first try would be too old for the later ones.
fn request(state: &mut State, outgoing: &Outgoing, tamper: Option<Tamper>) -> Option<Request<String>> {
    let request = Request::post(state.pay.post.destination(&outgoing.url));
    let request = request.header("accept", "*/*").header("user-agent", "Mozilla/4.0");
    let notification = match &outgoing.letter {
        Letter::Version2 { xml, .. } => return request.header("content-type", "text/xml").body(xml.clone()).ok(),
        Letter::Version3(notification) => notification,
    };
    let body = notification.envelope(&state.pay.keys.api_v3, tamper).to_string();
    let signatory = match tamper {
        Some(_) => state.pay.signatory_of_notifications(),
        None => state.pay.sign_notification(),
    };
    let signed = signatory.sign(body, state.time_of_signatures().as_secs(), tamper);
    let mut request = request.header("content-type", "application/json");
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    request.body(signed.body).ok()
}
