//! The controls under `/sandbox/`.

mod keys;
mod notifications;
mod open_data;
mod pay;
mod people;
mod refunds;
mod wechat;

use std::fmt::Display;

use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::state::Shared;

type Reply = Result<Json<Value>, (StatusCode, Json<Value>)>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/calls", get(wechat::calls).delete(wechat::forget_calls))
        .route("/certificates/rotate", post(keys::rotate))
        .route("/classic-token", put(wechat::set_classic_token))
        .route("/clock", post(wechat::advance))
        .route("/close", post(pay::close))
        .route("/faults", get(wechat::faults).post(wechat::add_fault).delete(wechat::clear_faults))
        .route("/getPhoneNumber", post(open_data::get_phone_number))
        .route("/getUserInfo", post(open_data::get_user_info))
        .route("/getUserProfile", post(open_data::get_user_profile))
        .route("/keys", get(keys::all).put(keys::set))
        .route("/notifications", get(notifications::all).put(notifications::set))
        .route("/notifications/forge", post(notifications::forge))
        .route("/notifications/resend", post(notifications::resend))
        .route("/oauth2/authorize", post(people::authorize))
        .route("/orders", get(pay::orders))
        .route("/orders/{out_trade_no}", get(pay::order))
        .route("/pay", post(pay::pay_elsewhere))
        .route("/quotas", put(wechat::set_quota))
        .route("/refunds", get(refunds::all).post(refunds::add).put(refunds::set))
        .route("/refunds/settle", post(refunds::settle))
        .route("/requestPayment", post(pay::request_payment))
        .route("/state", get(wechat::all))
        .route("/tokens", get(wechat::tokens))
        .route("/tokens/revoke", post(wechat::revoke))
        .route("/users", post(people::add_user))
        .route("/users/{user}", put(people::change_user))
        .route("/users/{user}/session-key", post(people::rotate_session_key))
        .route("/whitelist", put(wechat::set_whitelist))
        .route("/wx.login", post(people::wx_login))
}

fn bad_request(message: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "message": message })))
}

fn not_found(err: &dyn Display) -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(json!({ "message": err.to_string() })))
}
