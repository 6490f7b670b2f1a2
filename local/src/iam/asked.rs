//! What a request asks of AWS, in the words of policies.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{TABLES, logical_id};

/// The attribute that is the partition key of the table.
const PARTITION_KEY: &str = "pk";

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) actions: BTreeSet<String>,
    /// As `!Sub` writes it: one thing, under the names that it has.
    pub(crate) resources: Vec<String>,
    /// The partition keys (`dynamodb:LeadingKeys`).
    pub(crate) keys: BTreeSet<String>,
}

impl Asked {
    /// What a call of DynamoDB asks for. A transaction needs the actions of its parts. The documents do not say whether
    /// each of them is held against its own key or against all keys of the transaction; here it is all, which is stricter.
    ///
    /// Source: DynamoDB developer guide, "Using IAM with DynamoDB transactions" and "Using IAM policy conditions for
    /// fine-grained access control".
    pub(crate) fn of_dynamodb(operation: &str, body: &Value) -> Self {
        let mut asked = Self { resources: resources(body), ..Self::default() };
        match operation {
            "TransactGetItems" | "TransactWriteItems" => asked.transaction(body),
            "BatchGetItem" => {
                asked.actions.insert(action(operation));
                asked.keys.extend(tables(body).filter_map(|table| table["Keys"].as_array()).flatten().filter_map(key));
            }
            "BatchWriteItem" => {
                asked.actions.insert(action(operation));
                let writes = tables(body).filter_map(Value::as_array).flatten();
                let items = writes.flat_map(|write| [&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]]);
                asked.keys.extend(items.filter_map(key));
            }
            "Query" => {
                asked.actions.insert(action(operation));
                asked.keys.extend(queried(body));
            }
            _ => {
                asked.actions.insert(action(operation));
                asked.keys.extend([&body["Key"], &body["Item"]].into_iter().filter_map(key));
            }
        }
        asked
    }

    /// What the invocation of a function asks for.
    pub(crate) fn of_lambda(function: &str) -> Self {
        let actions = BTreeSet::from(["lambda:InvokeFunction".to_owned()]);
        Self { actions, resources: vec![format!("${{{}.Arn}}", logical_id(function, "Function"))], ..Self::default() }
    }

    fn transaction(&mut self, body: &Value) {
        let parts =
            body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flat_map(Map::iter);
        for (part, input) in parts {
            let name = if part == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{part}Item") };
            self.actions.insert(action(&name));
            self.keys.extend([&input["Key"], &input["Item"]].into_iter().filter_map(key));
        }
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

fn key(item: &Value) -> Option<String> {
    item[PARTITION_KEY]["S"].as_str().map(str::to_owned)
}

/// The partition key of a query: the value of the placeholder that `pk` has to equal. That of an index is no text.
fn queried(body: &Value) -> Option<String> {
    let condition = body["KeyConditionExpression"].as_str()?;
    let (_, after) = condition.split_once(&format!("{PARTITION_KEY} = "))?;
    let placeholder = after.split(' ').next()?;
    body["ExpressionAttributeValues"][placeholder]["S"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(operation: &str, body: &Value) -> (String, String, String) {
        let Asked { actions, resources, keys } = Asked::of_dynamodb(operation, body);
        let joined = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join(" ");
        (joined(actions), resources.join(" "), joined(keys))
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
