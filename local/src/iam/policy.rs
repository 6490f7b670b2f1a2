//! Policies as templates have them: what each statement allows, on what.

use serde::Deserialize;
use yaml_serde::Value;
use yaml_serde::value::TaggedValue;

use super::{Statement, is_enforced};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    action: Value,
    resource: Value,
    #[serde(default)]
    condition: Option<Value>,
}

/// The statements of a document. One that is not understood is passed over, if it is not about what is enforced here.
pub(super) fn statements(document: &Value) -> Result<Vec<Statement>, String> {
    let entries = flat(&document["Statement"]);
    if entries.is_empty() {
        return Err("a policy's statements are not understood here".to_owned());
    }
    let read = entries.into_iter().map(|entry| match statement(entry) {
        Err(_) if !may_be_enforced(entry) => Ok(None),
        read => read.map(Some),
    });
    read.filter_map(Result::transpose).collect()
}

fn statement(entry: &Value) -> Result<Statement, String> {
    let entry: Entry = yaml_serde::from_value(entry.clone()).map_err(|err| err.to_string())?;
    if entry.effect != "Allow" {
        return Err(format!("the effect {} is not understood here", entry.effect));
    }
    let (actions, resources) = (texts(&entry.action)?, texts(&entry.resource)?);
    if let Some(action) = actions.iter().find(|action| is_any_enforced(action) && !is_one_enforced(action)) {
        return Err(format!("the action {action} is not understood here"));
    }
    let keys = match &entry.condition {
        Some(condition) if actions.iter().any(|action| is_enforced(action)) => Some(leading_keys(condition)?),
        _ => None,
    };
    Ok(Statement { actions, resources, keys })
}

/// Whether a statement says something of an action that is enforced, or may do so.
fn may_be_enforced(entry: &Value) -> bool {
    let actions = texts(&entry["Action"]).unwrap_or_default();
    actions.is_empty() || actions.iter().any(|action| is_any_enforced(action)) || !entry["NotAction"].is_null()
}

/// Whether what a statement calls an action may be one that is enforced: names have no case, and may have wildcards.
/// Source: IAM user guide, "IAM JSON policy elements: Action".
fn is_any_enforced(action: &str) -> bool {
    let service = action.split(':').next().unwrap_or_default();
    service.contains(['*', '?', '$']) || ["dynamodb", "lambda"].iter().any(|name| service.eq_ignore_ascii_case(name))
}

/// Whether it is exactly one of them.
fn is_one_enforced(action: &str) -> bool {
    is_enforced(action) && !action.contains(['*', '?', '$'])
}

/// The one condition that is understood: that all partition keys match.
fn leading_keys(condition: &Value) -> Result<Vec<String>, String> {
    let only = |value: &Value, name: &str| {
        let map = value.as_mapping().filter(|map| map.len() == 1);
        map.and_then(|map| map.get(name)).cloned().ok_or_else(|| format!("a condition is not {name} alone"))
    };
    texts(&only(&only(condition, "ForAllValues:StringLike")?, "dynamodb:LeadingKeys")?)
}

/// The items of a list, or the one in its place; both branches of an `!If`, and nothing for `AWS::NoValue`.
pub(super) fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Sequence(items) => items.iter().flat_map(flat).collect(),
        Value::Tagged(tagged) if tagged.tag == "If" => {
            tagged.value.as_sequence().into_iter().flatten().skip(1).flat_map(flat).collect()
        }
        Value::Tagged(tagged) if tagged.tag == "Ref" && tagged.value == "AWS::NoValue" => Vec::new(),
        value => vec![value],
    }
}

/// Texts, as `!Sub` would write them.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    flat(value).into_iter().map(text).collect()
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    let tagged = |TaggedValue { tag, value }: &TaggedValue| match value.as_str() {
        Some(name) if *tag == "GetAtt" || *tag == "Ref" => Some(format!("${{{name}}}")),
        Some(text) if *tag == "Sub" => Some(text.to_owned()),
        _ => None,
    };
    let text = match value {
        Value::String(text) => Some(text.clone()),
        Value::Tagged(value) => tagged(value),
        _ => None,
    };
    text.ok_or_else(|| "a value is no text, !GetAtt, !Ref or !Sub".to_owned())
}
