//! Loads a shop's catalog into its table, while customers order.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;

use super::file::{Catalog, Entry, Kind};
use crate::sdk::SdkTable;

const KEY: [&str; 2] = ["pk", "sk"];
const STOCK: &str = "stock";

/// What the functions read of a card and may be absent. What a file leaves out is not to stay from the time before.
const OPTIONAL_OF_CARDS: [&str; 2] = ["appId", "codes"];

/// How often an item may come and go between two requests.
const TRIES: usize = 5;

/// What happens to the stock of a product that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// Nothing: orders count it.
    LeftAlone,
    /// It is as in the file, and no longer limited where the file has none.
    Set,
}

/// Why not all of a catalog is in the table. What was reported before is.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PutError {
    #[error("{pk}: the table gave no answer, so it may be written or not; {}", before(*written))]
    NoAnswer { pk: String, written: usize },
    #[error("{pk} is refused ({code}); {}", before(*written))]
    Refused { pk: String, code: String, written: usize },
    #[error("{pk} comes and goes; {}", before(*written))]
    Restless { pk: String, written: usize },
    #[error("there is no table {0} for these credentials in this region; nothing was written")]
    NoTable(String),
}

fn before(written: usize) -> String {
    match written {
        0 => "nothing was written before".to_owned(),
        1 => "1 item was written before".to_owned(),
        more => format!("{more} items were written before"),
    }
}

/// Writes all items of a catalog, one after the other, and reports each when it is written.
///
/// # Errors
///
/// At the first one that the table refuses.
pub async fn put(
    table: &SdkTable,
    catalog: &Catalog,
    stock: Stock,
    mut report: impl FnMut(&str),
) -> Result<(), PutError> {
    for (written, entry) in catalog.entries.iter().enumerate() {
        let pk = entry.pk.clone();
        let done = write(table, entry, stock).await.map_err(|failure| match failure {
            Failure::Restless => PutError::Restless { pk, written },
            Failure::Code(None) => PutError::NoAnswer { pk, written },
            Failure::Code(Some(code)) if code == "ResourceNotFoundException" && written == 0 => {
                PutError::NoTable(table.name().to_owned())
            }
            Failure::Code(Some(code)) => PutError::Refused { pk, code, written },
        })?;
        report(&done);
    }
    Ok(())
}

/// Why one was not written.
enum Failure {
    Restless,
    /// The table's word, if there is one.
    Code(Option<String>),
}

/// What has been done.
async fn write(table: &SdkTable, entry: &Entry, stock: Stock) -> Result<String, Failure> {
    for _ in 0..TRIES {
        if create(table, entry).await? {
            return Ok(format!("created {}", entry.pk));
        }
        if update(table, entry, stock).await? {
            let is_left = entry.kind == Kind::Product && stock == Stock::LeftAlone;
            return Ok(format!("updated {}{}", entry.pk, if is_left { ", its stock left alone" } else { "" }));
        }
    }
    Err(Failure::Restless)
}

/// Writes all of an item that is not there. Whether that is so.
async fn create(table: &SdkTable, entry: &Entry) -> Result<bool, Failure> {
    let put = table.client().put_item().table_name(table.name()).set_item(Some(entry.item.clone()));
    let put = put.condition_expression("attribute_not_exists(pk)").send().await;
    has_held(put.map_err(|err| err.code().map(str::to_owned)))
}

/// Sets the attributes of an item that is there, in one step: an order in between finds the old ones or the new ones,
/// and what it takes from the stock stays taken. Whether the item is there.
async fn update(table: &SdkTable, entry: &Entry, stock: Stock) -> Result<bool, Failure> {
    let is_set =
        |name: &str| !KEY.contains(&name) && (name != STOCK || entry.kind == Kind::Card || stock == Stock::Set);
    let (mut names, mut values) = (HashMap::new(), HashMap::new());
    let mut set = Vec::new();
    for (at, (name, value)) in entry.item.iter().filter(|(name, _)| is_set(name)).enumerate() {
        names.insert(format!("#{at}"), name.clone());
        values.insert(format!(":{at}"), value.clone());
        set.push(format!("#{at} = :{at}"));
    }
    let absent: Vec<_> = removable(entry, stock).filter(|name| !entry.item.contains_key(*name)).collect();
    let mut expression = format!("SET {}", set.join(", "));
    if !absent.is_empty() {
        expression.push_str(&format!(" REMOVE {}", absent.join(", ")));
    }
    let update = table.client().update_item().table_name(table.name()).set_key(Some(key(entry)));
    let update = update.update_expression(expression).condition_expression("attribute_exists(pk)");
    let update = update.set_expression_attribute_names(Some(names)).set_expression_attribute_values(Some(values));
    has_held(update.send().await.map_err(|err| err.code().map(str::to_owned)))
}

/// None of these names is a word that DynamoDB has reserved.
fn removable(entry: &Entry, stock: Stock) -> impl Iterator<Item = &'static str> {
    let names: &[&str] = match (entry.kind, stock) {
        (Kind::Card, _) => &OPTIONAL_OF_CARDS,
        (Kind::Product, Stock::Set) => &[STOCK],
        (Kind::Product, Stock::LeftAlone) => &[],
    };
    names.iter().copied()
}

fn key(entry: &Entry) -> HashMap<String, AttributeValue> {
    KEY.iter().filter_map(|name| Some(((*name).to_owned(), entry.item.get(*name)?.clone()))).collect()
}

/// Whether the condition of a write has.
fn has_held<T>(written: Result<T, Option<String>>) -> Result<bool, Failure> {
    match written {
        Ok(_) => Ok(true),
        Err(Some(code)) if code == "ConditionalCheckFailedException" => Ok(false),
        Err(code) => Err(Failure::Code(code)),
    }
}
