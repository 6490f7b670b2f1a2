//! What WeChat Pay has signed and we cannot place: kept for a person to look at.

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Table, Write};
use crate::clock::Timestamp;
use crate::deadline::Deadline;

/// What is kept.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// Names it: kept once, however often it comes.
    pub id: &'a str,
    /// Why it could not be placed.
    pub reason: &'static str,
    /// What kind of event it is.
    pub event_type: &'a str,
    /// The order's number that it names, if any.
    pub out_trade_no: Option<&'a str>,
    /// The payment's number that it names, if any.
    pub transaction_id: Option<&'a str>,
    /// The bytes that came, with what is personal in them encrypted by WeChat Pay.
    pub body: Option<&'a [u8]>,
}

/// The quarantine in a table: one partition, because nothing but what WeChat Pay has signed gets there.
#[derive(Clone, Debug)]
pub struct Quarantine {
    table: Table,
}

impl Quarantine {
    /// The quarantine in a table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Keeps what cannot be placed. Returns once it is there.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn keep(&self, evidence: &Evidence<'_>, now: Timestamp, deadline: Deadline) -> Result<(), StoreError> {
        let row = Item::new(Key::new("QUARANTINE".to_owned(), format!("EVENT#{}", evidence.id)))
            .with_str("reason", evidence.reason)
            .with_str("eventType", evidence.event_type)
            .with_time(attr::CREATED_AT, now);
        let texts = [("outTradeNo", evidence.out_trade_no), ("transactionId", evidence.transaction_id)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let row = texts.fold(row, |row, (name, text)| row.with_str(name, text));
        let row = match evidence.body {
            Some(body) => row.with_bytes("body", body.to_vec()),
            None => row,
        };
        // The row that is there already was made of the same event.
        self.table.transact(vec![Write::Create(row)], deadline).await.map(|_| ())
    }
}
