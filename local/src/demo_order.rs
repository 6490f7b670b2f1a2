//! The demo orders, which the sample events of `query-order`, `pay-notify` and `refund-order` are about. They exist on the
//! local machine only.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use shared::clock::Timestamp;
use shared::fen::Fen;
use shared::store::UserId;
use shared::wechat::{AppId, OpenId};
use shared::wechatpay::v3::PrepayRequest;
use shared::wechatpay::{MchId, NotifyUrl, OutTradeNo};

use crate::sdk::SdkTable;

/// The number of the one that is unpaid.
pub const DEMO_ORDER: &str = "demoOrder00000000000000000000001";

/// The number of the one that is paid.
pub const DEMO_PAID_ORDER: &str = "demoOrder00000000000000000000002";

const PRICE_FEN: u64 = 100;
const PAID_QUANTITY: u64 = 30;

/// The time of the paid one, as WeChat Pay was told it.
const ORDER_TTL: Duration = Duration::from_secs(1800);

/// Longer than anybody keeps `cargo dev` running: in the year 2100.
const TIME_EXPIRE: u64 = 4_102_444_800;

/// Whose they are, where, and who is paid and told.
pub(crate) struct Parties<'a> {
    pub(crate) user_id: &'a UserId,
    pub(crate) openid: &'a OpenId,
    pub(crate) app_id: &'a AppId,
    pub(crate) mch_id: &'a MchId,
    pub(crate) notify_url: &'a NotifyUrl,
}

/// Writes the orders, as far as they are not there yet. The unpaid one is not known to WeChat Pay, nor swept; the sandbox
/// is to remember the other.
///
/// # Errors
///
/// The code with which the table refuses one.
pub(crate) async fn seed(table: &SdkTable, parties: &Parties<'_>, now: Timestamp) -> Result<(), String> {
    let unpaid = row(parties, DEMO_ORDER, 1, &[("NOTPAY", "create")], now).item("prepayBody", text("{}"));
    let open_orders = Update::builder()
        .table_name(table.name())
        .key("pk", text(&format!("USER#{}", parties.user_id.as_str())))
        .key("sk", text("ORDERS"))
        .update_expression("ADD openOrders :one")
        .expression_attribute_values(":one", number(1));
    let open_orders = open_orders.build().map_err(incomplete)?;
    write(table, unpaid, Some(open_orders)).await?;
    let moves = [("NOTPAY", "create"), ("SUCCESS", "notify")];
    let number_of_it = OutTradeNo::try_from(DEMO_PAID_ORDER.to_owned())?;
    let prepay = PrepayRequest {
        app_id: parties.app_id,
        mch_id: parties.mch_id,
        description: "贴纸",
        out_trade_no: &number_of_it,
        expires_at: now + ORDER_TTL,
        notify_url: parties.notify_url,
        total: Fen::new(PRICE_FEN * PAID_QUANTITY),
        openid: parties.openid,
    };
    let paid = row(parties, DEMO_PAID_ORDER, PAID_QUANTITY, &moves, now)
        .item("prepayBody", text(prepay.to_body().expose()))
        .item("transactionId", text("4200000000000000000000000001"))
        .item("paidAt", number(now.as_secs()));
    write(table, paid, None).await
}

/// An order of stickers.
fn row(parties: &Parties<'_>, out_trade_no: &str, quantity: u64, moves: &[(&str, &str)], now: Timestamp) -> PutBuilder {
    let millis = number(now.as_secs() * 1000);
    let history = moves.iter().map(|(state, by)| {
        AttributeValue::M(HashMap::from([
            ("atMs".to_owned(), millis.clone()),
            ("tradeState".to_owned(), text(state)),
            ("by".to_owned(), text(by)),
            ("why".to_owned(), text("demo")),
        ]))
    });
    let line = HashMap::from([
        ("sku".to_owned(), text("demo-sticker")),
        ("name".to_owned(), text("贴纸")),
        ("priceFen".to_owned(), number(PRICE_FEN)),
        ("quantity".to_owned(), number(quantity)),
    ]);
    Put::builder()
        .condition_expression("attribute_not_exists(pk)")
        .item("pk", text(&format!("ORDER#{out_trade_no}")))
        .item("sk", text("ORDER"))
        .item("outTradeNo", text(out_trade_no))
        .item("userId", text(parties.user_id.as_str()))
        .item("appId", text(parties.app_id.as_str()))
        .item("mchId", text(parties.mch_id.as_str()))
        .item("totalFen", number(PRICE_FEN * quantity))
        .item("lines", AttributeValue::L(vec![AttributeValue::M(line)]))
        .item("tradeState", text(moves.last().map_or("NOTPAY", |(state, _)| state)))
        .item("createdAt", number(now.as_secs()))
        .item("timeExpire", number(TIME_EXPIRE))
        .item("prepayAskedAtMs", millis.clone())
        .item("history", AttributeValue::L(history.collect()))
}

/// An order that is there already stays as it is.
async fn write(table: &SdkTable, order: PutBuilder, beside: Option<Update>) -> Result<(), String> {
    let order = order.table_name(table.name()).build().map_err(incomplete)?;
    let mut write = table.client().transact_write_items();
    write = write.transact_items(TransactWriteItem::builder().put(order).build());
    if let Some(update) = beside {
        write = write.transact_items(TransactWriteItem::builder().update(update).build());
    }
    match write.send().await.map_err(SdkError::into_service_error) {
        Ok(_) => Ok(()),
        Err(TransactWriteItemsError::TransactionCanceledException(canceled)) if is_there(&canceled) => Ok(()),
        Err(err) => Err(err.code().unwrap_or("no answer").to_owned()),
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn incomplete(_: BuildError) -> String {
    "an incomplete request".to_owned()
}

/// Whether it was the condition of the order that did not hold. A conflict, say, is something else.
fn is_there(canceled: &TransactionCanceledException) -> bool {
    let code = canceled.cancellation_reasons().first().and_then(|reason| reason.code());
    code == Some("ConditionalCheckFailed")
}
