//! `/cgi-bin/`: access tokens and tickets.

use axum::body::Bytes;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;
use shared::json::Object;
use shared::wechat::AppKind;

use super::answer::{Answer, given};
use super::state::Shared;
use super::tokens::Kind;

/// Kinds of apps that have access tokens.
const WITH_TOKENS: [AppKind; 2] = [AppKind::MiniProgram, AppKind::OfficialAccount];

#[derive(Deserialize)]
pub(super) struct TokenQuery {
    grant_type: Option<String>,
    appid: Option<String>,
    secret: Option<String>,
}

/// The classic way to a token, which ends the one before it. Nothing of this project may go it, and the log of calls
/// shows who does; where it is switched on, SDKs can. Source: mini program documentation, "getAccessToken".
pub(super) async fn token(State(shared): State<Shared>, Query(query): Query<TokenQuery>) -> Answer {
    classic_token(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn classic_token(shared: &Shared, query: &TokenQuery) -> Result<Answer, Answer> {
    let mut state = shared.lock();
    if !state.has_classic_token {
        return Err(Answer::refusal(50004, "forbidden to use the token API"));
    }
    let app_id = given(query.appid.as_deref(), 41002, "appid missing")?;
    let secret = given(query.secret.as_deref(), 41004, "appsecret missing")?;
    if query.grant_type.as_deref() != Some("client_credential") {
        return Err(Answer::refusal(40002, "invalid grant_type"));
    }
    // A wrong secret is another error here than at all other calls. Source: the errors of "getAccessToken".
    if !state.has_secret(app_id, secret, &WITH_TOKENS)? {
        return Err(Answer::refusal(40001, "invalid credential, access_token is invalid or not latest"));
    }
    let now = state.now();
    let live = state.tokens.classic(app_id, now);
    Ok(Answer::ok(json!({ "access_token": live.value, "expires_in": live.expires_in })))
}

#[derive(Deserialize)]
struct StableToken {
    grant_type: Option<String>,
    appid: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    force_refresh: bool,
}

/// Source: mini program documentation, "getStableAccessToken".
pub(super) async fn stable_token(State(shared): State<Shared>, body: Bytes) -> Answer {
    new_or_current_token(&shared, &body).unwrap_or_else(|refusal| refusal)
}

fn new_or_current_token(shared: &Shared, body: &[u8]) -> Result<Answer, Answer> {
    let not_json = |_| Answer::refusal(47001, "data format error");
    let Object(body) = serde_json::from_slice::<Object<StableToken>>(body).map_err(not_json)?;
    let app_id = given(body.appid.as_deref(), 41002, "appid missing")?;
    let secret = given(body.secret.as_deref(), 41004, "appsecret missing")?;
    if body.grant_type.as_deref() != Some("client_credential") {
        return Err(Answer::refusal(40002, "invalid grant_type"));
    }
    let mut state = shared.lock();
    state.authenticate(app_id, secret, &WITH_TOKENS)?;
    let now = state.now();
    let live = if body.force_refresh {
        state.tokens.force(app_id, now)?
    } else {
        state.tokens.obtain(app_id, Kind::AccessToken, now)
    };
    Ok(Answer::ok(json!({ "access_token": live.value, "expires_in": live.expires_in })))
}

#[derive(Deserialize)]
pub(super) struct TicketQuery {
    access_token: Option<String>,
    r#type: Option<String>,
}

/// Source: official account documentation, "getticket".
pub(super) async fn getticket(State(shared): State<Shared>, Query(query): Query<TicketQuery>) -> Answer {
    ticket(&shared, &query).unwrap_or_else(|refusal| refusal)
}

fn ticket(shared: &Shared, query: &TicketQuery) -> Result<Answer, Answer> {
    let mut state = shared.lock();
    let app_id = state.authorize(query.access_token.as_deref(), AppKind::OfficialAccount)?;
    let kind = match query.r#type.as_deref() {
        Some("wx_card") => Kind::WxCard,
        Some("jsapi") => Kind::Jsapi,
        _ => return Err(Answer::refusal(40097, "invalid args")),
    };
    let now = state.now();
    let live = state.tokens.obtain(&app_id, kind, now);
    Ok(Answer::ok(json!({ "errcode": 0, "errmsg": "ok", "ticket": live.value, "expires_in": live.expires_in })))
}
