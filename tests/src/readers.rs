//! Those who use tokens: many, over several instances, each with clients and memory of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use shared::deadline::Deadline;
use shared::setup::Setup;
use shared::tokens::{TokenError, Tokens};
use shared::wechat::{Apps, MiniProgramId, OfficialAccountId, Refusal, TokenHash, TokenValue, WechatError};

use crate::world::World;

/// As long as a function waits.
const WITHIN: Duration = Duration::from_secs(9);

/// An instance that uses tokens.
#[derive(Debug)]
pub struct Reader {
    /// How long it waits for a token; as long as a function does, if nothing else is said.
    pub within: Duration,
    tokens: Tokens,
    apps: Apps,
}

/// What came of a use: the hash of the token that WeChat took.
pub type Used = Result<TokenHash, TokenError>;

impl Reader {
    /// An instance whose functions are in `world`, and whose Lambda is at `lambda`.
    pub async fn start(world: &World, lambda: &str) -> Self {
        let setup = world.setup([("AWS_ENDPOINT_URL_LAMBDA", lambda)]).without_early_connections();
        Self::from_setup(&setup).await
    }

    async fn from_setup(setup: &Setup) -> Self {
        let sealer = Arc::new(setup.sealer().await.unwrap());
        let tokens = setup.tokens(setup.table().unwrap(), sealer).unwrap();
        Self { within: WITHIN, tokens, apps: setup.apps().await.unwrap() }
    }

    /// The first mini program.
    pub fn mini_program(&self) -> MiniProgramId {
        self.apps.mini_program(self.apps.default_app().unwrap().app_id.as_str()).unwrap()
    }

    /// The first official account.
    pub fn official_account(&self) -> OfficialAccountId {
        self.apps.official_account(None).unwrap()
    }

    /// The api_ticket.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn ticket(&self) -> Result<TokenValue, TokenError> {
        self.tokens.wx_card(&self.official_account(), Deadline::after(self.within)).await
    }

    /// Uses the mini program's access token at a WeChat that takes every token.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn token(&self) -> Used {
        self.use_token(|_| true).await.0
    }

    /// Uses the mini program's access token at a WeChat that takes some tokens, and says how often it was called.
    pub async fn use_token(&self, takes: impl Fn(&TokenHash) -> bool) -> (Used, usize) {
        let calls = AtomicUsize::new(0);
        let call = async |token: TokenValue| {
            calls.fetch_add(1, Ordering::SeqCst);
            if takes(&token.hash()) { Ok(token.hash()) } else { Err(WechatError::Refused(invalid_credential())) }
        };
        let used = self.tokens.with_access_token(&self.mini_program(), Deadline::after(self.within), call).await;
        (used.map(|outcome| outcome.unwrap()), calls.into_inner())
    }
}

fn invalid_credential() -> Refusal {
    Refusal { errcode: 40001, rid: None, seen_ip: None }
}

/// So many instances.
pub async fn instances(world: &World, lambda: &str, count: usize) -> Vec<Reader> {
    join_all((0..count).map(|_| Reader::start(world, lambda))).await
}

/// Uses of the token at the same time, so many by each instance.
pub async fn storm(readers: &[Reader], each: usize, takes: impl Fn(&TokenHash) -> bool + Copy) -> Vec<Used> {
    let uses = readers.iter().flat_map(|reader| std::iter::repeat_n(reader, each));
    join_all(uses.map(|reader| reader.use_token(takes))).await.into_iter().map(|(used, _)| used).collect()
}
