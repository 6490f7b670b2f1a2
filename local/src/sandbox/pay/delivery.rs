//! Notifications on their way: when they are sent, how often, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use serde::{Deserialize, Serialize};

use super::notification::Notification;
use super::signature::Signatory;
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
    pub(crate) out_trade_no: String,
    /// What was answered; 0 is no answer.
    status: u16,
    is_probe: bool,
}

/// A notification, and where it goes.
#[derive(Clone, Debug)]
struct Outgoing {
    notification: Notification,
    out_trade_no: String,
    url: String,
    with_probe: bool,
}

impl Notifications {
    /// What is to be sent now of an order that has been paid.
    fn admit(&mut self, mut outgoing: Outgoing) -> Option<Outgoing> {
        let is_nth = |every: u64, count: u64| every > 0 && count.is_multiple_of(every);
        self.count += 1;
        if !self.settings.enabled || is_nth(self.settings.drop_every, self.count) {
            return None;
        }
        outgoing.with_probe = is_nth(self.settings.signtest_every, self.count);
        if self.settings.hold {
            self.held.push(outgoing);
            return None;
        }
        Some(outgoing)
    }
}

/// Begins to send what the merchant is to know of a paid order, as the settings have it.
pub(crate) fn send(shared: &Shared, out_trade_no: &str) {
    let mut state = shared.lock();
    let outgoing = of_order(&state, out_trade_no);
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

/// Sends a paid order's again, once, whatever the settings are: what was answered, and the event's id.
pub(crate) async fn resend(shared: &Shared, out_trade_no: &str) -> Option<(u16, String)> {
    let outgoing = of_order(&shared.lock(), out_trade_no)?;
    let (shared, event_id) = (shared.clone(), outgoing.notification.id.clone());
    let status = to_the_end(async move { deliver(&shared, &outgoing, false).await }).await?;
    Some((status, event_id))
}

/// WeChat Pay does not stop when whoever began it hangs up.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work).await.ok()
}

fn of_order(state: &State, out_trade_no: &str) -> Option<Outgoing> {
    let order = state.pay.orders.get(out_trade_no)?;
    Some(Outgoing {
        notification: order.payment.as_ref()?.notification.clone()?,
        out_trade_no: out_trade_no.to_owned(),
        url: order.request.notify_url.clone(),
        with_probe: false,
    })
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
        let (signatory, tamper) = match is_probe {
            true => (state.pay.signatory_of_notifications(), Some(Tamper::Signtest)),
            false => (state.pay.sign_notification(), None),
        };
        (request(&state, outgoing, &signatory, tamper), Arc::clone(&state.pay.post))
    };
    let status = match request {
        Some(request) => post.deliver(request).await,
        None => 0,
    };
    let (event_id, out_trade_no) = (outgoing.notification.id.clone(), outgoing.out_trade_no.clone());
    let delivery = Delivery { event_id, out_trade_no, status, is_probe };
    shared.lock().pay.notifications.deliveries.push(delivery);
    status
}

/// Encrypted and signed anew: a signature of the first try would be too old for the later ones.
fn request(
    state: &State,
    outgoing: &Outgoing,
    signatory: &Signatory,
    tamper: Option<Tamper>,
) -> Option<Request<String>> {
    let body = outgoing.notification.envelope(&state.pay.keys.api_v3, tamper).to_string();
    let signed = signatory.sign(body, state.time_of_signatures().as_secs(), tamper);
    let mut request =
        Request::post(state.pay.post.destination(&outgoing.url)).header("content-type", "application/json");
    request = request.header("accept", "*/*").header("user-agent", "Mozilla/4.0");
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    request.body(signed.body).ok()
}
