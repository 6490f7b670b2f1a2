//! People, and their logins.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;
use shared::wechat::AppKind;

use super::{Reply, bad_request, not_found};
use crate::sandbox::people::{self, Phone};
use crate::sandbox::state::{Nobody, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
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
            Self::Any(wanted) => wanted.then(people::unionid),
            Self::This(unionid) => Some(unionid),
        }
    }
}

pub(super) async fn add_user(State(shared): State<Shared>, Json(new): Json<NewUser>) -> Reply {
    let mut state = shared.lock();
    let name = state.add_user(new.unionid.and_then(UnionIdWish::grant));
    Ok(Json(json!({ "user": name, "unionid": state.users.get(&name).map(|user| &user.unionid) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UserChange {
    unionid: Option<UnionIdWish>,
    blocked: Option<bool>,
    /// Of the mainland, if nothing else is said.
    phone_number: Option<String>,
    pure_phone_number: Option<String>,
    country_code: Option<String>,
    nick_name: Option<String>,
    avatar_url: Option<String>,
}

impl UserChange {
    fn phone(&self) -> Result<Option<Phone>, &'static str> {
        let others = (self.pure_phone_number.clone(), self.country_code.clone());
        match (self.phone_number.clone(), others) {
            (None, (None, None)) => Ok(None),
            (Some(number), (None, None)) => Ok(Some(Phone::mainland(number))),
            (Some(phone_number), (Some(pure_phone_number), Some(country_code))) => {
                Ok(Some(Phone { phone_number, pure_phone_number, country_code }))
            }
            _ => Err("a phone number of another country has phoneNumber, purePhoneNumber and countryCode"),
        }
    }
}

pub(super) async fn change_user(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Json(change): Json<UserChange>,
) -> Reply {
    let mut state = shared.lock();
    let user = state.users.get_mut(&name).ok_or_else(|| not_found(&Nobody))?;
    if let Some(phone) = change.phone().map_err(bad_request)? {
        user.phone = phone;
    }
    if let Some(wish) = change.unionid {
        user.unionid = wish.grant();
    }
    user.blocked = change.blocked.unwrap_or(user.blocked);
    user.nick_name = change.nick_name.unwrap_or_else(|| user.nick_name.clone());
    user.avatar_url = change.avatar_url.unwrap_or_else(|| user.avatar_url.clone());
    let mut body = json!(user);
    body["user"] = name.into();
    Ok(Json(body))
}

pub(super) async fn rotate_session_key(State(shared): State<Shared>, Path(name): Path<String>) -> Reply {
    let mut state = shared.lock();
    let now = state.now();
    state.users.get_mut(&name).ok_or_else(|| not_found(&Nobody))?.rotate_session_keys(now);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct LoginWish {
    user: String,
    app_id: Option<String>,
}

pub(super) async fn wx_login(State(shared): State<Shared>, Json(wish): Json<LoginWish>) -> Reply {
    let mut state = shared.lock();
    let app_id = state.app_or_default(wish.app_id);
    let code = state.issue_login_code(&wish.user, &app_id).map_err(|err| not_found(&err))?;
    Ok(Json(json!({ "errMsg": "login:ok", "code": code })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct OAuthWish {
    user: String,
    app_id: String,
    #[serde(default)]
    snapshot: bool,
}

pub(super) async fn authorize(State(shared): State<Shared>, Json(wish): Json<OAuthWish>) -> Reply {
    let mut state = shared.lock();
    if wish.snapshot && state.kind_of(&wish.app_id) == Some(AppKind::MobileApp) {
        return Err(bad_request("only pages of official accounts have snapshots"));
    }
    let code = state.issue_oauth_code(&wish.user, &wish.app_id, wish.snapshot).map_err(|err| not_found(&err))?;
    Ok(Json(json!({ "code": code })))
}
