//! `/wxa/`: what only mini programs have.

use axum::body::Bytes;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;
use shared::json::Object;
use shared::wechat::AppKind;

use super::answer::Answer;
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
