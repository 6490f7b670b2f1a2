//! A refund's row, as the table has it.

use super::{NewRefund, Refund, RefundState, Told};
use crate::clock::{Moment, Timestamp};
use crate::fen::Fen;
use crate::secret::Secret;
use crate::store::StoreError;
use crate::store::item::{Item, attr};
use crate::store::orders::{self, HISTORY, MCH_ID, OUT_TRADE_NO, Source};
use crate::store::sweep;
use crate::wechatpay::{MchId, OutRefundNo, OutTradeNo};

const ASKED_AT_MS: &str = "askedAtMs";
const BODY: &str = "body";
const OUT_REFUND_NO: &str = "outRefundNo";
const REFUND_FEN: &str = "refundFen";
const REFUND_ID: &str = "refundId";
/// `status` is a reserved word of DynamoDB's; this is WeChat Pay's other name of it.
const REFUND_STATUS: &str = "refundStatus";
const REQUEST_ID: &str = "requestId";

/// The row of a refund that is to be asked for, by whoever writes it.
pub(super) fn reserved(new: &NewRefund, now: Moment) -> Item {
    let row = row(&new.out_trade_no, &new.mch_id, &new.out_refund_no, new.amount, now)
        .with_str(REFUND_STATUS, RefundState::Reserved.as_str())
        .with_str(REQUEST_ID, &new.request_id)
        .with_str(BODY, new.body.expose())
        .with_number(ASKED_AT_MS, now.as_millis())
        .with_list(HISTORY, [history(RefundState::Reserved, Source::Refund, "request", now)]);
    scheduled(row, &new.out_trade_no, now.as_timestamp())
}

/// The row of a refund that somebody else has asked for.
pub(super) fn told(told: &Told<'_>, now: Moment) -> Item {
    let row = row(told.out_trade_no, told.mch_id, told.out_refund_no, told.amount, now)
        .with_str(REFUND_STATUS, told.state.as_str())
        .with_str(REFUND_ID, told.refund_id)
        .with_list(HISTORY, [history(told.state, told.source, told.why, now)]);
    if told.state.is_settled() { row } else { scheduled(row, told.out_trade_no, now.as_timestamp()) }
}

fn row(order: &OutTradeNo, mch_id: &MchId, refund: &OutRefundNo, amount: Fen, now: Moment) -> Item {
    Item::new(orders::refund_key(order, refund))
        .with_str(OUT_TRADE_NO, order.as_str())
        .with_str(OUT_REFUND_NO, refund.as_str())
        .with_str(MCH_ID, mch_id.as_str())
        .with_number(REFUND_FEN, amount.as_u64())
        .with_time(attr::CREATED_AT, now.as_timestamp())
}

fn scheduled(row: Item, order: &OutTradeNo, now: Timestamp) -> Item {
    sweep::scheduled(row, order, orders::next_refund_query(now, now))
}

pub(super) fn history(state: RefundState, source: Source, why: &str, now: Moment) -> Item {
    orders::event((REFUND_STATUS, state.as_str()), source, why, now)
}

pub(super) fn read(row: &Item) -> Result<Refund, StoreError> {
    let corrupt = |name| move |_| row.corrupt(name);
    Ok(Refund {
        out_trade_no: OutTradeNo::try_from(row.str(OUT_TRADE_NO)?.to_owned()).map_err(corrupt(OUT_TRADE_NO))?,
        out_refund_no: OutRefundNo::try_from(row.str(OUT_REFUND_NO)?.to_owned()).map_err(corrupt(OUT_REFUND_NO))?,
        amount: Fen::new(row.number(REFUND_FEN)?),
        state: RefundState::parse(row.str(REFUND_STATUS)?).ok_or_else(|| row.corrupt(REFUND_STATUS))?,
        request_id: row.optional_str(REQUEST_ID)?.map(str::to_owned),
        body: row.optional_str(BODY)?.map(Secret::new),
        asked_at: row.optional_number(ASKED_AT_MS)?.map(Moment::from_millis),
        created_at: row.time(attr::CREATED_AT)?,
    })
}
