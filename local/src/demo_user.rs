//! The demo user, whom the sample events are about. Exists on the local machine only.

use std::sync::Arc;
use std::time::Duration;

use shared::deadline::Deadline;
use shared::env::ConfigError;
use shared::setup::Setup;
use shared::store::{Logins, NewLogin, SessionToken, StoreError};
use shared::wechat::{AppId, Identity, LoginCode, OpenId, SessionKey};

use crate::demo_order::{self, Parties};
use crate::sandbox::DemoUser;
use crate::sdk::SdkTable;

/// A code that is never used up.
pub const DEMO_CODE: &str = "demo-code";

/// A code for the demo user's phone number, which is never used up either.
pub const DEMO_PHONE_CODE: &str = "demo-phone-code";

/// The session_key of the demo user, until the sandbox's control replaces it.
pub const DEMO_SESSION_KEY: &str = "ZGVtby1zZXNzaW9uLWtleQ==";

/// The token of the demo session.
pub const DEMO_TOKEN: &str = "demo-token-which-only-a-local-machine-takes";

/// The openid of the demo user, the same at every start, so that a table that is kept has one demo user.
pub(crate) const DEMO_OPENID: &str = "oDemoUserOfTheLocalMachine_0";

pub(crate) const DEMO_PHONE_NUMBER: &str = "13800138000";
pub(crate) const DEMO_NICK_NAME: &str = "Demo";
pub(crate) const DEMO_AVATAR_URL: &str = "https://thirdwx.qlogo.cn/mmopen/vi_32/demo/132";

/// The sessions of the sample events: the demo user's, and one of somebody else for each event that ends sessions.
const SESSIONS: [(&str, &str); 3] = [
    (DEMO_TOKEN, DEMO_OPENID),
    ("demo-token-for-one-logout-of-a-sample-event", "oDemoUserOfTheLocalMachine_1"),
    ("demo-token-for-one-logout-of-all-my-devices", "oDemoUserOfTheLocalMachine_2"),
];

/// Longer than anybody keeps `cargo dev` running.
const SESSION_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

const WITHIN: Duration = Duration::from_secs(5);

/// Why the demo user could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SeedError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the demo user's code or token has not the form of one")]
    Malformed,
    #[error("the demo order was refused: {0}")]
    Order(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Logs the demo users in, with the tokens that the sample events carry, and writes the demo orders.
pub(crate) async fn seed(setup: &Setup, table: &SdkTable, user: &DemoUser) -> Result<(), SeedError> {
    let sealer = Arc::new(setup.sealer().await?);
    let logins = Logins::new(setup.table()?, sealer, setup.clock().clone(), SESSION_TTL);
    for (token, openid) in SESSIONS {
        let code = LoginCode::try_from(token.to_owned()).map_err(|_| SeedError::Malformed)?;
        let (app_id, openid) = (AppId::new(&user.app_id), OpenId::new(openid));
        let new = NewLogin {
            code: &code,
            identity: &Identity { app_id, openid, unionid: None },
            session_key: Some(&SessionKey::new(&user.session_key)),
            token: SessionToken::parse(token).ok_or(SeedError::Malformed)?,
        };
        let login = logins.login(&new, Deadline::after(WITHIN)).await?;
        if token == DEMO_TOKEN {
            let (merchant, notify_url) = (setup.merchant().await?, setup.notify_url()?);
            let parties = Parties {
                user_id: &login.user.id,
                openid: &new.identity.openid,
                app_id: &new.identity.app_id,
                mch_id: merchant.mch_id(),
                notify_url: &notify_url,
            };
            demo_order::seed(table, &parties, setup.clock().timestamp()).await.map_err(SeedError::Order)?;
        }
    }
    Ok(())
}
