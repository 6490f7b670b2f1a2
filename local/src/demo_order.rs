//! The demo order, which the sample events of `query-order` and `pay-notify` are about. Exists on the local machine only.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use shared::clock::Timestamp;

use crate::sdk::SdkTable;

/// Its number.
pub const DEMO_ORDER: &str = "demoOrder00000000000000000000001";

const TOTAL_FEN: &str = "100";

/// Longer than anybody keeps `cargo dev` running: in the year 2100.
const TIME_EXPIRE: &str = "4102444800";

/// Whose it is, where, and who is paid.
pub(crate) struct Parties<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) app_id: &'a str,
    pub(crate) mch_id: &'a str,
}

/// Writes the order, unpaid, if it is not there yet. WeChat Pay does not know it.
///
/// # Errors
///
/// The code with which the table refuses it.
pub(crate) async fn seed(table: &SdkTable, parties: &Parties<'_>, now: Timestamp) -> Result<(), String> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    let (secs, millis) = (now.as_secs().to_string(), (now.as_secs() * 1000).to_string());
    let created = HashMap::from([
        ("atMs".to_owned(), number(&millis)),
        ("tradeState".to_owned(), text("NOTPAY")),
        ("by".to_owned(), text("create")),
        ("why".to_owned(), text("demo")),
    ]);
    let line = HashMap::from([
        ("sku".to_owned(), text("demo-sticker")),
        ("name".to_owned(), text("贴纸")),
        ("priceFen".to_owned(), number(TOTAL_FEN)),
        ("quantity".to_owned(), number("1")),
    ]);
    let order = Put::builder()
        .table_name(table.name())
        .condition_expression("attribute_not_exists(pk)")
        .item("pk", text(&format!("ORDER#{DEMO_ORDER}")))
        .item("sk", text("ORDER"))
        .item("outTradeNo", text(DEMO_ORDER))
        .item("userId", text(parties.user_id))
        .item("appId", text(parties.app_id))
        .item("mchId", text(parties.mch_id))
        .item("totalFen", number(TOTAL_FEN))
        .item("lines", AttributeValue::L(vec![AttributeValue::M(line)]))
        .item("tradeState", text("NOTPAY"))
        .item("createdAt", number(&secs))
        .item("timeExpire", number(TIME_EXPIRE))
        .item("prepayBody", text("{}"))
        .item("prepayAskedAtMs", number(&millis))
        .item("history", AttributeValue::L(vec![AttributeValue::M(created)]));
    let open_orders = Update::builder()
        .table_name(table.name())
        .key("pk", text(&format!("USER#{}", parties.user_id)))
        .key("sk", text("ORDERS"))
        .update_expression("ADD openOrders :one")
        .expression_attribute_values(":one", number("1"));
    let incomplete = |_| "an incomplete request".to_owned();
    let order = TransactWriteItem::builder().put(order.build().map_err(incomplete)?).build();
    let open_orders = TransactWriteItem::builder().update(open_orders.build().map_err(incomplete)?).build();
    let write = table.client().transact_write_items().transact_items(order).transact_items(open_orders);
    match write.send().await.map_err(SdkError::into_service_error) {
        Ok(_) => Ok(()),
        Err(TransactWriteItemsError::TransactionCanceledException(canceled)) if is_there(&canceled) => Ok(()),
        Err(err) => Err(err.code().unwrap_or("no answer").to_owned()),
    }
}

/// Whether it was the condition of the order that did not hold. A conflict, say, is something else.
fn is_there(canceled: &TransactionCanceledException) -> bool {
    let code = canceled.cancellation_reasons().first().and_then(|reason| reason.code());
    code == Some("ConditionalCheckFailed")
}
