#![doc = include_str!("../README.md")]

mod login;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::conflict;
use shared::egress::EgressIps;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::http::{Call, HttpFunction};
use shared::quota::{self, PerMinute};
use shared::setup::Setup;
use shared::store::{self, Logins};
use shared::wechat::{App, AppKind, Apps, LoginCode, WechatClient};

use crate::login::LoginError;

/// The function `login`.
#[derive(Debug)]
pub struct Login {
    apps: Apps,
    wechat: WechatClient,
    logins: Logins,
    egress_ips: EgressIps,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LoginInput {
    code: LoginCode,
    app_id: Option<String>,
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginReply {
    token: String,
    expires_in: u64,
    user: LoginUser,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginUser {
    id: String,
    is_new: bool,
    has_union_id: bool,
    phone_number: Option<String>,
}

impl HttpFunction for Login {
    const NAME: &'static str = "login";
    type Reply = LoginReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        // WeChat first, because it is asked first and is far away. The user is read beside the write.
        let (wechat, table, ttl) = (setup.wechat()?, setup.table_with_connections(2)?, setup.session_ttl()?);
        let (apps, sealer) = tokio::try_join!(setup.apps(), setup.sealer())?;
        let logins = Logins::new(table, Arc::new(sealer), setup.clock().clone(), ttl);
        Ok(Self { apps, wechat, logins, egress_ips: setup.egress_ips()? })
    }

    async fn call(&self, call: &Call) -> Result<LoginReply, ApiError> {
        let input: LoginInput = call.input()?;
        let app = self.app(input.app_id.as_deref())?;
        let login = match login::login(&self.wechat, &self.logins, app, &input.code, call.deadline()).await {
            Ok(login) => login,
            Err(LoginError::Snapshot) => return Err(ApiError::new(ErrorCode::LoginCodeInvalid)),
            Err(LoginError::Store(err)) => return Err(err.into()),
            Err(LoginError::Wechat(err)) => {
                self.egress_ips.report(call.function(), call.request_id(), &app.app_id, &err);
                quota::report(call.function(), call.request_id(), &app.app_id, &err, per_minute(app.kind));
                return Err(ApiError::from_wechat(err, ErrorCode::LoginCodeInvalid).of_app(&app.app_id));
            }
        };
        conflict::report(call, &login.user.id, login.conflict.as_ref());
        Ok(LoginReply::from(login))
    }
}

impl Login {
    fn app(&self, app_id: Option<&str>) -> Result<&App, ApiError> {
        let app = match app_id {
            Some(id) => self.apps.find(id).ok_or("field `appId` is not an app of this backend"),
            None => self.apps.default_app().ok_or("field `appId` is missing, and there is no mini program"),
        };
        app.map_err(ApiError::invalid_request)
    }
}

/// Source: "Mini program login" (45011: 100 a minute for each user); OAuth has 50000 a minute for all.
const fn per_minute(kind: AppKind) -> PerMinute {
    match kind {
        AppKind::MiniProgram => PerMinute::OfUser,
        AppKind::MobileApp | AppKind::OfficialAccount => PerMinute::OfApp,
    }
}

impl From<store::Login> for LoginReply {
    fn from(login: store::Login) -> Self {
        let user = LoginUser {
            id: login.user.id.as_str().to_owned(),
            is_new: login.is_new,
            has_union_id: login.user.unionid.is_some(),
            phone_number: login.user.phone_number.map(|number| number.expose().to_owned()),
        };
        Self { token: login.token.expose().to_owned(), expires_in: login.expires_in_secs, user }
    }
}
