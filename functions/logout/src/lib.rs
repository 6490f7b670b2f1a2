#![doc = include_str!("../README.md")]

use serde::{Deserialize, Serialize};
use shared::env::ConfigError;
use shared::error::ApiError;
use shared::http::{Call, HttpFunction};
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::Sessions;

/// The function `logout`.
#[derive(Debug)]
pub struct Logout {
    sessions: Sessions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutInput {
    all: Option<bool>,
}

/// The reply: an empty object.
#[derive(Debug, Serialize)]
pub struct LogoutReply {}

impl HttpFunction for Logout {
    const NAME: &'static str = "logout";
    type Reply = LogoutReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        Ok(Self { sessions: Sessions::new(setup.table()?, setup.clock().clone()) })
    }

    async fn call(&self, call: &Call) -> Result<LogoutReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let input: LogoutInput = call.input()?;
        match input.all {
            Some(true) => self.sessions.end_all(&session, call.deadline()).await?,
            Some(false) | None => self.sessions.end(&session, call.deadline()).await?,
        }
        Ok(LogoutReply {})
    }
}
