//! An order's row, as the table has it.

use super::state::OrderState;
use super::{Line, NewOrder, Order, Payment, Source, schedule};
use crate::clock::Moment;
use crate::fen::Fen;
use crate::secret::Secret;
use crate::store::StoreError;
use crate::store::item::{Item, Key, attr};
use crate::store::products::{SKU, read_sku};
use crate::store::sweep;
use crate::store::users::UserId;
use crate::wechat::AppId;
use crate::wechatpay::{MchId, OutRefundNo, OutTradeNo, PrepayId};

const APP_ID: &str = "appId";
const FOUND_UNPAID_AT_MS: &str = "foundUnpaidAtMs";
const HELD_FEN: &str = "heldFen";
const LINES: &str = "lines";
pub(in crate::store) const MCH_ID: &str = "mchId";
pub(in crate::store) const OUT_TRADE_NO: &str = "outTradeNo";
const PAID_AFTER_CLOSED: &str = "paidAfterClosed";
const PAID_AT: &str = "paidAt";
const PREPAY_ASKED_AT_MS: &str = "prepayAskedAtMs";
const PREPAY_BODY: &str = "prepayBody";
const PREPAY_ID: &str = "prepayId";
const PREPAY_REFUSED: &str = "prepayRefused";
const QUERIED_AT_MS: &str = "queriedAtMs";
const REFUNDED_FEN: &str = "refundedFen";
pub(in crate::store) const TIME_EXPIRE: &str = "timeExpire";
const TOTAL_FEN: &str = "totalFen";
pub(super) const TRADE_STATE: &str = "tradeState";
const TRANSACTION_ID: &str = "transactionId";

const IS_LIMITED: &str = "isLimited";
const NAME: &str = "name";
const PRICE_FEN: &str = "priceFen";
const QUANTITY: &str = "quantity";

pub(in crate::store) const HISTORY: &str = "history";
const AT_MS: &str = "atMs";
const BY: &str = "by";
const WHY: &str = "why";

const PARTITION: &str = "ORDER#";
const ORDER: &str = "ORDER";
const REFUND: &str = "REFUND#";

pub(in crate::store) fn key(out_trade_no: &OutTradeNo) -> Key {
    Key::new(format!("{PARTITION}{}", out_trade_no.as_str()), ORDER)
}

/// The key of a refund of an order.
pub(in crate::store) fn refund_key(out_trade_no: &OutTradeNo, out_refund_no: &OutRefundNo) -> Key {
    Key::new(format!("{PARTITION}{}", out_trade_no.as_str()), format!("{REFUND}{}", out_refund_no.as_str()))
}

/// The order whose key it is, or the order and the refund.
pub(in crate::store) fn numbers(key: &Key) -> Option<(OutTradeNo, Option<OutRefundNo>)> {
    let order = OutTradeNo::try_from(key.pk().strip_prefix(PARTITION)?.to_owned()).ok()?;
    if key.sk() == ORDER {
        return Some((order, None));
    }
    let refund = OutRefundNo::try_from(key.sk().strip_prefix(REFUND)?.to_owned()).ok()?;
    Some((order, Some(refund)))
}

/// The row of a new order. Whoever creates it is who asks for the prepay_id. It has no `ttl`: orders are kept.
pub(super) fn write(new: &NewOrder, now: Moment) -> Item {
    let row = Item::new(key(&new.out_trade_no))
        .with_str(OUT_TRADE_NO, new.out_trade_no.as_str())
        .with_str(attr::USER_ID, new.user_id.as_str())
        .with_str(APP_ID, new.app_id.as_str())
        .with_str(MCH_ID, new.mch_id.as_str())
        .with_number(TOTAL_FEN, new.total.as_u64())
        .with_list(LINES, new.lines.iter().map(write_line))
        .with_str(TRADE_STATE, OrderState::NotPay.as_str())
        .with_time(attr::CREATED_AT, new.created_at)
        .with_time(TIME_EXPIRE, new.time_expire)
        .with_str(PREPAY_BODY, new.prepay_body.expose())
        .with_number(PREPAY_ASKED_AT_MS, now.as_millis())
        .with_list(HISTORY, [history(OrderState::NotPay, Source::Create, "order", now)]);
    sweep::scheduled(row, &new.out_trade_no, schedule::next_query(new.created_at, new.time_expire, new.created_at))
}

fn write_line(line: &Line) -> Item {
    let map = Item::map()
        .with_str(SKU, line.sku.as_str())
        .with_str(NAME, &line.name)
        .with_number(PRICE_FEN, line.price.as_u64())
        .with_number(QUANTITY, line.quantity);
    if line.is_limited { map.with_true(IS_LIMITED) } else { map }
}

/// An entry of the history: when, what it is since, by what, why.
pub(super) fn history(state: OrderState, source: Source, why: &str, now: Moment) -> Item {
    event((TRADE_STATE, state.as_str()), source, why, now)
}

/// An entry of any history.
pub(in crate::store) fn event((name, state): (&str, &str), source: Source, why: &str, now: Moment) -> Item {
    Item::map()
        .with_number(AT_MS, now.as_millis())
        .with_str(name, state)
        .with_str(BY, source.as_str())
        .with_str(WHY, why)
}

pub(super) fn read(row: &Item) -> Result<Order, StoreError> {
    let moment = |name| Ok::<_, StoreError>(row.optional_number(name)?.map(Moment::from_millis));
    let corrupt = |name| move |_| row.corrupt(name);
    Ok(Order {
        out_trade_no: OutTradeNo::try_from(row.str(OUT_TRADE_NO)?.to_owned()).map_err(corrupt(OUT_TRADE_NO))?,
        user_id: UserId::new(row.str(attr::USER_ID)?),
        app_id: AppId::new(row.str(APP_ID)?),
        mch_id: MchId::new(row.str(MCH_ID)?),
        total: Fen::new(row.number(TOTAL_FEN)?),
        lines: row.list(LINES, read_line)?,
        state: OrderState::parse(row.str(TRADE_STATE)?).ok_or_else(|| row.corrupt(TRADE_STATE))?,
        time_expire: row.time(TIME_EXPIRE)?,
        prepay_body: Secret::new(row.str(PREPAY_BODY)?),
        prepay_asked_at: moment(PREPAY_ASKED_AT_MS)?.ok_or_else(|| row.corrupt(PREPAY_ASKED_AT_MS))?,
        prepay_id: row.optional_str(PREPAY_ID)?.map(PrepayId::new),
        queried_at: moment(QUERIED_AT_MS)?,
        found_unpaid_at: moment(FOUND_UNPAID_AT_MS)?,
        payment: match row.optional_str(TRANSACTION_ID)? {
            Some(id) => Some(Payment { transaction_id: id.to_owned(), paid_at: row.time(PAID_AT)? }),
            None => None,
        },
        prepay_refused: row.is_true(PREPAY_REFUSED)?,
        paid_after_closed: row.is_true(PAID_AFTER_CLOSED)?,
        held: Fen::new(row.optional_number(HELD_FEN)?.unwrap_or_default()),
        refunded: Fen::new(row.optional_number(REFUNDED_FEN)?.unwrap_or_default()),
    })
}

fn read_line(map: &Item) -> Result<Line, StoreError> {
    Ok(Line {
        sku: read_sku(map)?,
        name: map.str(NAME)?.to_owned(),
        price: Fen::new(map.number(PRICE_FEN)?),
        quantity: map.number(QUANTITY)?,
        is_limited: map.is_true(IS_LIMITED)?,
    })
}
