//! The controls under `/sandbox/`.

use std::net::IpAddr;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::PATHS;
use super::faults::Fault;
use super::state::{self, Nobody, Quota, Shared};

type Reply = Result<Json<Value>, (StatusCode, Json<Value>)>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/calls", get(calls).delete(forget_calls))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/quotas", put(set_quota))
        .route("/state", get(all))
        .route("/users", post(add_user))
        .route("/users/{user}", put(change_user))
        .route("/users/{user}/session-key", post(rotate_session_key))
        .route("/whitelist", put(set_whitelist))
        .route("/wx.login", post(wx_login))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// `true` for one that nobody else has.
    unionid: Option<UnionIdWish>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum UnionIdWish {
    Any(bool),
    This(String),
}

impl UnionIdWish {
    fn grant(self) -> Option<String> {
        match self {
            Self::Any(wanted) => wanted.then(state::unionid),
            Self::This(unionid) => Some(unionid),
        }
    }
}

async fn add_user(State(shared): State<Shared>, Json(new): Json<NewUser>) -> Reply {
    let mut state = shared.lock();
    let name = state.add_user(new.unionid.and_then(UnionIdWish::grant));
    Ok(Json(json!({ "user": name, "unionid": state.users.get(&name).map(|user| &user.unionid) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    unionid: Option<UnionIdWish>,
    blocked: Option<bool>,
}

async fn change_user(State(shared): State<Shared>, Path(name): Path<String>, Json(change): Json<UserChange>) -> Reply {
    let mut state = shared.lock();
    let user = state.users.get_mut(&name).ok_or_else(|| not_found(&Nobody))?;
    if let Some(wish) = change.unionid {
        user.unionid = wish.grant();
    }
    user.blocked = change.blocked.unwrap_or(user.blocked);
    Ok(Json(json!({ "user": name, "unionid": user.unionid, "blocked": user.blocked })))
}

async fn rotate_session_key(State(shared): State<Shared>, Path(name): Path<String>) -> Reply {
    shared.lock().rotate_session_keys(&name).map_err(|err| not_found(&err))?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LoginWish {
    user: String,
    app_id: Option<String>,
}

async fn wx_login(State(shared): State<Shared>, Json(wish): Json<LoginWish>) -> Reply {
    let mut state = shared.lock();
    let app_id = wish.app_id.or_else(|| state.default_app()).unwrap_or_default();
    let code = state.issue_code(&wish.user, &app_id).map_err(|err| not_found(&err))?;
    Ok(Json(json!({ "errMsg": "login:ok", "code": code })))
}

#[derive(Deserialize)]
struct CallFilter {
    path: Option<String>,
}

async fn calls(State(shared): State<Shared>, Query(filter): Query<CallFilter>) -> Json<Value> {
    let state = shared.lock();
    let calls = state.calls.of_path(filter.path.as_deref());
    Json(json!({ "total": calls.len(), "calls": calls }))
}

async fn forget_calls(State(shared): State<Shared>) -> Json<Value> {
    shared.lock().calls.clear();
    Json(json!({}))
}

async fn faults(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({ "faults": shared.lock().faults.all() }))
}

async fn add_fault(State(shared): State<Shared>, Json(fault): Json<Fault>) -> Reply {
    fault.check().map_err(bad_request)?;
    let mut state = shared.lock();
    state.faults.add(fault);
    Ok(Json(json!({ "faults": state.faults.all() })))
}

async fn clear_faults(State(shared): State<Shared>) -> Json<Value> {
    shared.lock().faults.clear();
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Whitelist {
    app_id: String,
    /// `null` lets everybody call.
    ips: Option<Vec<IpAddr>>,
}

async fn set_whitelist(State(shared): State<Shared>, Json(whitelist): Json<Whitelist>) -> Json<Value> {
    let mut state = shared.lock();
    match whitelist.ips {
        Some(ips) => state.whitelists.insert(whitelist.app_id, ips),
        None => state.whitelists.remove(&whitelist.app_id),
    };
    Json(json!({ "whitelists": state.whitelists }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct QuotaWish {
    path: String,
    per_minute: Option<u64>,
    per_day: Option<u64>,
}

async fn set_quota(State(shared): State<Shared>, Json(wish): Json<QuotaWish>) -> Reply {
    if !PATHS.contains(&wish.path.as_str()) {
        return Err(bad_request("there is no such path"));
    }
    shared.lock().quotas.insert(wish.path, Quota::new(wish.per_minute, wish.per_day));
    Ok(Json(json!({})))
}

async fn all(State(shared): State<Shared>) -> Json<Value> {
    let state = shared.lock();
    let quota = |quota: &Quota| json!({ "perMinute": quota.per_minute, "perDay": quota.per_day });
    let quotas: Value = state.quotas.iter().map(|(path, limits)| (path.clone(), quota(limits))).collect();
    Json(json!({
        "users": state.users,
        "faults": state.faults.all(),
        "whitelists": state.whitelists,
        "quotas": quotas,
        "calls": state.calls.of_path(None).len(),
    }))
}

fn bad_request(message: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "message": message })))
}

fn not_found(nobody: &Nobody) -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(json!({ "message": nobody.to_string() })))
}
