//! An order, as the table has it.

use super::{OrderState, Payment};
use crate::clock::{Moment, Timestamp};
use crate::fen::Fen;
use crate::secret::Secret;
use crate::store::{Sku, UserId};
use crate::wechat::AppId;
use crate::wechatpay::{MchId, OutTradeNo, PrepayId};

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number.
    pub out_trade_no: OutTradeNo,
    /// Whose it is.
    pub user_id: UserId,
    /// The app in which it was made, and is paid.
    pub app_id: AppId,
    /// The merchant that is paid.
    pub mch_id: MchId,
    /// What is to be paid.
    pub total: Fen,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// How it stands.
    pub state: OrderState,
    /// Until when it can be paid.
    pub time_expire: Timestamp,
    /// What WeChat Pay is told of it: always the same bytes. Holds the payer's openid.
    pub prepay_body: Secret,
    /// When somebody last set out to ask for a prepay_id.
    pub prepay_asked_at: Moment,
    /// What the payment begins with, once WeChat Pay has given it.
    pub prepay_id: Option<PrepayId>,
    /// When WeChat Pay was last asked how it stands; long ago, where it is to be asked at once.
    pub queried_at: Option<Moment>,
    /// When WeChat Pay last said that the order was not paid, though its time had passed.
    pub found_unpaid_at: Option<Moment>,
    /// The payment, once we know of it.
    pub payment: Option<Payment>,
    /// Whether WeChat Pay has refused to wait for its payment, and it has ended by that: its key stands for it no more.
    pub prepay_refused: bool,
    /// Whether it was paid after it had been closed: somebody has to refund it.
    pub paid_after_closed: bool,
    /// What is not left for another refund: what has been refunded, and what may still be.
    pub held: Fen,
    /// What has been refunded.
    pub refunded: Fen,
}

/// So many of one product, at the price of the time of the order.
#[derive(Clone, Debug)]
pub struct Line {
    /// The product.
    pub sku: Sku,
    /// What it was called then.
    pub name: String,
    /// What one cost then.
    pub price: Fen,
    /// How many.
    pub quantity: u64,
    /// Whether they were taken from a stock.
    pub is_limited: bool,
}

/// An order to be made.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as those of `Order`")]
pub struct NewOrder {
    pub out_trade_no: OutTradeNo,
    pub user_id: UserId,
    pub app_id: AppId,
    pub mch_id: MchId,
    pub total: Fen,
    pub lines: Vec<Line>,
    pub created_at: Timestamp,
    pub time_expire: Timestamp,
    pub prepay_body: Secret,
}
