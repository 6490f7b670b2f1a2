//! The WeChat sandbox: answers as WeChat's servers do, and plays the person with the phone.
//!
//! Under `/sandbox/` are its controls; everything else is WeChat's API. See the README for the list.

mod answer;
mod calls;
mod cgi_bin;
mod codes;
mod control;
mod encrypted;
mod faults;
mod gate;
mod grants;
mod header_case;
mod missing;
pub(crate) mod pay;
mod people;
mod quota;
mod sns;
mod state;
mod tokens;
mod user_tokens;
mod wxa;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use shared::clock::Clock;
use shared::wechat::Apps;

use self::answer::Answer;
use self::pay::{PATHS as PAY_PATHS, Pay, Post};
use self::state::Shared;
use crate::halves::Halves;
use crate::kept_orders::Kept;
use crate::pay_keys::PayKeys;

pub(crate) use self::encrypted::encrypt;
pub(crate) use self::state::DemoUser;

const CHECK_SESSION: &str = "/wxa/checksession";
const CODE2SESSION: &str = "/sns/jscode2session";
const GET_TICKET: &str = "/cgi-bin/ticket/getticket";
const GET_USER_PHONE_NUMBER: &str = "/wxa/business/getuserphonenumber";
const OAUTH2_ACCESS_TOKEN: &str = "/sns/oauth2/access_token";
const SNS_AUTH: &str = "/sns/auth";
const SNS_USERINFO: &str = "/sns/userinfo";
const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const TOKEN: &str = "/cgi-bin/token";

/// The paths of WeChat's API that the sandbox has, but for WeChat Pay's.
const PATHS: [&str; 9] = [
    CHECK_SESSION,
    CODE2SESSION,
    GET_TICKET,
    GET_USER_PHONE_NUMBER,
    OAUTH2_ACCESS_TOKEN,
    SNS_AUTH,
    SNS_USERINFO,
    STABLE_TOKEN,
    TOKEN,
];

/// Those that take an access token: of an app, or of a user. The others take an app's secret, for which WeChat looks at
/// the caller's address.
const WITH_ACCESS_TOKEN: [&str; 5] = [CHECK_SESSION, GET_TICKET, GET_USER_PHONE_NUMBER, SNS_AUTH, SNS_USERINFO];

/// A sandbox with the apps of the functions.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox(Shared);

impl Sandbox {
    /// `post` delivers WeChat Pay's notifications. Only where the sandbox `knows_people` are its openids the only ones.
    pub(crate) fn new(apps: &Apps, clock: &Clock, keys: PayKeys, post: Post, knows_people: bool) -> Self {
        Self(Shared::new(apps, clock, Pay::new(keys, post, knows_people, clock.timestamp())))
    }

    /// The user whose codes are never used up.
    pub(crate) fn demo_user(&self) -> Option<DemoUser> {
        self.0.lock().demo_user()
    }

    /// Knows the orders and refunds of a sandbox before this one.
    pub(crate) fn remember(&self, kept: Kept) {
        let mut state = self.0.lock();
        let now = state.now();
        state.pay.remember(kept, now);
    }

    /// The controls, and the halves of WeChat's API that nobody else answers.
    pub(crate) fn router(self, halves: Halves) -> Router {
        let wechat = Router::new()
            .route(CHECK_SESSION, only_get(get(wxa::checksession)))
            .route(CODE2SESSION, only_get(get(sns::jscode2session)))
            .route(GET_TICKET, only_get(get(cgi_bin::getticket)))
            .route(GET_USER_PHONE_NUMBER, only_post(post(wxa::getuserphonenumber)))
            .route(OAUTH2_ACCESS_TOKEN, only_get(get(sns::oauth2_access_token)))
            .route(SNS_AUTH, only_get(get(sns::auth)))
            .route(SNS_USERINFO, only_get(get(sns::userinfo)))
            .route(STABLE_TOKEN, only_post(post(cgi_bin::stable_token)))
            .route(TOKEN, only_get(get(cgi_bin::token)))
            .layer(middleware::from_fn_with_state(self.0.clone(), gate::answer));
        let pay = pay::routes(&self.0);
        let routes = Router::new().nest("/sandbox", control::routes());
        let routes = if halves.wechat { routes.merge(wechat) } else { routes };
        let routes = if halves.pay { routes.merge(pay) } else { routes };
        let routes = routes.fallback(missing::answer).with_state(self.0);
        routes.layer(middleware::map_response(header_case::write_as_wechat))
    }
}

fn only_get(routes: MethodRouter<Shared>) -> MethodRouter<Shared> {
    routes.fallback(async || Answer::refusal(43001, "require GET method"))
}

fn only_post(routes: MethodRouter<Shared>) -> MethodRouter<Shared> {
    routes.fallback(async || Answer::refusal(43002, "require POST method"))
}
