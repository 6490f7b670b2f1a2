//! The sample catalog: products and cards for the embedded DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::sdk::SdkTable;

/// As `aws dynamodb batch-write-item --request-items` takes it.
const CATALOG: &str = include_str!("../../events/catalog.json");

/// Why the catalog was not loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CatalogError {
    #[error("{0} is not as `aws dynamodb batch-write-item --request-items` takes it")]
    Malformed(&'static str),
    #[error("an item was refused: {0}")]
    Refused(String),
}

type Item = HashMap<String, AttributeValue>;

/// Writes the items that are not there yet.
///
/// # Errors
///
/// If the table refuses one.
pub(crate) async fn load(table: &SdkTable) -> Result<(), CatalogError> {
    for item in items(CATALOG).ok_or(CatalogError::Malformed("events/catalog.json"))? {
        let put = table.client().put_item().table_name(table.name()).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)").send().await;
        match put.as_ref().map_err(|err| err.code()) {
            Ok(_) | Err(Some("ConditionalCheckFailedException")) => {}
            Err(code) => return Err(CatalogError::Refused(code.unwrap_or("no answer").to_owned())),
        }
    }
    Ok(())
}

/// The items of all put requests, whatever table they are for.
fn items(catalog: &str) -> Option<Vec<Item>> {
    let catalog: HashMap<String, Vec<Value>> = serde_json::from_str(catalog).ok()?;
    catalog.values().flatten().map(|request| map(request.get("PutRequest")?.get("Item")?)).collect()
}

fn map(item: &Value) -> Option<Item> {
    item.as_object()?.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

/// An attribute in DynamoDB's JSON, of the types that items of a catalog may have.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let mut types = value.as_object()?.iter();
    let (Some((kind, value)), None) = (types.next(), types.next()) else { return None };
    Some(match kind.as_str() {
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "M" => AttributeValue::M(map(value)?),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        _ => return None,
    })
}
