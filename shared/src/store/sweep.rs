//! The index of what WeChat Pay has to be asked about: orders that are not paid, and refunds that are not settled.
//!
//! It is sparse: a row is in it while it has both attributes. It finds; what decides is the row itself, which is changed
//! on the condition that nobody else was faster. So it does no harm that an index of DynamoDB is behind its table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ring::digest::{SHA256, digest};

use super::StoreError;
use super::item::{Item, attr, number};
use super::orders;
use super::table::{Change, Changed, Page, Table};
use crate::cause;
use crate::clock::{Moment, Timestamp};
use crate::deadline::Deadline;
use crate::wechatpay::{OutRefundNo, OutTradeNo};

/// The index's name.
pub const INDEX: &str = "sweep";
/// Its keys, numbers both: the partition's, and the one it is sorted by.
pub const KEYS: [&str; 2] = [SHARD, AT_MS];
/// What it has beside the keys.
pub const PROJECTED: [&str; 2] = [attr::CREATED_AT, orders::TIME_EXPIRE];

const SHARD: &str = "sweepShard";
const AT_MS: &str = "sweepAtMs";
/// Who took the last turn: another text each time.
const SWEPT_BY: &str = "sweptBy";

/// The parts of the index. A partition takes a thousand writes a second, and an order writes to it three to ten times.
pub const SHARDS: u8 = 16;

/// Rows that are read at once.
const PAGE: i32 = 100;

/// What the index has.
#[derive(Debug)]
pub struct Sweep {
    table: Table,
}

/// Something that WeChat Pay has to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The order, or the order of the refund.
    pub out_trade_no: OutTradeNo,
    /// The refund, if it is about one.
    pub out_refund_no: Option<OutRefundNo>,
    /// From when it is to be asked about.
    pub at: Moment,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when the order can be paid, if it is about one.
    pub time_expire: Option<Timestamp>,
}

/// Where a page begins.
#[derive(Debug, Default)]
pub struct Start(Option<HashMap<String, AttributeValue>>);

/// One page of a shard, in the order of `at`, and where the next one begins, if there is one. What cannot be read is
/// counted.
#[derive(Debug)]
pub struct DuePage {
    /// What is due.
    pub due: Vec<Due>,
    /// Rows that are not as they should be.
    pub unreadable: u32,
    /// Where the next one begins.
    pub next: Option<Start>,
}

impl Sweep {
    /// The index of a table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Moves something nearer that was moved on, because there was no answer. What is sooner, or not in the index any more,
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn sooner(&self, due: &Due, at: Moment, deadline: Deadline) -> Result<(), StoreError> {
        let key = match &due.out_refund_no {
            None => orders::key(&due.out_trade_no),
            Some(refund) => orders::refund_key(&due.out_trade_no, refund),
        };
        let values = HashMap::from([number(":at", at.as_millis())]);
        let change = Change { key, update: "SET sweepAtMs = :at", condition: Some("sweepAtMs > :at"), values };
        self.table.change(change, deadline).await.map(|_| ())
    }

    /// What of a shard is due at `until`, or all of it.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or has no such index.
    pub async fn page(
        &self,
        shard: u8,
        until: Option<Moment>,
        start: Start,
        deadline: Deadline,
    ) -> Result<DuePage, StoreError> {
        let mut values = HashMap::from([number(":shard", shard.into())]);
        let mut keys = "sweepShard = :shard";
        if let Some(until) = until {
            keys = "sweepShard = :shard AND sweepAtMs <= :until";
            values.extend([number(":until", until.as_millis())]);
        }
        let page = Page { index: INDEX, keys, values, start: start.0, limit: PAGE };
        let (items, next) = self.table.page(page, deadline).await.map_err(|err| match err {
            // DynamoDB has no code of its own for that.
            StoreError::Refused(code) => StoreError::Misconfigured(format!("{code}; is there the index {INDEX}?")),
            err => err,
        })?;
        let mut due = Vec::with_capacity(items.len());
        for item in &items {
            match read(item) {
                Ok(it) => due.push(it),
                Err(err) => {
                    let key = item.key().map(|key| format!("{} {}", key.pk(), key.sk())).unwrap_or_default();
                    tracing::error!(key, cause = cause::chain(&err), "a row of the sweep's index is unreadable");
                }
            }
        }
        let unreadable = u32::try_from(items.len() - due.len()).unwrap_or(u32::MAX);
        Ok(DuePage { due, unreadable, next: next.map(|next| Start(Some(next))) })
    }
}

/// Puts a row into the index.
pub(super) fn scheduled(row: Item, order: &OutTradeNo, at: Moment) -> Item {
    row.with_number(SHARD, shard(order).into()).with_number(AT_MS, at.as_millis())
}

/// The shard of an order and its refunds.
pub(super) fn shard(order: &OutTradeNo) -> u8 {
    let digest = digest(&SHA256, order.as_str().as_bytes());
    digest.as_ref().first().map_or(0, |byte| byte % SHARDS)
}

/// The row whose turn the caller has taken by `token`, whatever it was told: sent again after a lost answer, a change
/// meets itself.
pub(super) fn own_turn(changed: Changed, token: &str) -> Result<Option<Item>, StoreError> {
    let row = match changed {
        Changed::Done(row) => return Ok(Some(row)),
        Changed::ConditionFailed(row) => row,
    };
    let is_own = |row: &Item| Ok::<_, StoreError>(row.optional_str(SWEPT_BY)? == Some(token));
    row.map(|row| Ok(is_own(&row)?.then_some(row))).transpose().map(Option::flatten)
}

fn read(item: &Item) -> Result<Due, StoreError> {
    let key = item.key()?;
    let (out_trade_no, out_refund_no) = orders::numbers(&key).ok_or_else(|| item.corrupt(attr::SK))?;
    Ok(Due {
        out_trade_no,
        out_refund_no,
        at: Moment::from_millis(item.number(AT_MS)?),
        created_at: item.time(attr::CREATED_AT)?,
        time_expire: item.optional_number(orders::TIME_EXPIRE)?.map(Timestamp::from_secs),
    })
}
