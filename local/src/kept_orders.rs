//! The orders and refunds of a table that was kept: the sandbox that made them is gone, and the next one has to know
//! them.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::clock::Timestamp;

use crate::machine::StartError;
use crate::sdk::SdkTable;

/// What a table has of what WeChat Pay knows.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) orders: Vec<KeptOrder>,
    pub(crate) refunds: Vec<KeptRefund>,
}

/// What a table has of a refund.
#[derive(Debug)]
pub(crate) struct KeptRefund {
    pub(crate) out_trade_no: String,
    pub(crate) out_refund_no: String,
    pub(crate) refund_id: Option<String>,
    pub(crate) refund_fen: u64,
    /// WeChat Pay's, or another one while WeChat Pay has not been asked.
    pub(crate) status: String,
    pub(crate) created_at: Timestamp,
}

/// What a table has of an order.
#[derive(Debug)]
pub(crate) struct KeptOrder {
    /// What WeChat Pay was sent.
    pub(crate) prepay_body: String,
    pub(crate) prepay_id: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) closed: bool,
    /// The transaction's id, and when it was.
    pub(crate) payment: Option<(String, Timestamp)>,
}

/// Reads all of them.
///
/// # Errors
///
/// If the table cannot be read.
pub(crate) async fn read(table: &SdkTable) -> Result<Kept, StartError> {
    let scan = table.client().scan().table_name(table.name());
    let scan = scan.filter_expression("begins_with(pk, :order) AND (sk = :order_row OR begins_with(sk, :refund))");
    let values = [(":order", "ORDER#"), (":order_row", "ORDER"), (":refund", "REFUND#")];
    let values = values.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned())));
    let scan = scan.set_expression_attribute_values(Some(values.into()));
    let rows: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
    let rows = rows.map_err(|err| StartError::table(table.name(), err.code()))?;
    Ok(Kept { orders: rows.iter().filter_map(order).collect(), refunds: rows.iter().filter_map(refund).collect() })
}

/// `None` for what is no refund.
fn refund(row: &HashMap<String, AttributeValue>) -> Option<KeptRefund> {
    let text = |name: &str| row.get(name)?.as_s().ok().cloned();
    let number = |name: &str| row.get(name)?.as_n().ok()?.parse().ok();
    Some(KeptRefund {
        out_trade_no: text("outTradeNo")?,
        out_refund_no: text("outRefundNo")?,
        refund_id: text("refundId"),
        refund_fen: number("refundFen")?,
        status: text("refundStatus")?,
        created_at: Timestamp::from_secs(number("createdAt")?),
    })
}

/// `None` for what is no order.
fn order(row: &HashMap<String, AttributeValue>) -> Option<KeptOrder> {
    let text = |name: &str| row.get(name)?.as_s().ok().cloned();
    let time = |name: &str| row.get(name)?.as_n().ok()?.parse().ok().map(Timestamp::from_secs);
    Some(KeptOrder {
        prepay_body: text("prepayBody")?,
        prepay_id: text("prepayId"),
        created_at: time("createdAt")?,
        closed: text("tradeState")? == "CLOSED",
        payment: text("transactionId").zip(time("paidAt")),
    })
}
