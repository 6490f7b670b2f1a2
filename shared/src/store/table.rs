//! The table: reads and writes.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItem, BatchGetItemInput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItem, BatchWriteItemInput};
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemInput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{Query, QueryInput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItems, TransactWriteItemsInput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItem, UpdateItemInput};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, DeleteRequest, KeysAndAttributes, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update, WriteRequest,
};

use super::StoreError;
use super::call::{CallError, Condition, Pauses};
use super::dynamodb::DynamoDb;
use super::item::{Item, Key, attr};
use crate::aws::Caller;
use crate::deadline::Deadline;
use crate::net::HttpClient;
use crate::random;

/// What BatchWriteItem takes. Source: DynamoDB API reference.
pub(super) const BATCH_WRITE_ITEMS: usize = 25;

/// `ttl` is a reserved word of DynamoDB's, so an update calls it by another name.
const TTL_NAME: &str = "#ttl";

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    dynamodb: Arc<DynamoDb>,
    name: String,
}

/// How a transaction ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    Committed,
    /// Nothing was written: what is known of the condition of each write. At least one failed.
    ConditionFailed(Vec<Condition>),
}

/// How a change of one row ended.
pub(super) enum Changed {
    /// The row as it is now.
    Done(Item),
    /// Nothing was written: the row as it is, if there is one. Sent again after a lost answer, a change may meet itself.
    ConditionFailed(Option<Item>),
}

/// One write of a transaction.
pub(super) enum Write {
    /// Writes the row, whatever is there.
    Put(Item),
    /// Writes the row if there is none with its key.
    Create(Item),
    /// Changes a row.
    Update(Change),
    /// Deletes a row, whatever it is.
    Delete(Key),
    /// Deletes a row if the condition holds.
    DeleteIf(Key, &'static str, Attributes),
}

/// A page of an index.
pub(super) struct Page {
    pub(super) index: &'static str,
    /// The condition of the keys.
    pub(super) keys: &'static str,
    pub(super) values: Attributes,
    pub(super) start: Option<Attributes>,
    pub(super) limit: i32,
}

pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) struct Change {
    pub(super) key: Key,
    /// [`TTL_NAME`] stands for the attribute `ttl`.
    pub(super) update: &'static str,
    pub(super) condition: Option<&'static str>,
    pub(super) values: Attributes,
}

impl Table {
    /// The table `name` at the DynamoDB whose URL is `endpoint`.
    pub fn new(name: String, http: HttpClient, caller: Caller, endpoint: String) -> Self {
        Self { dynamodb: Arc::new(DynamoDb::new(http, caller, endpoint)), name }
    }

    /// Reads a row.
    pub(super) async fn get(&self, key: &Key, deadline: Deadline) -> Result<Option<Item>, StoreError> {
        let input = GetItemInput::builder().table_name(&self.name).consistent_read(true);
        let input = input.set_key(Some(key.clone().attributes())).build().map_err(incomplete)?;
        let output = self.dynamodb.call::<GetItem>(input, deadline).await?;
        Ok(output.item.map(Item::from_attributes))
    }

    /// Reads several rows in one round trip, in no order; those that do not exist are left out.
    pub(super) async fn get_many(&self, keys: &[Key], deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        let mut left: Vec<_> = keys.iter().cloned().map(Key::attributes).collect();
        let mut items = Vec::with_capacity(keys.len());
        let mut pauses = Pauses::until(deadline);
        while !left.is_empty() {
            let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let keys = keys.map_err(incomplete)?;
            let input = BatchGetItemInput::builder().request_items(&self.name, keys).build().map_err(incomplete)?;
            let output = self.dynamodb.call::<BatchGetItem>(input, deadline).await?;
            let found = output.responses.unwrap_or_default().into_values().flatten();
            items.extend(found.map(Item::from_attributes));
            left = output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect();
            if !left.is_empty() {
                pauses.next("UnprocessedKeys").await?;
            }
        }
        Ok(items)
    }

    /// The keys of all rows of a partition whose `sk` begins with `prefix`.
    pub(super) async fn keys(&self, pk: &str, prefix: &str, deadline: Deadline) -> Result<Vec<Key>, StoreError> {
        let input = QueryInput::builder()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .projection_expression("pk, sk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        self.query(input, deadline).await?.iter().map(Item::key).collect()
    }

    /// All rows of a partition.
    pub(super) async fn items(&self, pk: &str, deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        let input = QueryInput::builder()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        self.query(input, deadline).await
    }

    /// All pages of a query.
    async fn query(&self, input: QueryInputBuilder, deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        let input = input.table_name(&self.name).consistent_read(true);
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = input.clone().set_exclusive_start_key(start).build().map_err(incomplete)?;
            let output = self.dynamodb.call::<Query>(page, deadline).await?;
            items.extend(output.items.unwrap_or_default().into_iter().map(Item::from_attributes));
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// A page of an index, as it is by then, and where the next one begins, if there is one. An index is behind its table.
    pub(super) async fn page(
        &self,
        page: Page,
        deadline: Deadline,
    ) -> Result<(Vec<Item>, Option<Attributes>), StoreError> {
        let input = QueryInput::builder()
            .table_name(&self.name)
            .index_name(page.index)
            .key_condition_expression(page.keys)
            .set_expression_attribute_values(Some(page.values))
            .set_exclusive_start_key(page.start)
            .limit(page.limit)
            .build()
            .map_err(incomplete)?;
        let output = self.dynamodb.call::<Query>(input, deadline).await?;
        let items = output.items.unwrap_or_default().into_iter().map(Item::from_attributes);
        Ok((items.collect(), output.last_evaluated_key))
    }

    /// Deletes up to [`BATCH_WRITE_ITEMS`] rows, one by one for all that others can see.
    pub(super) async fn delete_batch(
        &self,
        keys: impl Iterator<Item = Key>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut left: Vec<_> = keys.map(delete_request).collect::<Result<_, _>>()?;
        let mut pauses = Pauses::until(deadline);
        while !left.is_empty() {
            let input = BatchWriteItemInput::builder().request_items(&self.name, left).build().map_err(incomplete)?;
            let output = self.dynamodb.call::<BatchWriteItem>(input, deadline).await?;
            left = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if !left.is_empty() {
                pauses.next("UnprocessedItems").await?;
            }
        }
        Ok(())
    }

    /// Writes all or nothing. Sent again after a lost answer, it is still one transaction.
    pub(super) async fn transact(&self, writes: Vec<Write>, deadline: Deadline) -> Result<Transaction, StoreError> {
        let items = writes.into_iter().map(|write| self.transact_item(write)).collect::<Result<_, _>>()?;
        let input = TransactWriteItemsInput::builder()
            .set_transact_items(Some(items))
            .client_request_token(random::base64url::<24>())
            .build()
            .map_err(incomplete)?;
        match self.dynamodb.call::<TransactWriteItems>(input, deadline).await {
            Ok(_) => Ok(Transaction::Committed),
            Err(CallError::Store(err)) => Err(err),
            Err(CallError::ConditionFailed(failed)) => Ok(Transaction::ConditionFailed(failed.conditions)),
        }
    }

    /// Changes one row.
    pub(super) async fn change(&self, change: Change, deadline: Deadline) -> Result<Changed, StoreError> {
        let input = UpdateItemInput::builder()
            .table_name(&self.name)
            .set_key(Some(change.key.attributes()))
            .update_expression(change.update)
            .set_condition_expression(change.condition.map(str::to_owned))
            .set_expression_attribute_names(names(change.update))
            .set_expression_attribute_values(Some(change.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(incomplete)?;
        match self.dynamodb.call::<UpdateItem>(input, deadline).await {
            Ok(output) => Ok(Changed::Done(Item::from_attributes(output.attributes.unwrap_or_default()))),
            Err(CallError::Store(err)) => Err(err),
            Err(CallError::ConditionFailed(failed)) => Ok(Changed::ConditionFailed(failed.row)),
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, StoreError> {
        let item = TransactWriteItem::builder();
        let item = match write {
            Write::Put(row) => item.put(self.put(row).build().map_err(incomplete)?),
            Write::Create(row) => {
                let put = self.put(row).condition_expression("attribute_not_exists(pk)");
                item.put(put.build().map_err(incomplete)?)
            }
            Write::Update(change) => {
                let update = Update::builder()
                    .table_name(&self.name)
                    .set_key(Some(change.key.attributes()))
                    .update_expression(change.update)
                    .set_condition_expression(change.condition.map(str::to_owned))
                    .set_expression_attribute_names(names(change.update))
                    .set_expression_attribute_values(Some(change.values));
                item.update(update.build().map_err(incomplete)?)
            }
            Write::Delete(key) => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes()));
                item.delete(delete.build().map_err(incomplete)?)
            }
            Write::DeleteIf(key, condition, values) => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes()));
                let delete = delete.condition_expression(condition).set_expression_attribute_values(Some(values));
                item.delete(delete.build().map_err(incomplete)?)
            }
        };
        Ok(item.build())
    }

    fn put(&self, row: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(row.into_attributes()))
    }
}

fn names(update: &str) -> Option<HashMap<String, String>> {
    update.contains(TTL_NAME).then(|| HashMap::from([(TTL_NAME.to_owned(), attr::TTL.to_owned())]))
}

fn delete_request(key: Key) -> Result<WriteRequest, StoreError> {
    let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build();
    Ok(WriteRequest::builder().delete_request(delete.map_err(incomplete)?).build())
}

/// A required field of the SDK's is missing, which is a mistake in here.
fn incomplete(_: BuildError) -> StoreError {
    StoreError::Refused("an incomplete request".to_owned())
}
