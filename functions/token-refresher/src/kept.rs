//! Which tickets are kept fresh by the schedule.

use shared::store::StoreError;
use shared::store::tokens::TokenId;
use shared::wechat::TokenKind;

use crate::refresh::{Refresher, Task};

impl Refresher {
    /// Whether a ticket is kept fresh for the app: one that is listed; and where nothing is said, a `wx_card` that a card
    /// was to be signed with in the last days.
    pub(crate) async fn keeps(&self, task: Task<'_>, ticket: TokenKind) -> Result<bool, StoreError> {
        match &task.app.tickets {
            Some(listed) => Ok(listed.contains(&ticket)),
            None if ticket == TokenKind::WxCard => {
                let id = TokenId { app_id: task.app.app_id.clone(), kind: ticket };
                Ok(self.rows.read(&id, task.deadline).await?.is_wanted(self.clock.moment()))
            }
            None => Ok(false),
        }
    }
}
