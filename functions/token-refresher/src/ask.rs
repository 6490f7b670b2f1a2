//! What WeChat is asked for: a token, or a ticket, which takes a token.

use shared::store::tokens::protocol::Want;
use shared::wechat::errcode::{self, Class};
use shared::wechat::{Issued, TokenKind, TokenValue, WechatClient, WechatError};

use crate::refresh::{RefreshError, Refresher, Task};

/// What WeChat is asked for, by whoever has the lease.
pub(crate) trait Ask: Sync {
    fn ask(&self, task: Task<'_>) -> impl Future<Output = Result<Issued, AskError>> + Send;
}

/// Why WeChat gave nothing.
pub(crate) enum AskError {
    /// A ticket has no token.
    Token(RefreshError),
    Wechat(WechatError),
}

/// The access token of an app.
pub(crate) struct AskToken<'a>(pub(crate) &'a WechatClient);

impl Ask for AskToken<'_> {
    async fn ask(&self, task: Task<'_>) -> Result<Issued, AskError> {
        self.0.stable_token(task.app, task.deadline).await.map_err(AskError::Wechat)
    }
}

/// A ticket of an official account.
pub(crate) struct AskTicket<'a> {
    pub(crate) refresher: &'a Refresher,
    pub(crate) kind: TokenKind,
    pub(crate) want: &'a Want,
}

impl Ask for AskTicket<'_> {
    /// With the app's token, and once more with another one if WeChat refuses that.
    async fn ask(&self, task: Task<'_>) -> Result<Issued, AskError> {
        let token = self.token(task, Want::Usable).await.map_err(AskError::Token)?;
        match self.refresher.wechat.getticket(&token, self.kind, task.deadline).await {
            Err(err) if is_about_token(&err) => {
                let other = self.token(task, Want::Other(token.hash())).await.map_err(AskError::Token)?;
                self.refresher.wechat.getticket(&other, self.kind, task.deadline).await
            }
            outcome => outcome,
        }
        .map_err(AskError::Wechat)
    }
}

impl AskTicket<'_> {
    /// A person who asks for a ticket asks for the token as well, where an earlier failure of that stands in the way.
    async fn token(&self, task: Task<'_>, want: Want) -> Result<TokenValue, RefreshError> {
        let Want::Anew { .. } = self.want else { return Ok(self.refresher.token(task, &want).await?.held.value) };
        let since = self.refresher.version(task, TokenKind::AccessToken).await?;
        let token = match self.refresher.token(task, &want).await {
            Err(RefreshError::Stopped(_)) if self.refresher.version(task, TokenKind::AccessToken).await? == since => {
                self.refresher.token(task, &Want::Anew { since }).await
            }
            token => token,
        };
        Ok(token?.held.value)
    }
}

/// Whether WeChat refuses the token that a ticket was asked for with.
fn is_about_token(err: &WechatError) -> bool {
    err.refusal().is_some_and(|refusal| errcode::class(refusal.errcode) == Class::Credential)
}
