//! What WeChat Pay has signed and we cannot place: kept for a person to look at.

use super::StoreError;
use super::item::{Item, Key, attr};
use super::table::{Table, Write};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::wechatpay::Named;

/// What is kept.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// Names it: kept once for each reason, however often it comes.
    pub id: &'a str,
    /// Why it could not be placed.
    pub reason: &'static str,
    /// What kind of event it is.
    pub event_type: &'a str,
    /// What it is about, as far as it says so.
    pub named: &'a Named,
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
        let Evidence { id, reason, event_type, named, body } = evidence;
        let row = Item::new(Key::new("QUARANTINE".to_owned(), format!("EVENT#{id}#{reason}")))
            .with_str("reason", *reason)
            .with_str("eventType", *event_type)
            .with_time(attr::CREATED_AT, now);
        let texts = [
            ("outTradeNo", &named.out_trade_no),
            ("outRefundNo", &named.out_refund_no),
            ("transactionId", &named.transaction_id),
            ("currency", &named.currency),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let row = texts.fold(row, |row, (name, text)| row.with_str(name, text));
        let row = named.total.iter().fold(row, |row, total| row.with_number("totalFen", total.as_u64()));
        let row = body.iter().fold(row, |row, body| row.with_bytes("body", body.to_vec()));
        // The row that is there already was made of the same event, for the same reason.
        self.table.transact(vec![Write::Create(row)], deadline).await.map(|_| ())
    }
}
