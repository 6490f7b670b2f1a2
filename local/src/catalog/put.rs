//! Loads a shop's catalog into its table, while customers order.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::deadline::Deadline;
use shared::pause::Pauses;

use super::again::{Failure, has_held};
use super::file::{Catalog, Entry, Kind};
use crate::sdk::SdkTable;

const KEY: [&str; 2] = ["pk", "sk"];
const STOCK: &str = "stock";

/// What the functions read of a card and may be absent. What a file leaves out is not to stay from the time before.
const OPTIONAL_OF_CARDS: [&str; 2] = ["appId", "codes"];

/// How often an item may come and go between two requests.
const TRIES: usize = 5;

/// How long a shop waits for one item.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pauses between tries, for a table whose rows are in others' hands, or that throttles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
    #[error("{pk}: the table has no time for it ({code}); {}", before(*written))]
    Busy { pk: String, code: String, written: usize },
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

/// Writes all items of a catalog, one after the other, and reports each when it is written. What may go well later, such
/// as the write of a product that an order is just taking from, is repeated for as long as `patience` says, each item.
///
/// # Errors
///
/// At the first one that the table refuses, or for which it has no time.
pub async fn put(
    table: &SdkTable,
    catalog: &Catalog,
    stock: Stock,
    patience: Duration,
    mut report: impl FnMut(&str),
) -> Result<(), PutError> {
    for (written, entry) in catalog.entries.iter().enumerate() {
        let pk = entry.pk.clone();
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, Deadline::after(patience));
        let done = write(table, entry, stock, &mut pauses).await.map_err(|failure| match failure {
            Failure::Busy(code) => PutError::Busy { pk, code, written },
            Failure::NoAnswer => PutError::NoAnswer { pk, written },
            Failure::Refused(code) if code == "ResourceNotFoundException" && written == 0 => {
                PutError::NoTable(table.name().to_owned())
            }
            Failure::Refused(code) => PutError::Refused { pk, code, written },
            Failure::Restless => PutError::Restless { pk, written },
        })?;
        report(&done);
    }
    Ok(())
}

/// What has been done.
async fn write(table: &SdkTable, entry: &Entry, stock: Stock, pauses: &mut Pauses) -> Result<String, Failure> {
    for _ in 0..TRIES {
        if create(table, entry, pauses).await? {
            return Ok(format!("created {}", entry.pk));
        }
        if update(table, entry, stock, pauses).await? {
            let is_left = entry.kind == Kind::Product && stock == Stock::LeftAlone;
            return Ok(format!("updated {}{}", entry.pk, if is_left { ", its stock left alone" } else { "" }));
        }
    }
    Err(Failure::Restless)
}

/// Writes all of an item that is not there. Whether that is so.
async fn create(table: &SdkTable, entry: &Entry, pauses: &mut Pauses) -> Result<bool, Failure> {
    let put = table.client().put_item().table_name(table.name()).set_item(Some(entry.item.clone()));
    let put = put.condition_expression("attribute_not_exists(pk)");
    has_held(pauses, || put.clone().send()).await
}

/// Sets the attributes of an item that is there, in one step: an order in between finds the old ones or the new ones,
/// and what it takes from the stock stays taken. Whether the item is there.
async fn update(table: &SdkTable, entry: &Entry, stock: Stock, pauses: &mut Pauses) -> Result<bool, Failure> {
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
    has_held(pauses, || update.clone().send()).await
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
