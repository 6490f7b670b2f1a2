//! The keys that WeChat Pay signs with: which of them the merchant has, and how they change.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Reply, bad_request};
use crate::pay_keys::later_platform_key;
use crate::sandbox::pay::KeySettings;
use crate::sandbox::state::Shared;

pub(super) async fn all(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.lock().pay.keys_view())
}

pub(super) async fn set(State(shared): State<Shared>, Json(settings): Json<KeySettings>) -> Reply {
    if !settings.is_possible() {
        return Err(bad_request("publicKeyPercent is from 0 to 100"));
    }
    let pay = &mut shared.lock().pay;
    pay.signing.set(settings);
    Ok(Json(pay.keys_view()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Rotation {
    step: Step,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Step {
    Announce,
    Drop,
    Sign,
}

/// One step from a platform certificate to the next.
pub(super) async fn rotate(State(shared): State<Shared>, Json(Rotation { step }): Json<Rotation>) -> Reply {
    let key = later_platform_key(shared.lock().pay.certificates.count_of_later());
    if let Step::Announce = step {
        // It takes long.
        let key = Arc::clone(&key);
        let make = move || {
            LazyLock::force(&key);
        };
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, Json(Value::Null)))?;
    }
    let state = &mut *shared.lock();
    let now = state.time_of_signatures();
    let certificates = &mut state.pay.certificates;
    let stepped = match step {
        Step::Announce => certificates.announce(key, now),
        Step::Drop => certificates.drop_others(),
        Step::Sign => certificates.sign(),
    };
    stepped.map_err(|err| bad_request(&err.to_string()))?;
    Ok(Json(state.pay.keys_view()))
}
