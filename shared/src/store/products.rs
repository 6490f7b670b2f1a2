//! Products: what is sold, for how much, and how many there are.

use std::collections::HashMap;

use serde::Deserialize;

use super::StoreError;
use super::item::{Item, Key, number, text};
use super::table::{Change, Table, Write};
use crate::deadline::Deadline;
use crate::fen::Fen;

const NAME: &str = "name";
const PRICE_FEN: &str = "priceFen";
pub(super) const SKU: &str = "sku";
const STOCK: &str = "stock";

/// Names a product (stock keeping unit).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Sku(String);

impl Sku {
    /// The most characters that one may have.
    const MAX_CHARS: usize = 64;

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self) -> Key {
        Key::new(format!("PRODUCT#{}", self.0), "PRODUCT")
    }

    /// Takes so many from the stock, if there are as many.
    pub(super) fn take(&self, quantity: u64) -> Write {
        let values = HashMap::from([number(":quantity", quantity)]);
        let (update, condition) = ("SET stock = stock - :quantity", Some("stock >= :quantity"));
        Write::Update(Change { key: self.key(), update, condition, values })
    }

    /// Gives so many back to the stock, if the product still has one: nothing that a person has made of it since may be in
    /// the way of a close.
    pub(super) fn give_back(&self, quantity: u64) -> Write {
        let values = HashMap::from([number(":quantity", quantity), text(":number", "N")]);
        let (update, condition) = ("SET stock = stock + :quantity", Some("attribute_type(stock, :number)"));
        Write::Update(Change { key: self.key(), update, condition, values })
    }
}

impl TryFrom<String> for Sku {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = (1..=Self::MAX_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        valid.then_some(Self(text)).ok_or("not 1 to 64 characters without control characters")
    }
}

/// A product.
#[derive(Clone, Debug)]
pub struct Product {
    /// What it is called in orders.
    pub sku: Sku,
    /// What it is called for people.
    pub name: String,
    /// What one costs.
    pub price: Fen,
    /// How many there are, if that is limited. A negative number, which only a person can have written, is none.
    pub stock: Option<u64>,
}

/// The products in a table.
#[derive(Clone, Debug)]
pub struct Products {
    table: Table,
}

impl Products {
    /// The products in a table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The products with those names as they are now, in no order; those that do not exist are left out. At most 100.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline, or an item is no product.
    pub async fn find(&self, skus: impl Iterator<Item = &Sku>, deadline: Deadline) -> Result<Vec<Product>, StoreError> {
        let keys: Vec<_> = skus.map(Sku::key).collect();
        let rows = self.table.get_many(&keys, deadline).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Item) -> Result<Product, StoreError> {
    Ok(Product {
        sku: read_sku(row)?,
        name: row.str(NAME)?.to_owned(),
        price: Fen::new(row.number(PRICE_FEN)?),
        stock: row.optional_number::<i64>(STOCK)?.map(|stock| u64::try_from(stock).unwrap_or(0)),
    })
}

pub(super) fn read_sku(row: &Item) -> Result<Sku, StoreError> {
    Sku::try_from(row.str(SKU)?.to_owned()).map_err(|_| row.corrupt(SKU))
}
