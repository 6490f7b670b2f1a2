//! The orders of a table that was kept: the sandbox that made them is gone, and the next one has to know them.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::clock::Timestamp;

use crate::machine::StartError;
use crate::sdk::SdkTable;

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
pub(crate) async fn read(table: &SdkTable) -> Result<Vec<KeptOrder>, StartError> {
    let scan = table.client().scan().table_name(table.name()).filter_expression("sk = :order");
    let scan = scan.expression_attribute_values(":order", AttributeValue::S("ORDER".to_owned()));
    let rows: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
    let rows = rows.map_err(|err| StartError::Table {
        name: table.name().to_owned(),
        problem: err.code().unwrap_or("no answer").to_owned(),
    })?;
    Ok(rows.iter().filter_map(order).collect())
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
