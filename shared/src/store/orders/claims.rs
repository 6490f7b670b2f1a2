//! Idempotency keys: which order a key of a user's stands for.
//!
//! A key is claimed by one conditional write, before anything else happens, with the number that the order is going to
//! have. The transaction that makes the order marks the claim; one that frees the key asks that it is not marked. So
//! whatever crashes or is overtaken in between, a key stands for one number, and a number for one order or none.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Orders;
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::store::item::{Item, Key, attr, number, text};
use crate::store::table::{Change, Changed, Transaction, Write};
use crate::store::users::UserId;
use crate::store::{Corrupt, StoreError};
use crate::wechatpay::OutTradeNo;

/// How long a key stands for its order: longer than any order can be paid.
const KEPT: Duration = Duration::from_secs(24 * 3600);

const CLAIMED_AT_MS: &str = "claimedAtMs";
const HAS_ORDER: &str = "hasOrder";
const OUT_TRADE_NO: &str = "outTradeNo";
const REQUEST_DIGEST: &str = "requestDigest";

/// What was asked for under a key.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest<'a> {
    /// Whose key it is.
    pub user_id: &'a UserId,
    /// The key.
    pub key: &'a str,
    /// Tells requests apart: a digest of what was asked for.
    pub digest: &'a str,
}

/// A key that stands for a number.
#[derive(Clone, Debug)]
pub struct Claim {
    key: Key,
    /// The number that the order has or is going to have.
    pub out_trade_no: OutTradeNo,
    /// Whether the order exists.
    pub has_order: bool,
    /// When the key was claimed.
    pub claimed_at: Moment,
    digest: String,
}

impl Claim {
    /// Whether the key stands for that request.
    pub fn is_of(&self, request: &IdempotentRequest<'_>) -> bool {
        self.digest == request.digest
    }

    /// Marks the claim, as a part of the transaction that makes the order: if it still stands for this number, and there
    /// is no order yet.
    pub(super) fn mark(&self) -> Write {
        let mut values = self.number();
        values.insert(":true".to_owned(), AttributeValue::Bool(true));
        let (update, condition) = ("SET hasOrder = :true", Some(STANDS_WITHOUT_ORDER));
        Write::Update(Change { key: self.key.clone(), update, condition, values })
    }

    fn number(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([text(":outTradeNo", self.out_trade_no.as_str())])
    }
}

const STANDS_WITHOUT_ORDER: &str = "outTradeNo = :outTradeNo AND attribute_not_exists(hasOrder)";

/// How an attempt to claim a key ended.
#[derive(Debug)]
pub enum Claimed {
    /// It is the caller's, as of now.
    Now(Claim),
    /// It stood for a number already.
    Before(Claim),
}

impl Orders {
    /// Claims a key for a new number, unless it stands for one.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn claim(
        &self,
        request: &IdempotentRequest<'_>,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Claimed, StoreError> {
        let (key, out_trade_no) = (key(request), OutTradeNo::random());
        let secs = now.as_timestamp();
        let values = HashMap::from([
            text(":outTradeNo", out_trade_no.as_str()),
            text(":digest", request.digest),
            number(":nowMs", now.as_millis()),
            number(":now", secs.as_secs()),
            number(":expiresAt", (secs + KEPT).as_secs()),
        ]);
        let update = "SET outTradeNo = :outTradeNo, #ttl = :expiresAt, expiresAt = :expiresAt, claimedAtMs = :nowMs, \
                      requestDigest = :digest REMOVE hasOrder";
        let condition = Some("attribute_not_exists(pk) OR expiresAt <= :now");
        match self.table.change(Change { key: key.clone(), update, condition, values }, deadline).await? {
            Changed::Done(row) => Ok(Claimed::Now(read(key, &row)?)),
            Changed::ConditionFailed(Some(row)) => {
                let claim = read(key, &row)?;
                // After a lost answer, the claim has met itself.
                Ok(if claim.out_trade_no == out_trade_no { Claimed::Now(claim) } else { Claimed::Before(claim) })
            }
            Changed::ConditionFailed(None) => Err(Corrupt::of(&key, attr::EXPIRES_AT).into()),
        }
    }

    /// What a key stands for, if anything. Unlike a claim, a read is in nobody's way.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn find_claim(
        &self,
        request: &IdempotentRequest<'_>,
        now: Moment,
        deadline: Deadline,
    ) -> Result<Option<Claim>, StoreError> {
        let key = key(request);
        match self.table.get(&key, deadline).await? {
            Some(row) if !row.is_expired(now.as_timestamp())? => read(key, &row).map(Some),
            _ => Ok(None),
        }
    }

    /// Frees a key for which there is no order. Says whether it is free, and not that of an order meanwhile.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn free(&self, claim: &Claim, deadline: Deadline) -> Result<bool, StoreError> {
        let delete = Write::DeleteIf(claim.key.clone(), STANDS_WITHOUT_ORDER, claim.number());
        match self.table.transact(vec![delete], deadline).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
        }
    }
}

/// Frees the key of an order that ends as if it had not been made, as a part of the transaction that ends it: if the
/// key still stands for that order. Its row stays until another order is made by it, because `create-order` may delete
/// nothing in a transaction that writes orders and products.
pub(super) fn free_again(request: &IdempotentRequest<'_>, out_trade_no: &OutTradeNo, now: Moment) -> Write {
    let values = HashMap::from([
        text(":outTradeNo", out_trade_no.as_str()),
        number(":longAgo", 0),
        number(":now", now.as_timestamp().as_secs()),
    ]);
    let (update, condition) = ("SET expiresAt = :longAgo, #ttl = :now", Some("outTradeNo = :outTradeNo"));
    Write::Update(Change { key: key(request), update, condition, values })
}

fn key(request: &IdempotentRequest<'_>) -> Key {
    Key::new(request.user_id.partition(), format!("IDEMPOTENCY#{}", request.key))
}

fn read(key: Key, row: &Item) -> Result<Claim, StoreError> {
    let out_trade_no = row.str(OUT_TRADE_NO)?.to_owned();
    Ok(Claim {
        key,
        out_trade_no: OutTradeNo::try_from(out_trade_no).map_err(|_| row.corrupt(OUT_TRADE_NO))?,
        has_order: row.is_true(HAS_ORDER)?,
        claimed_at: Moment::from_millis(row.number(CLAIMED_AT_MS)?),
        digest: row.str(REQUEST_DIGEST)?.to_owned(),
    })
}
