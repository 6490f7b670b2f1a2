//! Who may do what: the roles of `template.yaml`, enforced here as IAM enforces them on AWS. A function that asks for more
//! than its role allows is refused on a laptop and in tests, and not first after a deployment.

mod asked;
mod guard;
mod policy;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

pub(crate) use self::asked::Asked;
pub(crate) use self::guard::{Guard, caller, in_front_of};
pub use self::template::{TemplateError, variables};
use crate::functions::Functions;

/// The table, as policies name it: the one that the template makes, or one that is there already. A role has to have both.
const TABLES: [&str; 2] = ["${Table.Arn}", "${TableArn}"];

/// The roles of the functions.
#[derive(Debug)]
pub struct Policies {
    roles: BTreeMap<String, Vec<Statement>>,
    used: Mutex<BTreeSet<Grant>>,
}

/// What a statement allows: each of the actions on each of the resources.
#[derive(Clone, Debug, Default)]
struct Statement {
    actions: Vec<String>,
    /// As `!Sub` writes them, such as `${Table.Arn}/index/sweep`.
    resources: Vec<String>,
    /// Patterns for the partition keys of a request: each key has to match one. `None`: any keys.
    keys: Option<Vec<String>>,
}

/// One thing that a role may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role's logical id.
    pub role: String,
    /// The action.
    pub action: String,
    /// On what, as `!Sub` writes it.
    pub resource: String,
    /// The pattern of partition keys, if there is one.
    pub keys: Option<String>,
}

/// Something that a role does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The role's logical id.
    pub role: String,
    /// The action.
    pub action: String,
    /// On what, as `!Sub` writes it, under the names that it has.
    pub resources: Vec<String>,
    /// The kinds of partitions: what comes before the ids.
    pub partitions: BTreeSet<String>,
}

impl Policies {
    /// What all roles allow.
    pub fn grants(&self) -> BTreeSet<Grant> {
        let statements = self.roles.iter().flat_map(|(role, statements)| statements.iter().map(move |it| (role, it)));
        statements.flat_map(|(role, statement)| statement.grants(role)).collect()
    }

    /// What the functions may do at the table and with each other, and nobody has needed so far.
    pub fn unused(&self) -> BTreeSet<Grant> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.grants().into_iter().filter(|grant| !used.contains(grant));
        unused.filter(|grant| is_enforced(&grant.action)).collect()
    }

    /// Decides as IAM does: each action needs one statement that allows it on the resource and on all of the keys.
    pub(crate) fn check(&self, role: &str, asked: &Asked) -> Result<(), Denied> {
        let statements = self.roles.get(role).map(Vec::as_slice).unwrap_or_default();
        for action in &asked.actions {
            let allowing = |statement: &&Statement| statement.allows(action, asked);
            let Some(statement) = statements.iter().find(allowing) else {
                let (role, action, resources) = (role.to_owned(), action.clone(), asked.resources.clone());
                let partitions = asked.keys.iter().map(|key| partition(key.as_deref())).collect();
                return Err(Denied { role, action, resources, partitions });
            };
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.extend(statement.needed(role, action, asked));
        }
        Ok(())
    }
}

impl Statement {
    fn allows(&self, action: &str, asked: &Asked) -> bool {
        let patterns = || self.keys.iter().flatten();
        let fits = |key: &Option<String>| key.as_ref().is_some_and(|key| patterns().any(|it| is_like(key, it)));
        self.actions.iter().any(|allowed| allowed == action)
            && asked.resources.iter().all(|resource| self.resources.contains(resource))
            && (self.keys.is_none() || asked.keys.iter().all(fits))
    }

    fn grants(&self, role: &str) -> Vec<Grant> {
        let keys: Vec<_> = match &self.keys {
            Some(patterns) => patterns.iter().map(Some).collect(),
            None => vec![None],
        };
        let pairs = self.actions.iter().flat_map(|action| self.resources.iter().map(move |it| (action, it)));
        let grant = |action: &String, resource: &String, keys: Option<&String>| Grant {
            role: role.to_owned(),
            action: action.clone(),
            resource: resource.clone(),
            keys: keys.cloned(),
        };
        pairs.flat_map(|(action, it)| keys.iter().map(move |keys| grant(action, it, *keys))).collect()
    }

    /// What of this statement a request needs.
    fn needed(&self, role: &str, action: &str, asked: &Asked) -> Vec<Grant> {
        let is_needed = |grant: &Grant| {
            let keys = grant.keys.as_ref();
            let fits = keys.is_none_or(|pattern| asked.keys.iter().flatten().any(|key| is_like(key, pattern)));
            grant.action == action && asked.resources.contains(&grant.resource) && fits
        };
        self.grants(role).into_iter().filter(is_needed).collect()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, action, resource, keys } = self;
        write!(f, "{role}: {action} on {resource}")?;
        keys.as_ref().map_or(Ok(()), |keys| write!(f, ", {keys}"))
    }
}

/// The logical id in `template.yaml` of something of a function's: `user-info` -> `UserInfoRole`.
pub fn logical_id(function: &str, what: &str) -> String {
    let words = function.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.chain([what.to_owned()]).collect()
}

/// Whether a name is that of a function's role.
fn is_role(name: &str) -> bool {
    Functions::names().any(|function| logical_id(function, "Role") == name)
}

/// Whether it is here that an action is refused. Secrets are AWS's own, on the local machine too.
fn is_enforced(action: &str) -> bool {
    action.starts_with("dynamodb:") || action.starts_with("lambda:")
}

/// What a key may be called in a message: it ends where an id begins.
fn partition(key: Option<&str>) -> String {
    match key.map(|key| (key, key.split_once('#'))) {
        Some((_, Some((kind, _)))) => format!("{kind}#*"),
        Some((key, None)) if key.bytes().all(|byte| byte.is_ascii_uppercase()) => key.to_owned(),
        _ => "?".to_owned(),
    }
}

/// `StringLike`: `*` is any text, `?` any character.
/// Source: IAM user guide, "IAM JSON policy elements: Condition operators", string condition operators.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            let mut tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            tails.any(|tail| is_like(tail, rest))
        }
        Some(first) => {
            let mut letters = text.chars();
            let is_same = letters.next().is_some_and(|letter| first == '?' || first == letter);
            is_same && is_like(letters.as_str(), &pattern[first.len_utf8()..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logical_id_is_the_functions_name_in_pascal_case() {
        assert_eq!(logical_id("login", "Function"), "LoginFunction");
        assert_eq!(logical_id("user-info", "Role"), "UserInfoRole");
    }

    #[test]
    fn a_pattern_is_like_a_text() {
        for (text, pattern) in [
            ("USER#u_1", "USER#*"),
            ("QUARANTINE", "QUARANTINE"),
            ("TOKEN#wx#1#wx_card", "TOKEN#*#wx_card"),
            ("é", "?"),
        ] {
            assert!(is_like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("USER#u_1", "ORDER#*"),
            ("USER", "USER#*"),
            ("XUSER#1", "USER#*"),
            ("QUARANTINE2", "QUARANTINE"),
            ("TOKEN#wx1#jsapi", "TOKEN#*#wx_card"),
            ("", "?"),
        ] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
    }

    fn policies(resource: &str, keys: &[&str]) -> Policies {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let actions = texts(&["dynamodb:GetItem"]);
        let statement = |key: &&str| Statement {
            actions: actions.clone(),
            resources: texts(&resource.split(' ').collect::<Vec<_>>()),
            keys: Some(texts(&[*key])),
        };
        let roles = BTreeMap::from([("LoginRole".to_owned(), keys.iter().map(statement).collect())]);
        Policies { roles, used: Mutex::default() }
    }

    fn get(keys: &[&str]) -> Asked {
        let actions = BTreeSet::from(["dynamodb:GetItem".to_owned()]);
        let keys = keys.iter().map(|key| Some((*key).to_owned())).collect();
        Asked { actions, resources: TABLES.map(str::to_owned).into(), keys }
    }

    #[test]
    fn one_statement_has_to_allow_all_keys_on_the_table_under_each_of_its_names() {
        let both = "${Table.Arn} ${TableArn}";
        assert!(policies(both, &["A#*", "B#*"]).check("LoginRole", &get(&["A#1", "A#2"])).is_ok());
        assert!(policies(both, &["A#*", "B#*"]).check("LoginRole", &get(&["A#1", "B#2"])).is_err());
        assert!(policies("${Table.Arn}", &["A#*"]).check("LoginRole", &get(&["A#1"])).is_err());
        assert!(policies("${TableArn}", &["A#*"]).check("LoginRole", &get(&["A#1"])).is_err());
        assert!(policies(both, &["A#*"]).check("LogoutRole", &get(&["A#1"])).is_err());
    }

    #[test]
    fn a_key_that_is_not_understood_needs_a_statement_without_a_condition() {
        let mut policies = policies("${Table.Arn} ${TableArn}", &["*"]);
        let unknown = || Asked { keys: [None, Some("A#1".to_owned())].into(), ..get(&[]) };
        assert_eq!(
            policies.check("LoginRole", &unknown()).unwrap_err().partitions,
            ["?", "A#*"].map(str::to_owned).into()
        );
        // Of no keys all fit, as on AWS.
        assert!(policies.check("LoginRole", &get(&[])).is_ok());
        for statement in policies.roles.values_mut().flatten() {
            statement.keys = None;
        }
        assert!(policies.check("LoginRole", &unknown()).is_ok());
    }

    #[test]
    fn what_was_needed_once_is_not_unused() {
        let policies = policies("${Table.Arn} ${TableArn}", &["A#*", "B#*"]);
        assert_eq!(policies.unused().len(), 4);
        assert!(policies.check("LoginRole", &get(&["A#1"])).is_ok());
        let left: Vec<_> = policies.unused().iter().map(ToString::to_string).collect();
        let expected =
            ["${Table.Arn}", "${TableArn}"].map(|table| format!("LoginRole: dynamodb:GetItem on {table}, B#*"));
        assert_eq!(left, expected);
    }

    #[test]
    fn a_message_names_no_key() {
        assert_eq!(partition(Some("OPENID#wx1#oSecret")), "OPENID#*");
        assert_eq!(partition(Some("QUARANTINE")), "QUARANTINE");
        assert_eq!(partition(Some("oSecret")), "?");
        assert_eq!(partition(None), "?");
    }
}
