//! Cards that may be signed, and the codes that were given out for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Table, Transaction, Write};
use super::users::UserId;
use crate::clock::{Clock, Timestamp};
use crate::deadline::Deadline;
use crate::random;

/// How long an instance goes by what it has read of a card.
const KEPT: Duration = Duration::from_secs(60);

const APP_ID: &str = "appId";
const CODE: &str = "code";
const CODES: &str = "codes";

/// A card that may be signed.
#[derive(Clone, Debug)]
pub struct Card {
    id: String,
    /// The official account that owns it, if the item names one.
    pub app_id: Option<String>,
    /// Who chooses the code.
    pub codes: Codes,
}

/// Who chooses the code of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// The client.
    Client,
    /// This backend: one for each user.
    Server,
    /// WeChat: the signature is without one.
    Wechat,
}

/// The cards in a table.
#[derive(Debug)]
pub struct Cards {
    table: Table,
    clock: Clock,
    kept: Mutex<HashMap<String, (Card, Timestamp)>>,
}

impl Cards {
    /// The cards in a table.
    pub fn new(table: Table, clock: Clock) -> Self {
        Self { table, clock, kept: Mutex::default() }
    }

    /// The card with that id, as it was at most a minute ago.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or the item is no card.
    pub async fn find(&self, card_id: &str, deadline: Deadline) -> Result<Option<Card>, StoreError> {
        let now = self.clock.timestamp();
        let is_young = |(_, read_at): &&(Card, Timestamp)| now.secs_since(*read_at) < KEPT.as_secs();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(card_id).filter(is_young).cloned();
        if let Some((card, _)) = kept {
            return Ok(Some(card));
        }
        let Some(row) = self.table.get(&card_key(card_id), deadline).await? else { return Ok(None) };
        let card = read(card_id, &row)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(card_id.to_owned(), (card.clone(), now));
        Ok(Some(card))
    }

    /// The code of a user for a card whose codes we give out: always the same one.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn code(&self, card: &Card, user: &UserId, deadline: Deadline) -> Result<String, StoreError> {
        let key = code_key(card, user);
        loop {
            if let Some(row) = self.table.get(&key, deadline).await? {
                return row.str(CODE).map(str::to_owned);
            }
            let (code, now) = (new_code(), self.clock.timestamp());
            let row = Item::new(key.clone()).with_str(CODE, &code).with_time(attr::CREATED_AT, now);
            match self.table.transact(vec![Write::Create(row)], deadline).await? {
                Transaction::Committed => return Ok(code),
                Transaction::ConditionFailed(_) => {} // Somebody else was faster: that one's code counts.
            }
        }
    }
}

/// A code that we give out: 20 digits, with 59 random bits, so that no code can be guessed and no two are alike.
///
/// It is signed as one text with a time of ten digits (see `wechat::card`). The first digit puts it behind the time, and
/// the eleventh sees to it that its second half does not pass for a time behind the first half.
fn new_code() -> String {
    format!("9{}0{}", random::digits(9), random::digits(9))
}

fn read(card_id: &str, row: &Item) -> Result<Card, StoreError> {
    let codes = match row.optional_str(CODES)? {
        None | Some("wechat") => Codes::Wechat,
        Some("server") => Codes::Server,
        Some("client") => Codes::Client,
        Some(_) => return Err(row.corrupt(CODES)),
    };
    let app_id = row.optional_str(APP_ID)?.map(str::to_owned);
    Ok(Card { id: card_id.to_owned(), app_id, codes })
}

fn card_key(card_id: &str) -> Key {
    Key::new(format!("CARD#{card_id}"), "CARD")
}

fn code_key(card: &Card, user: &UserId) -> Key {
    Key::new(user.partition(), format!("CARD#{}", card.id))
}
