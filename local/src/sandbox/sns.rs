//! `/sns/`: login.

use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;
use shared::random;
use shared::wechat::AppKind;

use super::answer::{Answer, given};
use super::people::Profile;
use super::state::Shared;
use super::user_tokens;

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    appid: Option<String>,
    secret: Option<String>,
    /// The code, of a mini program.
    js_code: Option<String>,
    /// The code, of another app.
    code: Option<String>,
    grant_type: Option<String>,
}

/// What is in a query that has everything.
struct Login<'a> {
    app_id: &'a str,
    secret: &'a str,
    code: &'a str,
}

impl LoginQuery {
    fn check<'a>(&'a self, code: &'a Option<String>) -> Result<Login<'a>, Answer> {
        let app_id = given(self.appid.as_deref(), 41002, "appid missing")?;
        let secret = given(self.secret.as_deref(), 41004, "appsecret missing")?;
        let code = given(code.as_deref(), 41008, "missing code")?;
        if self.grant_type.as_deref() != Some("authorization_code") {
            return Err(Answer::refusal(40002, "invalid grant_type"));
        }
        Ok(Login { app_id, secret, code })
    }
}

/// Source: mini program documentation, "code2Session".
pub(super) async fn jscode2session(State(shared): State<Shared>, Query(query): Query<LoginQuery>) -> Answer {
    code2session(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn code2session(shared: &Shared, query: &LoginQuery) -> Result<Answer, Answer> {
    let Login { app_id, secret, code } = query.check(&query.js_code)?;
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

/// Source: official account documentation, "snsAccessToken"; Open Platform documentation for mobile apps.
pub(super) async fn oauth2_access_token(State(shared): State<Shared>, Query(query): Query<LoginQuery>) -> Answer {
    code2access_token(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn code2access_token(shared: &Shared, query: &LoginQuery) -> Result<Answer, Answer> {
    let Login { app_id, secret, code } = query.check(&query.code)?;
    let mut state = shared.lock();
    state.authenticate(app_id, secret, &[AppKind::OfficialAccount, AppKind::MobileApp])?;
    let person = state.take_oauth_code(code, app_id)?;
    // The tokens are the user's, not the app's.
    let now = state.now();
    let mut body = json!({
        "access_token": state.user_tokens.issue(app_id, person.clone(), now),
        "expires_in": user_tokens::TTL.as_secs(),
        "refresh_token": random::base64url::<64>(),
        "openid": person.openid,
        "scope": "snsapi_userinfo",
    });
    if let Some(unionid) = person.unionid {
        body["unionid"] = unionid.into();
    }
    if person.made_up {
        body["is_snapshotuser"] = 1.into();
    }
    Ok(Answer::ok(body))
}

/// What asks about the user of a token. `lang` changes nothing here.
#[derive(Deserialize)]
pub(super) struct UserQuery {
    access_token: Option<String>,
    openid: Option<String>,
}

/// Source: official account documentation, "snsUserInfo".
pub(super) async fn userinfo(State(shared): State<Shared>, Query(query): Query<UserQuery>) -> Answer {
    let state = shared.lock();
    let person = state.user_tokens.person(query.access_token.as_deref(), query.openid.as_deref(), state.now());
    let person = match person {
        Ok(person) => person,
        Err(refusal) => return refusal,
    };
    let known = state.users.get(&person.user).filter(|_| !person.made_up);
    let mut body = known.map_or(Profile::ANONYMOUS, |user| user.profile()).of_page(&person.openid);
    if let Some(unionid) = &person.unionid {
        body["unionid"] = unionid.as_str().into();
    }
    Answer::ok(body)
}

/// Source: official account documentation, "snsAuth".
pub(super) async fn auth(State(shared): State<Shared>, Query(query): Query<UserQuery>) -> Answer {
    let state = shared.lock();
    let person = state.user_tokens.person(query.access_token.as_deref(), query.openid.as_deref(), state.now());
    person.map_or_else(|refusal| refusal, |_| Answer::ok(json!({ "errcode": 0, "errmsg": "ok" })))
}
