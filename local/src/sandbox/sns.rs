//! `/sns/`: login.

use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;
use shared::wechat::AppKind;

use super::answer::{Answer, given};
use super::state::Shared;

#[derive(Deserialize)]
pub(super) struct Code2SessionQuery {
    appid: Option<String>,
    secret: Option<String>,
    js_code: Option<String>,
    grant_type: Option<String>,
}

/// Source: mini program documentation, "code2Session".
pub(super) async fn jscode2session(State(shared): State<Shared>, Query(query): Query<Code2SessionQuery>) -> Answer {
    code2session(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn code2session(shared: &Shared, query: &Code2SessionQuery) -> Result<Answer, Answer> {
    let app_id = given(query.appid.as_deref(), 41002, "appid missing")?;
    let secret = given(query.secret.as_deref(), 41004, "appsecret missing")?;
    let code = given(query.js_code.as_deref(), 41008, "missing code")?;
    if query.grant_type.as_deref() != Some("authorization_code") {
        return Err(Answer::refusal(40002, "invalid grant_type"));
    }
    let mut state = shared.lock();
    state.authenticate(app_id, secret, &[AppKind::MiniProgram])?;
    let user = state.take_login_code(code, app_id)?;
    let busy = |_| Answer::refusal(-1, "system error");
    let (openid, session_key) = state.log_in(&user, app_id).map_err(busy)?;
    let mut body = json!({ "session_key": session_key, "openid": openid });
    if let Some(unionid) = state.users.get(&user).and_then(|user| user.unionid.clone()) {
        body["unionid"] = unionid.into();
    }
    Ok(Answer::ok(body))
}
