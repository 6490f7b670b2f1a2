//! Reading the roles of `template.yaml`. What is not understood is an error: a statement that is passed over here would
//! count on AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use yaml_serde::Value;
use yaml_serde::value::TaggedValue;

use super::{Policies, Statement, is_enforced, logical_id};

/// Why the roles cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TemplateError {
    #[error("template.yaml cannot be read")]
    File(#[from] io::Error),
    #[error("template.yaml is not a template")]
    Yaml(#[from] yaml_serde::Error),
    #[error("{id} in template.yaml: {problem}")]
    Resource { id: String, problem: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    #[serde(default)]
    globals: Value,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Policy {
    #[serde(rename = "PolicyName")]
    _name: Value,
    policy_document: Document,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "Version")]
    _version: Value,
    statement: Value,
}

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

impl Policies {
    /// The roles in a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has something that is not understood here.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// The roles in a template's text.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let template: Template = yaml_serde::from_str(template)?;
        let mut roles = BTreeMap::<String, Vec<Statement>>::new();
        for (id, Resource { r#type, properties }) in template.resources {
            let named = |problem| TemplateError::Resource { id: id.clone(), problem };
            match r#type.as_str() {
                "AWS::IAM::Role" => {
                    let own = statements_of_role(&properties).map_err(named)?;
                    roles.entry(id).or_default().extend(own);
                }
                "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy" => {
                    let (attached, statements) = policy_of_roles(&properties).map_err(named)?;
                    for role in attached {
                        roles.entry(role).or_default().extend(statements.iter().cloned());
                    }
                }
                _ => {}
            }
        }
        Ok(Self { roles, used: Mutex::default() })
    }
}

/// The variables that a function has in a template, those of all functions included. One that is empty is unset.
///
/// # Errors
///
/// If it is no template.
pub fn variables(template: &str, function: &str) -> Result<BTreeSet<String>, TemplateError> {
    let template: Template = yaml_serde::from_str(template)?;
    let own = template.resources.get(&logical_id(function, "Function")).map(|function| &function.properties);
    let all = [Some(&template.globals["Function"]), own].into_iter().flatten();
    let maps = all.filter_map(|properties| properties["Environment"]["Variables"].as_mapping());
    let set = maps.flatten().filter(|(_, value)| value.as_str() != Some(""));
    Ok(set.filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect())
}

/// The statements of a role's own policies. AWS's managed ones, for the VPC and X-Ray, are not looked into.
fn statements_of_role(role: &Value) -> Result<Vec<Statement>, String> {
    let mut all = Vec::new();
    for policy in flat(&role["Policies"]) {
        all.extend(statements(&read::<Policy>(policy)?.policy_document)?);
    }
    Ok(all)
}

/// The roles that a policy beside them is attached to, and its statements.
fn policy_of_roles(policy: &Value) -> Result<(Vec<String>, Vec<Statement>), String> {
    let roles = texts(&policy["Roles"])?.into_iter().chain(texts(&policy["RoleName"])?);
    let ids = roles.map(|role| role.trim_start_matches("${").trim_end_matches('}').to_owned());
    Ok((ids.collect(), statements(&read(&policy["PolicyDocument"])?)?))
}

fn statements(document: &Document) -> Result<Vec<Statement>, String> {
    flat(&document.statement).into_iter().map(|entry| statement(&read(entry)?)).collect()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    yaml_serde::from_value(value.clone()).map_err(|err| err.to_string())
}

fn statement(entry: &Entry) -> Result<Statement, String> {
    if entry.effect != "Allow" {
        return Err(format!("the effect {} is not understood here", entry.effect));
    }
    let (actions, resources) = (texts(&entry.action)?, texts(&entry.resource)?);
    let keys = match &entry.condition {
        Some(condition) if actions.iter().any(|action| is_enforced(action)) => Some(leading_keys(condition)?),
        _ => None,
    };
    Ok(Statement { actions, resources, keys })
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
fn flat(value: &Value) -> Vec<&Value> {
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
fn texts(value: &Value) -> Result<Vec<String>, String> {
    flat(value).into_iter().map(text).collect()
}

fn text(value: &Value) -> Result<String, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn role(statement: &str) -> String {
        let statement: String = statement.lines().map(|line| format!("                {line}\n")).collect();
        format!(
            "Resources:
  LoginRole:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: !If [HasVpc, [!Sub 'arn:${{AWS::Partition}}:iam::aws:policy/x'], !Ref AWS::NoValue]
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
{statement}"
        )
    }

    fn grants(statement: &str) -> Result<Vec<String>, String> {
        let policies = Policies::parse(&role(statement)).map_err(|err| err.to_string())?;
        Ok(policies.grants().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_role_is_read() {
        let statement = "\
- Sid: Users
  Effect: Allow
  Action: [dynamodb:GetItem, dynamodb:PutItem]
  Resource: !GetAtt Table.Arn
  Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['USER#*', 'SESSION#*'] } }
- Effect: Allow
  Action: dynamodb:Query
  Resource: !Sub '${Table.Arn}/index/sweep'
- !If
  - HasOwnSecret
  - Effect: Allow
    Action: secretsmanager:GetSecretValue
    Resource: [!Ref Secret, !If [HasArn, !Ref Arn, !Ref 'AWS::NoValue']]
  - !Ref AWS::NoValue";
        let expected = [
            "LoginRole: dynamodb:GetItem on ${Table.Arn}, SESSION#*",
            "LoginRole: dynamodb:GetItem on ${Table.Arn}, USER#*",
            "LoginRole: dynamodb:PutItem on ${Table.Arn}, SESSION#*",
            "LoginRole: dynamodb:PutItem on ${Table.Arn}, USER#*",
            "LoginRole: dynamodb:Query on ${Table.Arn}/index/sweep",
            "LoginRole: secretsmanager:GetSecretValue on ${Arn}",
            "LoginRole: secretsmanager:GetSecretValue on ${Secret}",
        ];
        assert_eq!(grants(statement).unwrap(), expected);
    }

    #[test]
    fn a_policy_beside_its_roles_counts() {
        let policy = "
  Shared:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: shared
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Action: dynamodb:Scan, Resource: !GetAtt Table.Arn }]
      Roles: [!Ref LoginRole]
";
        let own = "- { Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn }";
        let policies = Policies::parse(&(role(own) + policy)).unwrap();
        let expected = ["LoginRole: dynamodb:GetItem on ${Table.Arn}", "LoginRole: dynamodb:Scan on ${Table.Arn}"];
        assert_eq!(policies.grants().iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let good = "- { Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn }";
        assert_eq!(grants(good).unwrap().len(), 1);
        for (statement, problem) in [
            (good.replace("Allow", "Deny"), "the effect Deny is not understood here"),
            (good.replace("Action", "NotAction"), "unknown field `NotAction`"),
            (good.replace("!GetAtt Table.Arn", "!Join ['', [a]]"), "a value is no text, !GetAtt, !Ref or !Sub"),
            (
                good.replace(" }", ", Condition: { StringLike: { a: b } } }"),
                "a condition is not ForAllValues:StringLike",
            ),
        ] {
            let err = grants(&statement).unwrap_err();
            assert!(err.starts_with("LoginRole in template.yaml: ") && err.contains(problem), "{err}");
        }
    }
}
