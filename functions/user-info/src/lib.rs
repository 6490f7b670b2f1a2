#![doc = include_str!("../README.md")]

mod profile;
mod wechat_profile;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::conflict;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::http::{Call, HttpFunction};
use shared::seal::Sealer;
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::{Session, Sessions, User, Users};
use shared::wechat::Identity;
use shared::wechat::open_data::{EncryptedData, RawDataSignature};

use crate::profile::{AvatarUrl, NickName};
use crate::wechat_profile::WechatProfile;

/// The function `user-info`.
#[derive(Debug)]
pub struct UserInfo {
    sessions: Sessions,
    users: Users,
    sealer: Arc<Sealer>,
    clock: Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UserInfoInput {
    nick_name: Option<NickName>,
    avatar_url: Option<AvatarUrl>,
    raw_data: Option<String>,
    signature: Option<String>,
    encrypted_data: Option<String>,
    iv: Option<String>,
}

/// What a client may ask for.
enum Request {
    /// To see the profile, or to set what is given of it.
    Set(Option<NickName>, Option<AvatarUrl>),
    /// To take over what WeChat says.
    Take(WechatProfile),
}

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
        let (table, clock) = (setup.table()?, setup.clock().clone());
        let sealer = Arc::new(setup.sealer().await?);
        let users = Users::new(table.clone(), Arc::clone(&sealer));
        Ok(Self { sessions: Sessions::new(table, clock.clone()), users, sealer, clock })
    }

    async fn call(&self, call: &Call) -> Result<UserInfoReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let user = match Request::try_from(call.input::<UserInfoInput>()?)? {
            Request::Set(nick_name, avatar_url) => self.set(call, &session, nick_name, avatar_url).await?,
            Request::Take(profile) => self.take(call, &session, &profile).await?,
        };
        Ok(UserInfoReply { user: Profile::from(user) })
    }
}

impl UserInfo {
    async fn set(
        &self,
        call: &Call,
        session: &Session,
        nick_name: Option<NickName>,
        avatar_url: Option<AvatarUrl>,
    ) -> Result<User, ApiError> {
        let (nick_name, avatar_url) =
            (nick_name.as_ref().map(NickName::expose), avatar_url.as_ref().map(AvatarUrl::expose));
        let user = self.users.set_profile(&session.user_id, nick_name, avatar_url, call.deadline()).await?;
        // A session outlives its user only where somebody deleted the user by hand.
        user.ok_or_else(|| ApiError::new(ErrorCode::SessionInvalid))
    }

    async fn take(&self, call: &Call, session: &Session, profile: &WechatProfile) -> Result<User, ApiError> {
        session.mini_program().ok_or_else(|| ApiError::new(ErrorCode::WrongAppKind))?;
        let stale = || ApiError::new(ErrorCode::SessionKeyStale);
        let key = session.session_key(&self.sealer).ok_or_else(stale)?;
        let info = profile.open(&key, session).ok_or_else(stale)?;
        let (nick_name, avatar_url) = info.shown();
        let mut user = self.set(call, session, nick_name, avatar_url).await?;
        let unionid = info.unionid().filter(|unionid| user.unionid.as_ref() != Some(unionid));
        if unionid.is_some() {
            let identity = Identity { app_id: session.app_id.clone(), openid: session.openid.clone(), unionid };
            let conflict = self.users.link(&mut user, &identity, self.clock.timestamp(), call.deadline()).await?;
            conflict::report(call, &user.id, conflict.as_ref());
        }
        Ok(user)
    }
}

impl TryFrom<UserInfoInput> for Request {
    type Error = ApiError;

    fn try_from(input: UserInfoInput) -> Result<Self, ApiError> {
        let UserInfoInput { nick_name, avatar_url, raw_data, signature, encrypted_data, iv } = input;
        if raw_data.is_none() && signature.is_none() && encrypted_data.is_none() && iv.is_none() {
            return Ok(Self::Set(nick_name, avatar_url));
        }
        if nick_name.is_some() || avatar_url.is_some() {
            let message = "field `rawData` and what goes with it go without `nickName` and `avatarUrl`";
            return Err(ApiError::invalid_request(message));
        }
        let given = |field: Option<String>, name| {
            field.ok_or_else(|| ApiError::invalid_request(format!("missing field `{name}`")))
        };
        let (raw_data, signature) = (given(raw_data, "rawData")?, given(signature, "signature")?);
        let (encrypted_data, iv) = (given(encrypted_data, "encryptedData")?, given(iv, "iv")?);
        let signature = RawDataSignature::parse(&signature)?;
        let data = EncryptedData::parse(&encrypted_data, &iv)?;
        Ok(Self::Take(WechatProfile { raw_data, signature, data }))
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
