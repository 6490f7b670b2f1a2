//! The demo order, which the sample events of `query-order` and `pay-notify` are about. Exists on the local machine only.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
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
    let now = now.as_secs();
    let put = table.client().put_item().table_name(table.name()).condition_expression("attribute_not_exists(pk)");
    let put = put
        .item("pk", text(&format!("ORDER#{DEMO_ORDER}")))
        .item("sk", text("ORDER"))
        .item("outTradeNo", text(DEMO_ORDER))
        .item("userId", text(parties.user_id))
        .item("appId", text(parties.app_id))
        .item("mchId", text(parties.mch_id))
        .item("totalFen", number(TOTAL_FEN))
        .item("lines", AttributeValue::L(Vec::new()))
        .item("tradeState", text("NOTPAY"))
        .item("createdAt", number(&now.to_string()))
        .item("timeExpire", number(TIME_EXPIRE))
        .item("prepayBody", text("{}"))
        .item("prepayAskedAtMs", number(&(now * 1000).to_string()))
        .item("history", AttributeValue::L(Vec::new()));
    match put.send().await.as_ref().map_err(|err| err.code()) {
        Ok(_) | Err(Some("ConditionalCheckFailedException")) => Ok(()),
        Err(code) => Err(code.unwrap_or("no answer").to_owned()),
    }
}
