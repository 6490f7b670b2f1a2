//! The file: what `aws dynamodb batch-write-item --request-items` takes, if all of it is products and cards.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::error::Category;
use shared::store::Sku;
use shared::wechat::is_card_id;

use super::unique::Unique;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Why a file is no catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CatalogFileError {
    #[error("{pk}: {name} is {expected}")]
    Attribute { pk: String, name: &'static str, expected: &'static str },
    #[error("{0} is there twice")]
    Twice(String),
    #[error("a name is there twice: {0}")]
    TwiceNamed(String),
    #[error("not as `aws dynamodb batch-write-item --request-items` takes it: {0}")]
    Malformed(&'static str),
    #[error("{0} is neither a product (PRODUCT#<sku>) nor a card (CARD#<cardId>)")]
    Neither(String),
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Card,
    Product,
}

/// An item that the functions can read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) pk: String,
    /// With its key.
    pub(super) item: Item,
}

/// Products and cards, each once.
#[derive(Debug)]
pub struct Catalog {
    pub(super) entries: Vec<Entry>,
}

impl Catalog {
    /// Reads a file's text, whatever the tables in it are called.
    ///
    /// # Errors
    ///
    /// If it has another form, or anything else in it than products and cards as the functions read them.
    pub fn parse(text: &str) -> Result<Self, CatalogFileError> {
        let malformed = CatalogFileError::Malformed;
        let no_lists = malformed("it is no object of lists");
        let Unique(tables) = serde_json::from_str(text).map_err(|err| match err.classify() {
            Category::Data => CatalogFileError::TwiceNamed(err.to_string()),
            Category::Eof | Category::Io | Category::Syntax => no_lists.clone(),
        })?;
        let tables: HashMap<String, Vec<Value>> = serde_json::from_value(tables).map_err(|_| no_lists)?;
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        for request in tables.values().flatten() {
            let item = request.get("PutRequest").and_then(|put| put.get("Item"));
            let item = item.ok_or(malformed("there is something else in it than `PutRequest` with an `Item`"))?;
            let entry = entry(map(item).ok_or(malformed("an attribute is not in DynamoDB's JSON"))?)?;
            if !seen.insert(entry.pk.clone()) {
                return Err(CatalogFileError::Twice(entry.pk));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

fn entry(item: Item) -> Result<Entry, CatalogFileError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    let pk = text("pk").ok_or(CatalogFileError::Malformed("an item has no `pk`"))?.to_owned();
    let kind = match text("sk") {
        Some("PRODUCT") if pk.starts_with("PRODUCT#") => Kind::Product,
        Some("CARD") if pk.starts_with("CARD#") => Kind::Card,
        _ => return Err(CatalogFileError::Neither(pk)),
    };
    let wrong = match kind {
        Kind::Card => wrong_with_card(&item, &pk),
        Kind::Product => wrong_with_product(&item, &pk),
    };
    match wrong {
        Some((name, expected)) => Err(CatalogFileError::Attribute { pk, name, expected }),
        None => Ok(Entry { kind, pk, item }),
    }
}

/// An attribute, and what it should be. The functions read no other one of the item.
type Wrong = (&'static str, &'static str);

fn wrong_with_product(item: &Item, pk: &str) -> Option<Wrong> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let number = |value: &AttributeValue| value.as_n().ok()?.parse::<i64>().ok().filter(|number| *number >= 0);
    let sku = text("sku").filter(|sku| pk.strip_prefix("PRODUCT#") == Some(sku.as_str()));
    match () {
        () if sku.is_none_or(|sku| Sku::try_from(sku.clone()).is_err()) => {
            Some(("sku", "not what is behind `PRODUCT#` in pk, with 1 to 64 characters"))
        }
        () if text("name").is_none_or(String::is_empty) => Some(("name", "not a text")),
        () if item.get("priceFen").and_then(number).is_none() => Some(("priceFen", "not a whole number of fen")),
        () if item.get("stock").is_some_and(|stock| number(stock).is_none()) => {
            Some(("stock", "not a whole number; without a limit it is absent"))
        }
        () => None,
    }
}

fn wrong_with_card(item: &Item, pk: &str) -> Option<Wrong> {
    let text = |name: &str| item.get(name).map(|value| value.as_s().map_or("", String::as_str));
    let id = text("cardId").filter(|id| is_card_id(id) && pk.strip_prefix("CARD#") == Some(*id));
    match () {
        () if id.is_none() => {
            Some(("cardId", "not what is behind `CARD#` in pk, with 24 characters or more, the first a letter"))
        }
        () if text("codes").is_some_and(|codes| !["client", "server", "wechat"].contains(&codes)) => {
            Some(("codes", "not `client`, `server` or `wechat`"))
        }
        () if text("appId").is_some_and(str::is_empty) => Some(("appId", "not a text")),
        () => None,
    }
}

fn map(item: &Value) -> Option<Item> {
    item.as_object()?.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

/// An attribute in DynamoDB's JSON.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let mut types = value.as_object()?.iter();
    let (Some((kind, value)), None) = (types.next(), types.next()) else { return None };
    let texts = || value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let bytes = |text: &Value| STANDARD.decode(text.as_str()?).ok().map(Blob::new);
    Some(match kind.as_str() {
        "B" => AttributeValue::B(bytes(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(bytes).collect::<Option<_>>()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "M" => AttributeValue::M(map(value)?),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "NS" => AttributeValue::Ns(texts()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "SS" => AttributeValue::Ss(texts()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(items: &[Value]) -> String {
        let requests: Vec<_> = items.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
        json!({ "any-table": requests }).to_string()
    }

    fn tea(name: &str, value: Option<Value>) -> Value {
        let mut item = json!({
            "pk": { "S": "PRODUCT#tea" }, "sk": { "S": "PRODUCT" }, "sku": { "S": "tea" }, "name": { "S": "茶" },
            "priceFen": { "N": "100" }, "stock": { "N": "5" }, "tags": { "SS": ["green"] },
        });
        match value {
            Some(value) => item[name] = value,
            None => drop(item.as_object_mut().unwrap().remove(name)),
        }
        item
    }

    fn card(name: &str, value: Value) -> Value {
        let id = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc";
        let mut item = json!({ "pk": { "S": format!("CARD#{id}") }, "sk": { "S": "CARD" }, "cardId": { "S": id } });
        item[name] = value;
        item
    }

    fn problem(item: Value) -> String {
        Catalog::parse(&file(&[item])).unwrap_err().to_string()
    }

    #[test]
    fn what_the_functions_can_read_is_taken() {
        for item in [
            tea("stock", None),
            tea("stock", Some(json!({ "N": "0" }))),
            card("codes", json!({ "S": "server" })),
            card("appId", json!({ "S": "wx1" })),
        ] {
            assert_eq!(Catalog::parse(&file(&[item])).unwrap().entries.len(), 1);
        }
        assert_eq!(Catalog::parse("{}").unwrap().entries.len(), 0);
    }

    #[test]
    fn what_the_functions_cannot_read_is_named() {
        for (name, value) in [
            ("sku", None),
            ("sku", Some(json!({ "S": "coffee" }))),
            ("name", None),
            ("name", Some(json!({ "N": "1" }))),
            ("priceFen", None),
            ("priceFen", Some(json!({ "S": "100" }))),
            ("priceFen", Some(json!({ "N": "1.5" }))),
            ("priceFen", Some(json!({ "N": "-1" }))),
            ("stock", Some(json!({ "N": "-1" }))),
            ("stock", Some(json!({ "NULL": true }))),
        ] {
            let problem = problem(tea(name, value.clone()));
            assert!(problem.starts_with(&format!("PRODUCT#tea: {name} is not ")), "{name} {value:?}: {problem}");
        }
        for (name, value) in
            [("cardId", json!({ "S": "p2" })), ("codes", json!({ "S": "nobody" })), ("appId", json!({ "N": "1" }))]
        {
            let problem = problem(card(name, value));
            assert!(problem.starts_with(&format!("CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc: {name} is not ")), "{problem}");
        }
        for id in ["pShortOf23CharactersXyz", "1795231800179523180017952318"] {
            let mut short = card("cardId", json!({ "S": id }));
            short["pk"] = json!({ "S": format!("CARD#{id}") });
            assert!(problem(short).starts_with(&format!("CARD#{id}: cardId is not ")));
        }
    }

    #[test]
    fn what_is_no_catalog_is_refused() {
        assert!(problem(tea("pk", Some(json!({ "S": "USER#1" })))).starts_with("USER#1 is neither "));
        assert!(problem(tea("sk", Some(json!({ "S": "CARD" })))).starts_with("PRODUCT#tea is neither "));
        for text in [
            "",
            "[]",
            r#"{"t":{}}"#,
            r#"{"t":[{"DeleteRequest":{"Key":{}}}]}"#,
            r#"{"t":[{"PutRequest":{"Item":{}}}]}"#,
            r#"{"t":[{"PutRequest":{"Item":{"pk":"PRODUCT#tea"}}}]}"#,
        ] {
            let err = Catalog::parse(text).unwrap_err();
            assert!(matches!(err, CatalogFileError::Malformed(_)), "{text}: {err}");
        }
        let twice = file(&[tea("stock", None), tea("stock", None)]);
        assert_eq!(Catalog::parse(&twice).unwrap_err(), CatalogFileError::Twice("PRODUCT#tea".to_owned()));
    }

    #[test]
    fn nothing_is_lost_silently() {
        let attribute = file(&[tea("stock", None)]).replace(r#""name":"#, r#""name":{"S":"x"},"name":"#);
        let table = r#"{"t":[],"u":[],"t":[]}"#.to_owned();
        for (text, name) in [(attribute, "`name`"), (table, "`t`")] {
            let err = Catalog::parse(&text).unwrap_err();
            assert!(matches!(err, CatalogFileError::TwiceNamed(_)), "{err}");
            assert!(err.to_string().contains(name), "{err}");
        }
    }
}
