//! Queries: several rows of a partition, or a part of an index.

use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{Query, QueryInput};
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Attributes, Table, incomplete};
use crate::deadline::Deadline;
use crate::store::StoreError;
use crate::store::item::{Item, Key};

/// A page of an index.
pub(in crate::store) struct Page {
    pub(in crate::store) index: &'static str,
    /// The condition of the keys.
    pub(in crate::store) keys: &'static str,
    pub(in crate::store) values: Attributes,
    pub(in crate::store) start: Option<Attributes>,
    pub(in crate::store) limit: i32,
}

impl Table {
    /// The keys of all rows of a partition whose `sk` begins with `prefix`.
    pub(in crate::store) async fn keys(
        &self,
        pk: &str,
        prefix: &str,
        deadline: Deadline,
    ) -> Result<Vec<Key>, StoreError> {
        let input = QueryInput::builder()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .projection_expression("pk, sk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        self.query(input, deadline).await?.iter().map(Item::key).collect()
    }

    /// All rows of a partition.
    pub(in crate::store) async fn items(&self, pk: &str, deadline: Deadline) -> Result<Vec<Item>, StoreError> {
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
    pub(in crate::store) async fn page(
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
}
