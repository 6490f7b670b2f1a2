//! What a request asks of AWS, in the words of policies.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{TABLES, logical_id};

/// The attribute that is the partition key of the table.
const PARTITION_KEY: &str = "pk";

/// The operations that are on certain partitions.
const HAVE_KEYS: [&str; 9] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) actions: BTreeSet<String>,
    /// As `!Sub` writes it: one thing, under the names that it has.
    pub(crate) resources: Vec<String>,
    /// The partition keys (`dynamodb:LeadingKeys`). `None` is one that is not understood here, which no pattern fits.
    pub(crate) keys: BTreeSet<Option<String>>,
}

impl Asked {
    /// What a call of DynamoDB asks for. A transaction needs the actions of its parts. The documents do not say whether
    /// each of them is held against its own key or against all keys of the transaction; here it is all, which is stricter.
    ///
    /// A call that has no keys, such as a `Scan`, fits every condition that begins with `ForAllValues`: so it is on AWS.
    ///
    /// Source: DynamoDB developer guide, "Using IAM with DynamoDB transactions" and "Using IAM policy conditions for
    /// fine-grained access control"; IAM user guide, "Set operators for multivalued context keys".
    pub(crate) fn of_dynamodb(operation: &str, body: &Value) -> Self {
        let mut asked = Self { resources: resources(body), ..Self::default() };
        match operation {
            "TransactGetItems" | "TransactWriteItems" => asked.transaction(body),
            _ => {
                asked.actions.insert(action(operation));
                asked.keys.extend(keys(operation, body));
            }
        }
        if asked.keys.is_empty() && HAVE_KEYS.contains(&operation) && body["IndexName"].is_null() {
            asked.keys.insert(None);
        }
        asked
    }

    /// What the invocation of a function asks for.
    pub(crate) fn of_lambda(function: &str) -> Self {
        let actions = BTreeSet::from(["lambda:InvokeFunction".to_owned()]);
        Self { actions, resources: vec![format!("${{{}.Arn}}", logical_id(function, "Function"))], ..Self::default() }
    }

    fn transaction(&mut self, body: &Value) {
        let parts = items(&body["TransactItems"]).filter_map(Value::as_object).flat_map(Map::iter);
        for (part, input) in parts {
            let name = if part == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{part}Item") };
            self.actions.insert(action(&name));
            self.keys.insert(key(&[&input["Key"], &input["Item"]]));
        }
    }
}

fn keys(operation: &str, body: &Value) -> Vec<Option<String>> {
    match operation {
        "BatchGetItem" => tables(body).flat_map(|table| items(&table["Keys"])).map(|item| key(&[item])).collect(),
        "BatchWriteItem" => {
            let writes = tables(body).flat_map(items);
            writes.map(|write| key(&[&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]])).collect()
        }
        "DeleteItem" | "GetItem" | "PutItem" | "UpdateItem" => vec![key(&[&body["Key"], &body["Item"]])],
        "Query" => queried(body).map(Some).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn action(operation: &str) -> String {
    format!("dynamodb:{operation}")
}

/// The table or an index: there is one table.
fn resources(body: &Value) -> Vec<String> {
    let index = body["IndexName"].as_str().map(|index| format!("/index/{index}")).unwrap_or_default();
    TABLES.map(|table| format!("{table}{index}")).into()
}

fn tables(body: &Value) -> impl Iterator<Item = &Value> {
    body["RequestItems"].as_object().into_iter().flat_map(Map::values)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The partition key of the one of these that is there.
fn key(items: &[&Value]) -> Option<String> {
    items.iter().find_map(|item| item[PARTITION_KEY]["S"].as_str()).map(str::to_owned)
}

/// The partition key of a query: the value of the placeholder that `pk` has to equal, which may have a placeholder too.
/// That of an index is no text.
fn queried(body: &Value) -> Option<String> {
    let condition = body["KeyConditionExpression"].as_str()?.replace('=', " = ").replace(['(', ')'], " ");
    let words: Vec<_> = condition.split_whitespace().collect();
    let name = |word: &str| body["ExpressionAttributeNames"][word].as_str() == Some(PARTITION_KEY);
    let placeholder = words.windows(3).find_map(|words| match words {
        [word, "=", value] if *word == PARTITION_KEY || name(word) => Some(*value),
        _ => None,
    })?;
    body["ExpressionAttributeValues"][placeholder]["S"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(operation: &str, body: &Value) -> (String, String, String) {
        let Asked { actions, resources, keys } = Asked::of_dynamodb(operation, body);
        let keys: Vec<_> = keys.into_iter().map(|key| key.unwrap_or_else(|| "?".to_owned())).collect();
        (Vec::from_iter(actions).join(" "), resources.join(" "), keys.join(" "))
    }

    fn at(pk: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": "x" } })
    }

    #[test]
    fn a_call_asks_for_an_action_on_its_keys() {
        for (operation, body, actions, keys) in [
            ("GetItem", json!({ "Key": at("a") }), "dynamodb:GetItem", "a"),
            ("PutItem", json!({ "Item": at("a") }), "dynamodb:PutItem", "a"),
            (
                "BatchGetItem",
                json!({ "RequestItems": { "t": { "Keys": [at("a"), at("b")] } } }),
                "dynamodb:BatchGetItem",
                "a b",
            ),
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "t": [
                    { "DeleteRequest": { "Key": at("a") } }, { "PutRequest": { "Item": at("b") } },
                ] } }),
                "dynamodb:BatchWriteItem",
                "a b",
            ),
            (
                "Query",
                json!({
                    "KeyConditionExpression": "pk = :it AND begins_with(sk, :prefix)",
                    "ExpressionAttributeValues": { ":it": { "S": "a" }, ":prefix": { "S": "b" } },
                }),
                "dynamodb:Query",
                "a",
            ),
            ("Scan", json!({}), "dynamodb:Scan", ""),
        ] {
            let table = "${Table.Arn} ${TableArn}";
            assert_eq!(asked(operation, &body), (actions.to_owned(), table.to_owned(), keys.to_owned()));
        }
    }

    #[test]
    fn a_transaction_asks_for_the_actions_of_its_parts_on_all_keys() {
        let body = json!({ "TransactItems": [
            { "Put": { "Item": at("a") } },
            { "Update": { "Key": at("b") } },
            { "Delete": { "Key": at("c") } },
            { "ConditionCheck": { "Key": at("d") } },
        ] });
        let (actions, _, keys) = asked("TransactWriteItems", &body);
        let expected = "dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem";
        assert_eq!((actions.as_str(), keys.as_str()), (expected, "a b c d"));
        let body = json!({ "TransactItems": [{ "Get": { "Key": at("a") } }] });
        assert_eq!(asked("TransactGetItems", &body).0, "dynamodb:GetItem");
    }

    #[test]
    fn a_query_says_its_partition_in_any_words() {
        for condition in ["pk = :pk", "pk=:pk", "(pk = :pk) AND sk >= :sk", "#pk = :pk", "sk < :sk and (#pk=:pk)"] {
            let body = json!({
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": { "#pk": "pk", "#sk": "sk" },
                "ExpressionAttributeValues": { ":pk": { "S": "a" }, ":sk": { "S": "b" } },
            });
            assert_eq!(asked("Query", &body).2, "a", "{condition}");
        }
    }

    #[test]
    fn keys_that_are_not_understood_are_one_that_fits_nothing() {
        let query = |condition: &str| {
            let names = json!({ "#sk": "sk" });
            let values = json!({ ":pk": { "N": "1" }, ":sk": { "S": "b" } });
            json!({
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            })
        };
        let old = json!({ "AttributeValueList": [{ "S": "a" }], "ComparisonOperator": "EQ" });
        let other = json!({ "id": { "S": "a" } });
        for (operation, body, keys) in [
            ("Query", query("pk = :pk"), "?"),
            ("Query", query("pk = :other"), "?"),
            ("Query", query("#other = :sk"), "?"),
            ("Query", query("#sk = :sk"), "?"),
            ("Query", json!({ "KeyConditions": { "pk": old } }), "?"),
            ("GetItem", json!({ "Key": other }), "?"),
            ("UpdateItem", json!({}), "?"),
            ("BatchGetItem", json!({ "RequestItems": { "t": { "Keys": [at("a"), other] } } }), "? a"),
            ("BatchGetItem", json!({}), "?"),
            ("BatchWriteItem", json!({ "RequestItems": { "t": [{ "PutRequest": { "Item": other } }] } }), "?"),
            ("BatchWriteItem", json!({ "RequestItems": { "t": [{}, { "PutRequest": { "Item": at("a") } }] } }), "? a"),
            ("TransactWriteItems", json!({ "TransactItems": [{ "Put": { "Item": other } }] }), "?"),
        ] {
            assert_eq!(asked(operation, &body).2, keys, "{operation} {body}");
        }
    }

    #[test]
    fn an_index_is_another_resource() {
        let body = json!({
            "IndexName": "sweep",
            "KeyConditionExpression": "sweepShard = :shard",
            "ExpressionAttributeValues": { ":shard": { "N": "3" } },
        });
        let index = "${Table.Arn}/index/sweep ${TableArn}/index/sweep";
        assert_eq!(asked("Query", &body), ("dynamodb:Query".to_owned(), index.to_owned(), String::new()));
    }
}
