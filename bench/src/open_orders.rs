//! Open orders, as `create-order` makes them, but without it: that takes longer than what is measured.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::StreamExt as _;
use futures::stream;
use shared::deadline::Deadline;
use shared::hex::sha256_hex;
use shared::store::sweep::{KEYS, PROJECTED, SHARDS};
use tests::world::{Row, World};

/// Requests under way at the same time.
const AT_ONCE: usize = 8;

/// Rows that DynamoDB takes at once. Source: DynamoDB API reference, BatchWriteItem.
const BATCH: usize = 25;

/// What DynamoDB counts, in its units: 1 KB for a write, 4 KB for a read, each begun one in full.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// KB of an order.
    order: f64,
    /// Bytes of its row in the index, with the 100 that DynamoDB adds to each.
    index: f64,
}

impl Sizes {
    fn of(order: &Row) -> Self {
        let projected = ["pk", "sk"].into_iter().chain(KEYS).chain(PROJECTED);
        let index: usize = projected.map(|name| name.len() + size(&order[name])).sum();
        let order: usize = order.iter().map(|(name, value)| name.len() + size(value)).sum();
        Self { order: (order as f64 / 1024.0).ceil(), index: (index + 100) as f64 }
    }

    /// Write and read units of one request of the sweeper, which reads so many rows of the index at once. A write that
    /// moves a row within the index writes there twice: it deletes, and it puts. What a transaction writes counts twice:
    /// here that is the order, the product and the user's open orders, and a row of the index is deleted.
    pub fn units(self, operation: &str, rows: f64) -> [f64; 2] {
        match operation {
            "UpdateItem" => [self.order + 2.0, 0.0],
            "TransactWriteItems" => [2.0 * (self.order + 2.0) + 1.0, 0.0],
            "GetItem" => [0.0, 1.0],
            // Eventually consistent: half a unit for each 4 KB.
            "Query" => [0.0, (rows * self.index / 4096.0).ceil().max(1.0) / 2.0],
            _ => [0.0; 2],
        }
    }
}

/// Bytes of a value. Source: DynamoDB developer guide, "Item sizes and formats".
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>(),
        _ => 1,
    }
}

/// Makes them, each of another user, in the table and at WeChat Pay. How large they are.
pub async fn fill(world: &World, orders: usize) -> Sizes {
    world.put_product("tea", 700, Some(1)).await;
    let template = world.caller().await.buy(world, "tea").await;
    let row = world.row(&format!("ORDER#{template}"), "ORDER").await.expect("the order is there");
    world.delete(&format!("ORDER#{template}"), "ORDER").await;
    let numbers: Vec<_> = (0..orders).map(|nth| format!("bench{nth:027}")).collect();
    let rows: Vec<_> = numbers.iter().flat_map(|number| [order(&row, &template, number), open(number)]).collect();
    let pay = world.pay_client().await;
    let prepay = |number: &String| {
        let body = text(&row, "prepayBody").replace(&template, number);
        let pay = &pay;
        async move {
            pay.prepay(&body, Deadline::after(std::time::Duration::from_secs(9))).await.expect("it is prepared");
        }
    };
    stream::iter(numbers.iter().map(prepay)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let write = |rows: &[Row]| {
        let put = |row: &Row| PutRequest::builder().set_item(Some(row.clone())).build().expect("it has an item");
        let put = rows.iter().map(|row| WriteRequest::builder().put_request(put(row)).build()).collect();
        let table = world.table();
        async move {
            let write = table.client().batch_write_item().request_items(table.name(), put);
            write.send().await.expect("the rows are written");
        }
    };
    stream::iter(rows.chunks(BATCH).map(write)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    Sizes::of(&row)
}

/// The same order under another number, of another user.
fn order(template: &Row, before: &str, number: &str) -> Row {
    let mut row: Row = HashMap::new();
    for (name, value) in template {
        let value = match value {
            AttributeValue::S(text) => AttributeValue::S(text.replace(before, number)),
            other => other.clone(),
        };
        row.insert(name.clone(), value);
    }
    let shard = u8::from_str_radix(&sha256_hex(number.as_bytes())[..2], 16).expect("hexadecimal") % SHARDS;
    row.insert("sweepShard".to_owned(), AttributeValue::N(shard.to_string()));
    row.insert("userId".to_owned(), AttributeValue::S(user(number)));
    row
}

/// The one open order of its user.
fn open(number: &str) -> Row {
    let text = |text: String| AttributeValue::S(text);
    HashMap::from([
        ("pk".to_owned(), text(format!("USER#{}", user(number)))),
        ("sk".to_owned(), text("ORDERS".to_owned())),
        ("openOrders".to_owned(), AttributeValue::N("1".to_owned())),
    ])
}

/// Users' ids are `u_` and 22 characters.
fn user(number: &str) -> String {
    format!("u_{}", &number[number.len() - 22..])
}

fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row[name].as_s().expect("a text")
}
