//! The WeChat sandbox: answers as WeChat's servers do, and plays the person with the phone.
//!
//! Under `/sandbox/` are its controls; everything else is WeChat's API. See the README for the list.

mod answer;
mod calls;
mod codes;
mod control;
mod faults;
mod people;
mod quota;
mod sns;
mod state;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use shared::clock::Clock;
use shared::wechat::Apps;

use self::answer::Answer;
use self::calls::Call;
use self::faults::Work;
use self::state::Shared;

pub(crate) use self::state::DemoUser;

/// The paths of WeChat's API that the sandbox has.
const CODE2SESSION: &str = "/sns/jscode2session";
const PATHS: [&str; 1] = [CODE2SESSION];

/// A sandbox with the apps of the functions.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox(Shared);

impl Sandbox {
    pub(crate) fn new(apps: &Apps, clock: &Clock) -> Self {
        Self(Shared::new(apps, clock))
    }

    /// The user whose codes are never used up.
    pub(crate) fn demo_user(&self) -> Option<DemoUser> {
        self.0.lock().demo_user()
    }

    pub(crate) fn router(self) -> Router {
        let wechat = Router::new()
            .route(
                CODE2SESSION,
                get(sns::jscode2session).fallback(async || Answer::refusal(43001, "require GET method")),
            )
            .layer(middleware::from_fn_with_state(self.0.clone(), answer));
        Router::new().nest("/sandbox", control::routes()).merge(wechat).with_state(self.0)
    }
}

/// Around every call of WeChat's API: faults, quotas, the whitelist, and the log of calls.
///
/// WeChat goes on when a caller hangs up, and so does this: in a task of its own.
async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(query): Query<AppIdQuery>,
    request: Request,
    next: Next,
) -> Response {
    let app_id = query.appid.unwrap_or_default();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let call = shared.lock().calls.begin(Call::new(method, path.clone(), app_id.clone()));
    let task = tokio::spawn(async move {
        let fault = shared.lock().faults.next(&path);
        tokio::time::sleep(fault.latency_before()).await;
        let answer = match fault.before_work() {
            Work::Skip(answer) => answer,
            Work::Do => {
                let refusal = shared.lock().admit(&path, &app_id, peer.ip());
                match refusal {
                    Some(refusal) => refusal,
                    None => fault.after_work(Answer::take(next.run(request).await)),
                }
            }
        };
        tokio::time::sleep(fault.latency_after()).await;
        shared.lock().calls.end(call, &answer);
        answer
    });
    task.await.unwrap_or(Answer::Drop).into_response()
}

#[derive(serde::Deserialize)]
struct AppIdQuery {
    appid: Option<String>,
}
