//! `/wxa/`: what only mini programs have.

use axum::body::Bytes;
use axum::extract::{Query, State};
use ring::hmac;
use serde::Deserialize;
use serde_json::json;
use shared::json::Object;
use shared::wechat::AppKind;

use super::answer::{Answer, given};
use super::codes::BadCode;
use super::state::Shared;

#[derive(Deserialize)]
pub(super) struct TokenQuery {
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct PhoneNumber {
    code: String,
    openid: Option<String>,
}

/// Source: mini program documentation, "getPhoneNumber".
pub(super) async fn getuserphonenumber(
    State(shared): State<Shared>,
    Query(query): Query<TokenQuery>,
    body: Bytes,
) -> Answer {
    phone_number(&shared, &query, &body).unwrap_or_else(|refusal| refusal)
}

fn phone_number(shared: &Shared, query: &TokenQuery, body: &[u8]) -> Result<Answer, Answer> {
    let mut state = shared.lock();
    let app_id = state.authorize(query.access_token.as_deref(), AppKind::MiniProgram)?;
    if body.is_empty() {
        return Err(Answer::refusal(44002, "empty post data"));
    }
    let not_json = |_| Answer::refusal(47001, "data format error");
    let Object(body) = serde_json::from_slice::<Object<PhoneNumber>>(body).map_err(not_json)?;
    let phone = state.take_phone_code(&body.code, &app_id, body.openid.as_deref()).map_err(|bad| match bad {
        BadCode::Foreign => Answer::refusal(40013, "invalid appid"),
        BadCode::Invalid | BadCode::Used => Answer::refusal(40029, "invalid code"),
    })?;
    let mut phone_info = json!(phone);
    phone_info["watermark"] = state.watermark(&app_id);
    Ok(Answer::ok(json!({ "errcode": 0, "errmsg": "ok", "phone_info": phone_info })))
}

#[derive(Deserialize)]
pub(super) struct SessionQuery {
    access_token: Option<String>,
    openid: Option<String>,
    signature: Option<String>,
    sig_method: Option<String>,
}

/// Source: mini program documentation, "checkSession".
pub(super) async fn checksession(State(shared): State<Shared>, Query(query): Query<SessionQuery>) -> Answer {
    check_session(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn check_session(shared: &Shared, query: &SessionQuery) -> Result<Answer, Answer> {
    let state = shared.lock();
    let app_id = state.authorize(query.access_token.as_deref(), AppKind::MiniProgram)?;
    let openid = given(query.openid.as_deref(), 41009, "missing openid")?;
    if query.sig_method.as_deref() != Some("hmac_sha256") {
        return Err(Answer::refusal(87008, "invalid sig_method"));
    }
    let session_key = state.users.values().find_map(|user| user.session_key_of(openid, &app_id));
    let session_key = session_key.ok_or_else(|| Answer::refusal(40003, "invalid openid"))?;
    let signature = query.signature.as_deref().and_then(from_hex).unwrap_or_default();
    // The key is the text of the session_key, and nothing is signed: a GET has no body.
    let key = hmac::Key::new(hmac::HMAC_SHA256, session_key.as_bytes());
    hmac::verify(&key, b"", &signature).map_err(|_| Answer::refusal(87009, "invalid signature"))?;
    Ok(Answer::ok(json!({ "errcode": 0, "errmsg": "ok" })))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}
