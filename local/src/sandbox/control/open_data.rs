//! What people let a mini program know.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Reply, not_found};
use crate::sandbox::encrypted::{encrypt, merge, sign};
use crate::sandbox::people::{Profile, User};
use crate::sandbox::state::{Nobody, Shared};

/// Why nothing can be encrypted for a mini program.
#[derive(Debug, thiserror::Error)]
#[error("the user has no session_key there, because no login of theirs has come to WeChat")]
struct NoSessionKey;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PhoneWish {
    user: String,
    app_id: Option<String>,
    /// What is to be different in what is encrypted.
    #[serde(default)]
    plaintext: Map<String, Value>,
}

/// The button that gives the phone number away.
pub(super) async fn get_phone_number(State(shared): State<Shared>, Json(wish): Json<PhoneWish>) -> Reply {
    let mut state = shared.lock();
    let app_id = state.app_or_default(wish.app_id);
    let user = state.users.get(&wish.user).ok_or_else(|| not_found(&Nobody))?;
    let session_key = user.session_key(&app_id).ok_or_else(|| not_found(&NoSessionKey))?;
    let mut plaintext = json!(user.phone);
    plaintext["watermark"] = state.watermark(&app_id);
    merge(&mut plaintext, wish.plaintext);
    let encrypted = encrypt(session_key, &plaintext).ok_or_else(|| not_found(&NoSessionKey))?;
    Ok(Json(json!({
        "errMsg": "getPhoneNumber:ok",
        "code": state.issue_phone_code(&wish.user, &app_id),
        "encryptedData": encrypted.encrypted_data,
        "iv": encrypted.iv,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ProfileWish {
    user: String,
    app_id: Option<String>,
    /// Whether it tells what WeChat has told of everybody since 2022; it does if nothing is said.
    anonymous: Option<bool>,
    /// What is to be different in what is encrypted.
    #[serde(default)]
    plaintext: Map<String, Value>,
}

/// `wx.getUserInfo`: what is encrypted says who the user is.
pub(super) async fn get_user_info(State(shared): State<Shared>, Json(wish): Json<ProfileWish>) -> Reply {
    told(&shared, wish, "getUserInfo", |user, app_id| {
        let mut ids = json!({ "openId": user.openid(app_id) });
        if let Some(unionid) = &user.unionid {
            ids["unionId"] = unionid.as_str().into();
        }
        ids
    })
}

/// `wx.getUserProfile`: what is encrypted does not say who the user is.
pub(super) async fn get_user_profile(State(shared): State<Shared>, Json(wish): Json<ProfileWish>) -> Reply {
    told(&shared, wish, "getUserProfile", |_, _| json!({}))
}

/// What an API of the mini program tells of a user, with the ids that it tells.
fn told(shared: &Shared, wish: ProfileWish, api: &str, ids: impl FnOnce(&User, &str) -> Value) -> Reply {
    let state = shared.lock();
    let app_id = state.app_or_default(wish.app_id);
    let user = state.users.get(&wish.user).ok_or_else(|| not_found(&Nobody))?;
    let session_key = user.session_key(&app_id).ok_or_else(|| not_found(&NoSessionKey))?;
    let profile = if wish.anonymous.unwrap_or(true) { Profile::ANONYMOUS } else { user.profile() };
    let mut plaintext = json!(profile);
    if let Value::Object(ids) = ids(user, &app_id) {
        merge(&mut plaintext, ids);
    }
    plaintext["watermark"] = state.watermark(&app_id);
    merge(&mut plaintext, wish.plaintext);
    let encrypted = encrypt(session_key, &plaintext).ok_or_else(|| not_found(&NoSessionKey))?;
    let raw_data = profile.raw_data();
    Ok(Json(json!({
        "errMsg": format!("{api}:ok"),
        "signature": sign(&raw_data, session_key),
        "rawData": raw_data,
        "encryptedData": encrypted.encrypted_data,
        "iv": encrypted.iv,
    })))
}
