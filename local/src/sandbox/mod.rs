//! The WeChat sandbox: answers as WeChat's servers do, and plays the person with the phone.
//!
//! Under `/sandbox/` are its controls; everything else is WeChat's API. See the README for the list.

mod answer;
mod control;
mod faults;
mod sns;
mod state;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use shared::clock::Clock;
use shared::wechat::Apps;

use self::answer::Answer;
use self::faults::Work;
use self::state::{Call, Shared};

pub(crate) use self::state::DemoUser;

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
            .route("/sns/jscode2session", get(sns::jscode2session))
            .layer(middleware::from_fn_with_state(self.0.clone(), faulty));
        Router::new().nest("/sandbox", control::routes()).merge(wechat).with_state(self.0)
    }
}

/// Around every call of WeChat's API: faults, quotas, the whitelist, and the log of calls.
async fn faulty(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    Query(query): Query<AppIdQuery>,
    request: Request,
    next: Next,
) -> Response {
    let app_id = query.appid.unwrap_or_default();
    let fault = shared.lock().faults.next(uri.path());
    if let Some(latency) = fault.latency() {
        tokio::time::sleep(latency).await;
    }
    let answer = match fault.before_work() {
        Work::Skip(answer) => answer,
        Work::Do => {
            let refusal = shared.lock().admit(uri.path(), &app_id, peer.ip());
            match refusal {
                Some(refusal) => refusal,
                None => fault.after_work(Answer::take(next.run(request).await)),
            }
        }
    };
    let (path, method) = (uri.path().to_owned(), method.to_string());
    let (status, errcode, rid) = (answer.status(), answer.errcode(), answer.rid().map(str::to_owned));
    shared.lock().calls.push(Call { method, path, app_id, status, errcode, rid });
    answer.into_response()
}

#[derive(serde::Deserialize)]
struct AppIdQuery {
    appid: Option<String>,
}
