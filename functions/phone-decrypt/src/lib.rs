#![doc = include_str!("../README.md")]

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::clock::{Clock, Timestamp};
use shared::egress::EgressIps;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::http::{Call, HttpFunction};
use shared::quota::{self, PerMinute};
use shared::seal::Sealer;
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::{Session, Sessions, Users};
use shared::tokens::Tokens;
use shared::wechat::errcode::{INVALID_APPID, INVALID_OPENID, OPENID_MISMATCH};
use shared::wechat::open_data::EncryptedData;
use shared::wechat::{MiniProgramId, PhoneCode, PhoneNumber, WechatClient, WechatError};

/// How far the time of encrypted data may be from now, either way.
const FRESH_WITHIN: Duration = Duration::from_secs(600);

/// What WeChat may not use up, because the table needs it.
const STORE_RESERVE: Duration = Duration::from_secs(2);
/// What the wait for a token may not use up, because the call that it is for needs it.
const CALL_RESERVE: Duration = Duration::from_secs(2);

/// The function `phone-decrypt`.
#[derive(Debug)]
pub struct PhoneDecrypt {
    sessions: Sessions,
    users: Users,
    tokens: Tokens,
    wechat: WechatClient,
    sealer: Arc<Sealer>,
    egress_ips: EgressIps,
    clock: Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PhoneInput {
    code: Option<PhoneCode>,
    encrypted_data: Option<String>,
    iv: Option<String>,
}

/// What a client may send.
enum Source {
    Code(PhoneCode),
    Data(EncryptedData),
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneReply {
    phone_number: String,
    pure_phone_number: String,
    country_code: String,
}

impl HttpFunction for PhoneDecrypt {
    const NAME: &'static str = "phone-decrypt";
    type Reply = PhoneReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (wechat, table, egress_ips) = (setup.wechat()?, setup.table()?, setup.egress_ips()?);
        let (sealer, clock) = (Arc::new(setup.sealer().await?), setup.clock().clone());
        let tokens = setup.tokens(table.clone(), Arc::clone(&sealer))?;
        let users = Users::new(table.clone(), Arc::clone(&sealer));
        Ok(Self { sessions: Sessions::new(table, clock.clone()), users, tokens, wechat, sealer, egress_ips, clock })
    }

    async fn call(&self, call: &Call) -> Result<PhoneReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let source = Source::try_from(call.input::<PhoneInput>()?)?;
        let app = session.mini_program().ok_or_else(|| ApiError::new(ErrorCode::WrongAppKind))?;
        let number = match source {
            Source::Code(code) => self.by_code(call, &session, &app, &code).await?,
            Source::Data(data) => self.by_data(&session, &data)?,
        };
        let user = self.users.set_phone_number(&session.user_id, &number.phone_number, call.deadline()).await?;
        // A session outlives its user only where somebody deleted the user by hand.
        user.map(|_| PhoneReply::from(number)).ok_or_else(|| ApiError::new(ErrorCode::SessionInvalid))
    }
}

impl PhoneDecrypt {
    async fn by_code(
        &self,
        call: &Call,
        session: &Session,
        app: &MiniProgramId,
        code: &PhoneCode,
    ) -> Result<PhoneNumber, ApiError> {
        let deadline = call.deadline().leaving(STORE_RESERVE);
        let ask = async |token| self.wechat.getuserphonenumber(&token, code, &session.openid, deadline).await;
        let answer = self.tokens.with_access_token(app, deadline.leaving(CALL_RESERVE), ask).await;
        let answer = answer.map_err(|err| ApiError::from(err).of_app(app.as_app_id()))?;
        answer.map_err(|err| {
            self.egress_ips.report(call.function(), call.request_id(), &session.app_id, &err);
            quota::report(call.function(), call.request_id(), &session.app_id, &err, PerMinute::OfApp);
            refusal(err).of_app(app.as_app_id())
        })
    }

    fn by_data(&self, session: &Session, data: &EncryptedData) -> Result<PhoneNumber, ApiError> {
        let stale = || ApiError::new(ErrorCode::SessionKeyStale);
        let key = session.session_key(&self.sealer).ok_or_else(stale)?;
        let opened = data.open::<PhoneNumber>(&key).ok_or_else(stale)?;
        let is_ours = opened.watermark.appid == session.app_id;
        let is_fresh = is_near(opened.watermark.timestamp(), self.clock.timestamp());
        if is_ours && is_fresh { Ok(opened.data) } else { Err(stale()) }
    }
}

fn is_near(time: Timestamp, now: Timestamp) -> bool {
    time.secs_since(now).max(now.secs_since(time)) <= FRESH_WITHIN.as_secs()
}

/// WeChat names the appid where the code is of another mini program than the token, and may name the openid where it is
/// of another user.
fn refusal(err: WechatError) -> ApiError {
    let of_another = [INVALID_APPID, INVALID_OPENID, OPENID_MISMATCH];
    let is_of_another = err.refusal().is_some_and(|refusal| of_another.contains(&refusal.errcode));
    let this = ApiError::from_wechat(err, ErrorCode::PhoneCodeInvalid);
    if is_of_another { ApiError { refusal: this.refusal, ..ApiError::new(ErrorCode::PhoneCodeInvalid) } } else { this }
}

impl TryFrom<PhoneInput> for Source {
    type Error = ApiError;

    fn try_from(input: PhoneInput) -> Result<Self, ApiError> {
        match (input.code, input.encrypted_data, input.iv) {
            (Some(code), None, None) => Ok(Self::Code(code)),
            (None, Some(data), Some(iv)) => EncryptedData::parse(&data, &iv).map(Self::Data).map_err(ApiError::from),
            (None, None, None) => Err(ApiError::invalid_request("missing field `code`, or `encryptedData` and `iv`")),
            (None, Some(_), None) => Err(ApiError::invalid_request("missing field `iv`")),
            (None, None, Some(_)) => Err(ApiError::invalid_request("missing field `encryptedData`")),
            (Some(_), _, _) => Err(ApiError::invalid_request("field `code` goes without `encryptedData` and `iv`")),
        }
    }
}

impl From<PhoneNumber> for PhoneReply {
    fn from(number: PhoneNumber) -> Self {
        Self {
            phone_number: number.phone_number.expose().to_owned(),
            pure_phone_number: number.pure_phone_number.expose().to_owned(),
            country_code: number.country_code.expose().to_owned(),
        }
    }
}
