#![doc = include_str!("../README.md")]

mod card_ext;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::http::{Call, HttpFunction};
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::{Card, Cards, Codes, Session, Sessions, Users};
use shared::tokens::Tokens;
use shared::wechat::{AppId, Apps, OfficialAccountId, OpenId, is_card_id};

use crate::card_ext::{BeginTimestamp, CardCode, CardId, Extension, OuterStr};

/// The function `card-ext`.
#[derive(Debug)]
pub struct CardExt {
    sessions: Sessions,
    users: Users,
    cards: Cards,
    tokens: Tokens,
    apps: Apps,
    clock: Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CardExtInput {
    card_id: CardId,
    code: Option<CardCode>,
    openid: Option<bool>,
    outer_str: Option<OuterStr>,
    fixed_begin_timestamp: Option<BeginTimestamp>,
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardExtReply {
    card_id: String,
    card_ext: String,
}

/// An item of the table that is not signed for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an item CARD#.. has a cardId that is no id of WeChat's: 24 characters or more, the first a letter")]
struct NoCardId;

impl HttpFunction for CardExt {
    const NAME: &'static str = "card-ext";
    type Reply = CardExtReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock) = (setup.table()?, setup.clock().clone());
        let (apps, sealer) = tokio::try_join!(setup.apps(), setup.sealer())?;
        let sealer = Arc::new(sealer);
        let tokens = setup.tokens(table.clone(), Arc::clone(&sealer))?;
        let (users, cards) = (Users::new(table.clone(), sealer), Cards::new(table.clone(), clock.clone()));
        Ok(Self { sessions: Sessions::new(table, clock.clone()), users, cards, tokens, apps, clock })
    }

    async fn call(&self, call: &Call) -> Result<CardExtReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let input: CardExtInput = call.input()?;
        let card = self.cards.find(input.card_id.as_str(), call.deadline()).await?;
        let card = card.ok_or_else(|| ApiError::new(ErrorCode::CardUnknown))?;
        if !is_card_id(input.card_id.as_str()) {
            return Err(ApiError::new(ErrorCode::Misconfigured).with_source(NoCardId));
        }
        let code = self.code(call, &session, &card, input.code).await?;
        // That no such account is configured is nothing that a client could mend.
        let account = self.apps.official_account(card.app_id.as_deref());
        let account = account.ok_or_else(|| no_account(&card))?;
        let openid = match input.openid {
            Some(true) => Some(self.openid(call, &session, &account).await?),
            Some(false) | None => None,
        };
        let ticket = self.tokens.wx_card(&account, call.deadline()).await;
        let ticket = ticket.map_err(|err| ApiError::from(err).of_app(account.as_app_id()))?;
        let extension = Extension {
            card_id: &input.card_id,
            code: code.as_deref(),
            openid: openid.as_ref(),
            outer_str: input.outer_str.as_ref(),
            fixed_begin_timestamp: input.fixed_begin_timestamp,
        };
        let card_ext = extension.sign(&ticket, self.clock.timestamp());
        Ok(CardExtReply { card_id: input.card_id.as_str().to_owned(), card_ext })
    }
}

/// The card's own account, or any where it names none, is not configured.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the official account of the card is not in WECHAT_APPS")]
struct NoAccount;

fn no_account(card: &Card) -> ApiError {
    let err = ApiError::new(ErrorCode::Misconfigured).with_source(NoAccount);
    match &card.app_id {
        Some(app_id) => err.of_app(&AppId::new(app_id)),
        None => err,
    }
}

impl CardExt {
    /// The code that the card's rule demands.
    async fn code(
        &self,
        call: &Call,
        session: &Session,
        card: &Card,
        code: Option<CardCode>,
    ) -> Result<Option<String>, ApiError> {
        match (card.codes, code) {
            (Codes::Wechat, None) => Ok(None),
            (Codes::Server, None) => Ok(Some(self.cards.code(card, &session.user_id, call.deadline()).await?)),
            (Codes::Client, Some(code)) => Ok(Some(code.into())),
            (Codes::Client, None) => Err(ApiError::invalid_request("missing field `code`, which this card needs")),
            (Codes::Wechat | Codes::Server, Some(_)) => {
                Err(ApiError::invalid_request("field `code` is not the client's to choose for this card"))
            }
        }
    }

    /// The caller within the official account: known from this session, or because the same user has logged in there.
    async fn openid(&self, call: &Call, session: &Session, account: &OfficialAccountId) -> Result<OpenId, ApiError> {
        if session.app_id == *account.as_app_id() {
            return Ok(session.openid.clone());
        }
        let openid = self.users.openid(&session.user_id, account.as_app_id(), call.deadline()).await?;
        openid.ok_or_else(|| ApiError::new(ErrorCode::OpenidUnknown))
    }
}
