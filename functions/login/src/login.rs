//! The decisions of a login.

use std::time::Duration;

use shared::deadline::Deadline;
use shared::random;
use shared::store::{Login, Logins, NewLogin, Recalled, SessionToken, StoreError};
use shared::wechat::errcode::{CODE_BEEN_USED, INVALID_CODE};
use shared::wechat::{App, AppKind, Identity, LoginCode, OauthUser, SessionKey, WechatClient, WechatError};

/// What WeChat may not use up, because the table needs it.
const STORE_RESERVE: Duration = Duration::from_secs(3);

/// How long the second bearer of a code waits for the first one to be done.
const RECALL_WITHIN: Duration = Duration::from_secs(3);
/// What is left for the last look at the table, so that it ends with an answer.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How long a session may stay invisible after the code's row, which is written with it. Milliseconds, on DynamoDB.
const VISIBLE_WITHIN: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Why nobody was logged in.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The code is of a virtual account, which WeChat's snapshot mode shows in place of the person's.
    Snapshot,
    Store(StoreError),
    Wechat(WechatError),
}

impl From<StoreError> for LoginError {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

/// Exchanges the code, or finds the session that it made already.
///
/// WeChat decides which of several bearers of one code is the first: a normal login reads nothing to find out.
pub(crate) async fn login(
    wechat: &WechatClient,
    logins: &Logins,
    app: &App,
    code: &LoginCode,
    deadline: Deadline,
) -> Result<Login, LoginError> {
    match exchange(wechat, app, code, deadline.leaving(STORE_RESERVE)).await {
        Ok((Some(identity), session_key)) => {
            let (identity, session_key) = (&identity, session_key.as_ref());
            let new = NewLogin { code, identity, session_key, token: SessionToken::random() };
            Ok(logins.login(&new, deadline).await?)
        }
        Ok((None, _)) => Err(LoginError::Snapshot),
        Err(err) => match wait_for_first(&err) {
            Some(wait) => {
                let until = deadline.leaving(LAST_LOOK).at_most(wait);
                recall(logins, app, code, until, deadline).await?.ok_or(LoginError::Wechat(err))
            }
            None => Err(LoginError::Wechat(err)),
        },
    }
}

/// Whom the code belongs to, unless that is a virtual account; and the session_key, which only mini programs have.
async fn exchange(
    wechat: &WechatClient,
    app: &App,
    code: &LoginCode,
    deadline: Deadline,
) -> Result<(Option<Identity>, Option<SessionKey>), WechatError> {
    match app.kind {
        AppKind::MiniProgram => {
            let answer = wechat.jscode2session(app, code, deadline).await?;
            Ok((Some(answer.identity), Some(answer.session_key)))
        }
        AppKind::MobileApp | AppKind::OfficialAccount => match wechat.oauth2_access_token(app, code, deadline).await? {
            OauthUser::Known(identity) => Ok((Some(identity), None)),
            OauthUser::Snapshot => Ok((None, None)),
        },
    }
}

/// How long a session of this code may still come up: a used code may be in other hands at this moment, an invalid one
/// is either old or was WeChat's before.
fn wait_for_first(err: &WechatError) -> Option<Duration> {
    match err.refusal()?.errcode {
        CODE_BEEN_USED => Some(RECALL_WITHIN),
        INVALID_CODE => Some(Duration::ZERO),
        _ => None,
    }
}

/// Looks for the session of a code, once at least and until `until`; not much longer once the code's row is there.
async fn recall(
    logins: &Logins,
    app: &App,
    code: &LoginCode,
    mut until: Deadline,
    deadline: Deadline,
) -> Result<Option<Login>, StoreError> {
    let mut code_was_there = false;
    let mut longest = FIRST_PAUSE;
    loop {
        match logins.recall(&app.app_id, code, deadline).await? {
            Some(Recalled::Live(login)) => return Ok(Some(*login)),
            Some(Recalled::Expired) => return Ok(None),
            Some(Recalled::NoSession) if !code_was_there => {
                code_was_there = true;
                until = until.at_most(VISIBLE_WITHIN);
            }
            Some(Recalled::NoSession) | None => {}
        }
        let pause = random::jitter(longest);
        if until.left() <= pause {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        longest = (longest * 2).min(LONGEST_PAUSE);
    }
}
