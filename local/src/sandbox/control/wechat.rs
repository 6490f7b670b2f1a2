//! WeChat itself: what it allows, what goes wrong there, what was asked of it, and what time it is.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, bad_request, not_found};
use crate::sandbox::PATHS;
use crate::sandbox::faults::Fault;
use crate::sandbox::quota::Quota;
use crate::sandbox::state::{Nobody, Shared};
use crate::sandbox::tokens::Kind;

#[derive(Deserialize)]
pub(super) struct CallFilter {
    path: Option<String>,
}

pub(super) async fn calls(State(shared): State<Shared>, Query(filter): Query<CallFilter>) -> Json<Value> {
    let state = shared.lock();
    let calls = state.calls.of_path(filter.path.as_deref());
    Json(json!({ "total": calls.len(), "calls": calls }))
}

pub(super) async fn forget_calls(State(shared): State<Shared>) -> Json<Value> {
    shared.lock().calls.clear();
    Json(json!({}))
}

pub(super) async fn faults(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({ "faults": shared.lock().faults.all() }))
}

pub(super) async fn add_fault(State(shared): State<Shared>, Json(fault): Json<Fault>) -> Reply {
    fault.check().map_err(bad_request)?;
    let mut state = shared.lock();
    state.faults.add(fault);
    Ok(Json(json!({ "faults": state.faults.all() })))
}

pub(super) async fn clear_faults(State(shared): State<Shared>) -> Json<Value> {
    shared.lock().faults.clear();
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Whitelist {
    app_id: String,
    /// `null` lets everybody call.
    ips: Option<Vec<IpAddr>>,
}

pub(super) async fn set_whitelist(State(shared): State<Shared>, Json(whitelist): Json<Whitelist>) -> Json<Value> {
    let mut state = shared.lock();
    match whitelist.ips {
        Some(ips) => state.whitelists.insert(whitelist.app_id, ips),
        None => state.whitelists.remove(&whitelist.app_id),
    };
    Json(json!({ "whitelists": state.whitelists }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct QuotaWish {
    path: String,
    per_minute: Option<u64>,
    per_day: Option<u64>,
}

pub(super) async fn set_quota(State(shared): State<Shared>, Json(wish): Json<QuotaWish>) -> Reply {
    if !PATHS.contains(&wish.path.as_str()) {
        return Err(bad_request("there is no such path"));
    }
    shared.lock().quotas.insert(wish.path, Quota::new(wish.per_minute, wish.per_day));
    Ok(Json(json!({})))
}

pub(super) async fn all(State(shared): State<Shared>) -> Json<Value> {
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

pub(super) async fn tokens(State(shared): State<Shared>) -> Json<Value> {
    let state = shared.lock();
    Json(json!(state.tokens.all(state.now())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassicToken {
    enabled: bool,
}

pub(super) async fn set_classic_token(State(shared): State<Shared>, Json(wish): Json<ClassicToken>) -> Json<Value> {
    shared.lock().has_classic_token = wish.enabled;
    Json(json!({ "enabled": wish.enabled }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Revocation {
    app_id: Option<String>,
    #[serde(default)]
    kind: Kind,
}

pub(super) async fn revoke(State(shared): State<Shared>, Json(wish): Json<Revocation>) -> Reply {
    let mut state = shared.lock();
    let app_id = state.app_or_default(wish.app_id);
    state.kind_of(&app_id).ok_or_else(|| not_found(&Nobody))?;
    let now = state.now();
    Ok(Json(json!({ "revoked": state.tokens.revoke(&app_id, wish.kind, now) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Advance {
    advance_secs: u64,
}

pub(super) async fn advance(State(shared): State<Shared>, Json(wish): Json<Advance>) -> Json<Value> {
    let ahead = shared.lock().advance(Duration::from_secs(wish.advance_secs));
    Json(json!({ "offsetSecs": ahead.as_secs() }))
}
