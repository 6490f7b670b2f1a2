//! Products and cards in a file: the sample catalog of the embedded DynamoDB, and a shop's own for its table.

mod again;
mod file;
mod put;
mod unique;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;

use crate::sdk::SdkTable;

pub use self::file::{Catalog, CatalogFileError};
pub use self::put::{PATIENCE, PutError, Stock, put};

const SAMPLE: &str = include_str!("../../../events/catalog.json");

/// Why the sample catalog was not loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CatalogError {
    #[error("events/catalog.json")]
    File(#[from] CatalogFileError),
    #[error("an item was refused: {0}")]
    Refused(String),
}

/// Writes the items of the sample that are not there yet.
///
/// # Errors
///
/// If the table refuses one.
pub(crate) async fn load(table: &SdkTable) -> Result<(), CatalogError> {
    for entry in Catalog::parse(SAMPLE)?.entries {
        let put = table.client().put_item().table_name(table.name()).set_item(Some(entry.item));
        let put = put.condition_expression("attribute_not_exists(pk)").send().await;
        match put.as_ref().map_err(|err| err.code()) {
            Ok(_) | Err(Some("ConditionalCheckFailedException")) => {}
            Err(code) => return Err(CatalogError::Refused(code.unwrap_or("no answer").to_owned())),
        }
    }
    Ok(())
}
