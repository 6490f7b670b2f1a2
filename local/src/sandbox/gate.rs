//! What every call of WeChat's API comes through: faults, quotas, the whitelist, and the log of calls.

use std::net::SocketAddr;

use axum::body::{self, Body};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::answer::Answer;
use super::calls::Call;
use super::faults::{Fault, Work};
use super::state::{self, Shared};
use super::{STABLE_TOKEN, WITH_ACCESS_TOKEN};

/// The most bytes that a request may have.
pub(super) const LONGEST_BODY: usize = 1024 * 1024;

/// Around every call of WeChat's API, but for WeChat Pay's.
pub(super) async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(named): Query<Named>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, LONGEST_BODY).await else {
        return Answer::Status(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let app_id = named.app_id(&shared.lock(), &path, &body);
    let forced = path == STABLE_TOKEN && is_forced(&body);
    let call = Call::new(method, path.clone(), app_id.clone(), forced);
    let request = Request::from_parts(parts, Body::from(body));
    let state = shared.clone();
    let work = async move {
        let refusal = state.lock().admit(&path, &app_id, peer.ip());
        match refusal {
            Some(refusal) => refusal,
            None => Answer::take(next.run(request).await),
        }
    };
    pass(shared, call, work, |answer, _| answer).await
}

/// Does the work of a call, with what goes wrong in it, and writes it down. `seal` has the last word about the answer.
/// WeChat goes on when a caller hangs up, and so does this: in a task of its own.
pub(super) async fn pass(
    shared: Shared,
    call: Call,
    work: impl Future<Output = Answer> + Send + 'static,
    seal: impl FnOnce(Answer, &Fault) -> Answer + Send + 'static,
) -> Response {
    let path = call.path().to_owned();
    let call = shared.lock().calls.begin(call);
    let task = tokio::spawn(async move {
        let fault = shared.lock().faults.next(&path);
        tokio::time::sleep(fault.latency_before()).await;
        let answer = match fault.before_work() {
            Work::Skip(answer) => answer,
            Work::Do => fault.after_work(work.await),
        };
        let answer = seal(answer, &fault);
        tokio::time::sleep(fault.latency_after()).await;
        shared.lock().calls.end(call, &answer);
        answer
    });
    task.await.unwrap_or(Answer::Drop).into_response()
}

/// What a query says of the app that the call is for.
#[derive(Deserialize)]
pub(super) struct Named {
    appid: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct NamedInBody {
    appid: String,
}

fn is_forced(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Wish {
        force_refresh: bool,
    }
    serde_json::from_slice::<Wish>(body).is_ok_and(|wish| wish.force_refresh)
}

impl Named {
    /// The app that the call is for: that of its access token, even of one that is no longer good, or else the one that
    /// it names. Empty if there is none.
    fn app_id(self, state: &state::State, path: &str, body: &[u8]) -> String {
        let of_token = || {
            let token = self.access_token.as_deref()?;
            state.tokens.app_of(token).or_else(|| state.user_tokens.app_of(token)).map(str::to_owned)
        };
        let in_body = || Some(serde_json::from_slice::<NamedInBody>(body).ok()?.appid);
        let app_id = match path {
            STABLE_TOKEN => in_body(),
            path if WITH_ACCESS_TOKEN.contains(&path) => of_token(),
            _ => self.appid,
        };
        app_id.unwrap_or_default()
    }
}
