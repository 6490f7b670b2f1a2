#![doc = include_str!("../README.md")]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::http::{Call, HttpFunction};
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::{Sessions, User, Users};

/// The function `user-info`.
#[derive(Debug)]
pub struct UserInfo {
    sessions: Sessions,
    users: Users,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserInfoInput {}

/// The reply.
#[derive(Serialize)]
pub struct UserInfoReply {
    user: Profile,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    id: String,
    nick_name: Option<String>,
    avatar_url: Option<String>,
    has_union_id: bool,
    phone_number: Option<String>,
}

impl HttpFunction for UserInfo {
    const NAME: &'static str = "user-info";
    type Reply = UserInfoReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let table = setup.table()?;
        let users = Users::new(table.clone(), Arc::new(setup.sealer().await?));
        Ok(Self { sessions: Sessions::new(table, setup.clock().clone()), users })
    }

    async fn call(&self, call: &Call) -> Result<UserInfoReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let UserInfoInput {} = call.input()?;
        let user = self.users.find(&session.user_id, call.deadline()).await?;
        // A session outlives its user only where somebody deleted the user by hand.
        let user = user.ok_or_else(|| ApiError::new(ErrorCode::SessionInvalid))?;
        Ok(UserInfoReply { user: Profile::from(user) })
    }
}

impl From<User> for Profile {
    fn from(user: User) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            nick_name: user.nick_name.map(|name| name.expose().to_owned()),
            avatar_url: user.avatar_url.map(|url| url.expose().to_owned()),
            has_union_id: user.unionid.is_some(),
            phone_number: user.phone_number.map(|number| number.expose().to_owned()),
        }
    }
}
