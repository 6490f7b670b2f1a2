//! Reading the roles of the functions from `template.yaml`, and nothing else of it. What is not understood there is an
//! error, if it is about DynamoDB or Lambda, or may be: a statement that is passed over here would count on AWS.
//!
//! What is not in the template, nobody can read: a permissions boundary and managed policies, but for AWS's two for the
//! VPC and X-Ray, are warned of. Not seen, though they count on AWS, are policies of the table or of a function itself,
//! connectors of SAM, policies that name their roles otherwise than by `!Ref`, and those of an organisation.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use yaml_serde::Value;

use super::policy::{flat, statements, text, texts};
use super::{Policies, Statement, is_enforced, is_role, logical_id};
use crate::functions::Functions;

/// The policies of AWS's own that are for neither the table nor a function.
/// Source: AWS managed policy reference, `AWSLambdaVPCAccessExecutionRole` and `AWSXRayDaemonWriteAccess`.
const OF_AWS: [&str; 2] =
    ["iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole", "iam::aws:policy/AWSXRayDaemonWriteAccess"];

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
    resources: BTreeMap<String, Value>,
}

/// Roles, and statements that all of them have.
type Given = (Vec<String>, Vec<Statement>);

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
        for id in template.resources.keys() {
            let named = |problem| TemplateError::Resource { id: id.clone(), problem };
            let (given, statements) = template.given(id).map_err(named)?;
            for role in given {
                roles.entry(role).or_default().extend(statements.iter().cloned());
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
    let own = template.resources.get(&logical_id(function, "Function")).map(|function| &function["Properties"]);
    let all = [Some(&template.globals["Function"]), own].into_iter().flatten();
    let maps = all.filter_map(|properties| properties["Environment"]["Variables"].as_mapping());
    let set = maps.flatten().filter(|(_, value)| value.as_str() != Some(""));
    Ok(set.filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect())
}

impl Template {
    /// What a resource gives to roles of functions.
    fn given(&self, id: &str) -> Result<Given, String> {
        let Some(resource) = self.resources.get(id) else { return Ok(Given::default()) };
        let properties = &resource["Properties"];
        match resource["Type"].as_str() {
            Some("AWS::IAM::Role") if is_role(id) => {
                for unread in self.unread(properties) {
                    tracing::warn!(role = id, "{unread} is not looked into here: on AWS it counts");
                }
                Ok((vec![id.to_owned()], self.statements_of_role(properties)?))
            }
            Some("AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy") => {
                given_by_policy(properties)
            }
            Some("AWS::Serverless::Function") => {
                let function = Functions::names().find(|name| logical_id(name, "Function") == id);
                function.map_or(Ok(()), |name| check_role(properties, &logical_id(name, "Role")))?;
                Ok(Given::default())
            }
            _ => Ok(Given::default()),
        }
    }

    /// The statements of a role's own policies, and of managed ones that are in the template.
    fn statements_of_role(&self, role: &Value) -> Result<Vec<Statement>, String> {
        let own = flat(&role["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
        let managed = flat(&role["ManagedPolicyArns"]).into_iter().filter_map(|arn| self.managed(arn));
        let read: Result<Vec<_>, _> = own.chain(managed).map(statements).collect();
        Ok(read?.into_iter().flatten().collect())
    }

    /// What a role has that cannot be read.
    fn unread(&self, role: &Value) -> Vec<&'static str> {
        let is_unread = |arn: &&Value| {
            let is_of_aws = text(arn).is_ok_and(|arn| OF_AWS.iter().any(|policy| arn.ends_with(policy)));
            !is_of_aws && self.managed(arn).is_none()
        };
        let managed = flat(&role["ManagedPolicyArns"]).into_iter().filter(is_unread).map(|_| "a managed policy");
        let boundary = flat(&role["PermissionsBoundary"]).into_iter().map(|_| "a permissions boundary");
        managed.chain(boundary).collect()
    }

    /// The document of a managed policy that is in the template.
    fn managed(&self, arn: &Value) -> Option<&Value> {
        let policy = self.resources.get(referenced(&text(arn).ok()?)?)?;
        (policy["Type"].as_str()? == "AWS::IAM::ManagedPolicy").then(|| &policy["Properties"]["PolicyDocument"])
    }
}

/// What a policy beside its roles gives to those of functions.
fn given_by_policy(policy: &Value) -> Result<Given, String> {
    let roles = flat(&policy["Roles"]).into_iter().chain(flat(&policy["RoleName"])).map(text);
    let (known, unknown): (Vec<_>, Vec<_>) = roles.partition(Result::is_ok);
    let ids = known.iter().flatten().filter_map(|role| referenced(role)).filter(|id| is_role(id));
    let own: Vec<_> = ids.map(str::to_owned).collect();
    if own.is_empty() && unknown.is_empty() {
        return Ok(Given::default());
    }
    let statements = statements(&policy["PolicyDocument"])?;
    let is_of_interest = statements.iter().flat_map(|statement| &statement.actions).any(|action| is_enforced(action));
    if is_of_interest && !unknown.is_empty() {
        return Err("whose policy it is, is not understood here".to_owned());
    }
    Ok((own, statements))
}

/// A function has the role that is named after it, and nothing beside it.
fn check_role(function: &Value, role: &str) -> Result<(), String> {
    if texts(&function["Role"]) != Ok(vec![format!("${{{role}.Arn}}")]) {
        return Err(format!("its role is not {role}, which is the one that counts here"));
    }
    // SAM gives them to a role that it makes, and it makes none here.
    let useless = ["Policies", "PermissionsBoundary"].into_iter().find(|name| !function[*name].is_null());
    useless.map_or(Ok(()), |name| Err(format!("its {name} count nowhere: they belong to {role}")))
}

/// The logical id in a text that is a `!Ref` and nothing else.
fn referenced(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}')
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
      ManagedPolicyArns: !If [HasVpc, [!Sub 'arn:${{AWS::Partition}}:{}'], !Ref AWS::NoValue]
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
{statement}",
            OF_AWS[0]
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

    const GOOD: &str = "- { Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn }";

    fn problem(template: &str) -> String {
        Policies::parse(template).unwrap_err().to_string()
    }

    #[test]
    fn a_policy_beside_its_roles_counts() {
        let policies = "
  Shared:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: shared
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Action: dynamodb:Scan, Resource: !GetAtt Table.Arn }]
      Roles: [!Ref LoginRole, !Ref SomebodysRole]
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{ Effect: Allow, Action: dynamodb:Query, Resource: !GetAtt Table.Arn }]
  LogoutRole:
    Type: AWS::IAM::Role
    Properties: { ManagedPolicyArns: [!Ref Managed] }
";
        let policies = Policies::parse(&(role(GOOD) + policies)).unwrap();
        let expected = [
            "LoginRole: dynamodb:GetItem on ${Table.Arn}",
            "LoginRole: dynamodb:Scan on ${Table.Arn}",
            "LogoutRole: dynamodb:Query on ${Table.Arn}",
        ];
        assert_eq!(policies.grants().iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert_eq!(grants(GOOD).unwrap().len(), 1);
        for (statement, problem) in [
            (GOOD.replace("Allow", "Deny"), "the effect Deny is not understood here"),
            (GOOD.replace("Action", "NotAction"), "unknown field `NotAction`"),
            (GOOD.replace("Action: dynamodb:GetItem", "NotAction: s3:GetObject"), "unknown field `NotAction`"),
            (GOOD.replace("Resource", "NotResource"), "unknown field `NotResource`"),
            (GOOD.replace("dynamodb:GetItem", "dynamodb:*"), "the action dynamodb:* is not understood here"),
            (GOOD.replace("dynamodb:GetItem", "'*'"), "the action * is not understood here"),
            (
                GOOD.replace("dynamodb:GetItem", "DynamoDB:GetItem"),
                "the action DynamoDB:GetItem is not understood here",
            ),
            (GOOD.replace("dynamodb:GetItem", "!Ref Action"), "the action ${Action} is not understood here"),
            (GOOD.replace("!GetAtt Table.Arn", "!Join ['', [a]]"), "a value is no text, !GetAtt, !Ref or !Sub"),
            (GOOD.replace("dynamodb:GetItem", "!Join ['', [a]]"), "a value is no text, !GetAtt, !Ref or !Sub"),
            (
                GOOD.replace(" }", ", Condition: { StringLike: { a: b } } }"),
                "a condition is not ForAllValues:StringLike",
            ),
        ] {
            let err = grants(&statement).unwrap_err();
            assert!(err.starts_with("LoginRole in template.yaml: ") && err.contains(problem), "{err}");
        }
    }

    #[test]
    fn what_is_about_something_else_may_say_anything() {
        let other = GOOD.replace("dynamodb:GetItem", "'s3:*'");
        for statement in [
            other.clone(),
            other.replace("Allow", "Deny"),
            other.replace("Resource", "NotResource"),
            other.replace("!GetAtt Table.Arn", "!Join ['', [a]]"),
            other.replace("!GetAtt Table.Arn", "!Sub ['${A}', { A: a }]"),
            other.replace(" }", ", Condition: { StringLike: { a: b } } }"),
        ] {
            let grants = grants(&format!("{statement}\n{GOOD}")).unwrap();
            assert!(
                grants.contains(&"LoginRole: dynamodb:GetItem on ${Table.Arn}".to_owned()),
                "{statement}: {grants:?}"
            );
        }
    }

    #[test]
    fn whose_role_is_no_functions_may_have_any() {
        let denial = role("- { Effect: Deny, NotAction: 'dynamodb:*', NotResource: !Join ['', [a]] }");
        assert!(Policies::parse(&denial).is_err());
        let mut others = denial.replace("LoginRole", "SomebodysRole");
        for (at, (kind, roles)) in [
            ("AWS::IAM::Policy", "Roles: [!Ref SomebodysRole]"),
            ("AWS::IAM::RolePolicy", "RoleName: !Ref SomebodysRole"),
            ("AWS::IAM::ManagedPolicy", "Users: [!Ref Somebody]"),
        ]
        .into_iter()
        .enumerate()
        {
            let document = "PolicyDocument: { Statement: [{ Effect: Deny, Action: '*', Resource: '*' }] }";
            others += &format!("\n  Policy{at}: {{ Type: {kind}, Properties: {{ {roles}, {document} }} }}");
        }
        others += "\n  'Fn::ForEach::Buckets': [Name, [a, b], { 'Bucket${Name}': { Type: AWS::S3::Bucket } }]\n";
        assert!(Policies::parse(&others).unwrap().grants().is_empty());
    }

    #[test]
    fn a_policy_about_the_table_says_whose_it_is() {
        let policy = |action: &str| {
            let statement = format!("{{ Effect: Allow, Action: {action}, Resource: '*' }}");
            format!(
                "Resources:\n  Shared: {{ Type: AWS::IAM::Policy, Properties: {{ Roles: [!Select [0, !Ref Roles]], \
                 PolicyDocument: {{ Statement: [{statement}] }} }} }}"
            )
        };
        let expected = "Shared in template.yaml: whose policy it is, is not understood here";
        assert_eq!(problem(&policy("dynamodb:GetItem")), expected);
        assert!(Policies::parse(&policy("s3:GetObject")).unwrap().grants().is_empty());
    }

    #[test]
    fn a_function_has_the_role_that_counts_here() {
        let function = |role: &str| {
            format!("Resources:\n  LoginFunction: {{ Type: AWS::Serverless::Function, Properties: {{ {role} }} }}")
        };
        assert!(Policies::parse(&function("Role: !GetAtt LoginRole.Arn")).is_ok());
        for role in ["", "Role: !GetAtt LogoutRole.Arn", "Role: !If [A, !GetAtt LoginRole.Arn, !Ref RoleArn]"] {
            let expected =
                "LoginFunction in template.yaml: its role is not LoginRole, which is the one that counts here";
            assert_eq!(problem(&function(role)), expected, "{role}");
        }
        let both = function("Role: !GetAtt LoginRole.Arn, Policies: [AmazonDynamoDBFullAccess]");
        let expected = "LoginFunction in template.yaml: its Policies count nowhere: they belong to LoginRole";
        assert_eq!(problem(&both), expected);
    }

    #[test]
    fn what_a_role_has_from_elsewhere_is_known_to_be_unread() {
        let template = "
Resources:
  Managed: { Type: AWS::IAM::ManagedPolicy, Properties: { PolicyDocument: { Statement: [] } } }
  LoginRole:
    Type: AWS::IAM::Role
    Properties:
      PermissionsBoundary: !If [HasBoundary, !Ref BoundaryArn, !Ref AWS::NoValue]
      ManagedPolicyArns:
        - !Ref Managed
        - !Ref SomebodysArn
        - !Sub 'arn:${AWS::Partition}:iam::aws:policy/AmazonDynamoDBFullAccess'
        - !Sub 'arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess'
";
        let template: Template = yaml_serde::from_str(template).unwrap();
        let unread = template.unread(&template.resources["LoginRole"]["Properties"]);
        assert_eq!(unread, ["a managed policy", "a managed policy", "a permissions boundary"]);
    }
}
