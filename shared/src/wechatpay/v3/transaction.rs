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

/// Reads a transaction. An amount that is not whole fen is none: such a trade does not match its order, and the
/// rest of it is told all the same.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fen::Fen;

    fn with(field: &str, value: Value) -> Option<Trade> {
        let mut json = json!({
            "appid": "wx1", "mchid": "1900007291", "out_trade_no": "order-1", "trade_state": "SUCCESS",
            "transaction_id": "42", "amount": { "total": 100, "payer_total": 90, "currency": "CNY" }, "new": [null],
        });
        json[field] = value;
        trade(json.to_string().as_bytes())
    }

    #[test]
    fn an_amount_that_is_not_whole_fen_is_none_and_one_without_a_currency_is_one() {
        let good = with("amount", json!({ "total": 100, "currency": "CNY", "new": {} })).unwrap();
        assert_eq!(good.amount, Some(Amount { total: Fen::new(100), currency: Some("CNY".to_owned()) }));
        let unpaid = with("amount", json!({ "total": 100, "payer_currency": "CNY" })).unwrap();
        assert_eq!(unpaid.amount, Some(Amount { total: Fen::new(100), currency: None }));
        for amount in [
            json!(null),
            json!(100),
            json!([100, "CNY"]),
            json!({}),
            json!({ "total": -100, "currency": "CNY" }),
            json!({ "total": 100.0, "currency": "CNY" }),
            json!({ "total": "100", "currency": "CNY" }),
            json!({ "total": 100, "currency": 1 }),
        ] {
            assert_eq!(with("amount", amount.clone()).unwrap().amount, None, "{amount}");
        }
    }

    #[test]
    fn a_state_to_come_says_nothing_and_breaks_nothing() {
        for (text, state) in [
            ("SUCCESS", TradeState::Success),
            ("REFUND", TradeState::Refund),
            ("NOTPAY", TradeState::NotPay),
            ("CLOSED", TradeState::Closed),
            ("USERPAYING", TradeState::Unknown),
            ("", TradeState::Unknown),
        ] {
            assert_eq!(with("trade_state", json!(text)).unwrap().state, state, "{text}");
        }
        assert_eq!(with("transaction_id", json!("")).unwrap().transaction_id, None);
        assert_eq!(with("transaction_id", json!(null)).unwrap().transaction_id, None);
    }

    #[test]
    fn anything_else_is_no_transaction() {
        for json in ["", "null", "[]", "{}", r#"["wx1","1","order-1","SUCCESS",null,null,null]"#] {
            assert!(trade(json.as_bytes()).is_none(), "{json}");
        }
        assert!(trade(b"\xff").is_none());
        for field in ["appid", "mchid", "out_trade_no", "trade_state"] {
            assert!(with(field, json!(null)).is_none(), "{field}");
        }
    }
}
