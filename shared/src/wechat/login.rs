//! `/sns/`: who a login code belongs to.

use serde::Deserialize;
use serde_json::Value;

use super::client::{ApiCall, WechatClient};
use super::{App, Identity, LoginCode, OpenId, SessionKey, UnionId, Unusable, WechatError};
use crate::deadline::Deadline;

/// The answer to a login code of a mini program.
#[derive(Debug)]
pub struct CodeSession {
    /// Who the code belongs to.
    pub identity: Identity,
    /// The key of the user's encrypted data.
    pub session_key: SessionKey,
}

/// The answer to an OAuth code.
#[derive(Debug)]
pub enum OauthUser {
    /// Who the code belongs to.
    Known(Identity),
    /// WeChat's snapshot mode: openid and unionid are of a virtual account, not of the person.
    Snapshot,
}

#[derive(Deserialize)]
pub(super) struct Code2Session {
    pub(super) openid: OpenId,
    session_key: SessionKey,
    pub(super) unionid: Option<UnionId>,
}

/// The user's own access token is in the answer too, and is left there: nothing here needs it.
#[derive(Deserialize)]
struct Oauth2AccessToken {
    openid: OpenId,
    unionid: Option<UnionId>,
    #[serde(default)]
    is_snapshotuser: Value,
}

impl WechatClient {
    /// Exchanges a code of `wx.login` for the user's openid and session_key.
    ///
    /// `GET /sns/jscode2session`; source: mini program documentation, "code2Session".
    ///
    /// # Errors
    ///
    /// If WeChat refuses, or gives no good answer before the deadline, after up to three tries.
    pub async fn jscode2session(
        &self,
        app: &App,
        code: &LoginCode,
        deadline: Deadline,
    ) -> Result<CodeSession, WechatError> {
        let query = [
            ("appid", app.app_id.as_str()),
            ("secret", app.app_secret.expose()),
            ("js_code", code.expose()),
            ("grant_type", "authorization_code"),
        ];
        let answer: Code2Session = self.call(ApiCall::get("/sns/jscode2session", &query), deadline).await?;
        if answer.session_key.expose().is_empty() {
            return Err(WechatError::Answer(Unusable::Malformed));
        }
        let identity = identity(app, answer.openid, answer.unionid)?;
        Ok(CodeSession { identity, session_key: answer.session_key })
    }

    /// Exchanges an OAuth code of an official account or a mobile app for the user's openid.
    ///
    /// `GET /sns/oauth2/access_token`; source: official account documentation, "Web authorization", and Open Platform
    /// documentation, "Authorized interface calling".
    ///
    /// # Errors
    ///
    /// As [`Self::jscode2session`].
    pub async fn oauth2_access_token(
        &self,
        app: &App,
        code: &LoginCode,
        deadline: Deadline,
    ) -> Result<OauthUser, WechatError> {
        let query = [
            ("appid", app.app_id.as_str()),
            ("secret", app.app_secret.expose()),
            ("code", code.expose()),
            ("grant_type", "authorization_code"),
        ];
        let answer: Oauth2AccessToken = self.call(ApiCall::get("/sns/oauth2/access_token", &query), deadline).await?;
        if says_yes(&answer.is_snapshotuser) {
            return Ok(OauthUser::Snapshot);
        }
        identity(app, answer.openid, answer.unionid).map(OauthUser::Known)
    }
}

fn identity(app: &App, openid: OpenId, unionid: Option<UnionId>) -> Result<Identity, WechatError> {
    if openid.expose().is_empty() {
        return Err(WechatError::Answer(Unusable::Malformed));
    }
    let unionid = unionid.filter(|unionid| !unionid.expose().is_empty());
    Ok(Identity { app_id: app.app_id.clone(), openid, unionid })
}

/// A flag is `1` where it is set. In whatever form it comes, only a plain "no" lets a user in.
fn says_yes(flag: &Value) -> bool {
    match flag {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "" | "0" | "false"),
        Value::Bool(true) | Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_plain_no_is_no_snapshot_user() {
        for flag in [json!(null), json!(0), json!(0.0), json!(false), json!("0"), json!("")] {
            assert!(!says_yes(&flag), "{flag}");
        }
        for flag in [json!(1), json!(true), json!("1"), json!(2), json!([0]), json!({})] {
            assert!(says_yes(&flag), "{flag}");
        }
    }
}
