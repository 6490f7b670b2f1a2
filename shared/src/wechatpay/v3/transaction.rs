//! WeChat Pay's transaction object: what a query answers, and what a notification of a payment has in it.

use serde::Deserialize;
use serde_json::Value;

use crate::json::Object;
use crate::wechatpay::{Amount, Trade, TradeState};

/// Source: WeChat Pay v3, "Query an order". Fields that are not here are not of use.
#[derive(Deserialize)]
struct Transaction {
    appid: String,
    mchid: String,
    out_trade_no: String,
    trade_state: String,
    transaction_id: Option<String>,
    success_time: Option<String>,
    amount: Option<Value>,
}

/// Reads a transaction. An amount that is not whole fen of a currency is none: nobody takes such a trade for one that
/// matches its order, and the rest of it is told all the same.
pub(super) fn trade(json: &[u8]) -> Option<Trade> {
    let Object(transaction): Object<Transaction> = serde_json::from_slice(json).ok()?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let amount = transaction.amount.and_then(|amount| serde_json::from_value::<Object<Amount>>(amount).ok());
    Some(Trade {
        app_id: transaction.appid,
        mch_id: transaction.mchid,
        out_trade_no: transaction.out_trade_no,
        state: TradeState::from(transaction.trade_state.as_str()),
        transaction_id: filled(transaction.transaction_id),
        amount: amount.map(|Object(amount)| amount),
        success_time: filled(transaction.success_time),
    })
}
