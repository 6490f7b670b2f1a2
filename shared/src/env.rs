//! Environment variables, read once, and what can be wrong with them.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::str::FromStr;

use crate::secrets_manager::SecretsManagerError;

/// The environment that a function is started with.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let variables = std::env::vars_os();
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
    }

    /// The value of a variable; one that is empty counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable that has to be set.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`]
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.get(name).ok_or(ConfigError::Missing(name))
    }

    /// The value of a variable as a `T`, or `default` where it is not set.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Malformed`] if it is not a `T` that is `valid`; `expected` says what it should be.
    pub fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        default: T,
        valid: impl Fn(&T) -> bool,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.trim().parse().ok().filter(valid).ok_or_else(|| ConfigError::malformed(name, expected))
    }

    /// The items of a comma-separated variable, without the spaces around them; none where it is not set.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let items = self.get(name).into_iter().flat_map(|list| list.split(','));
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a function cannot start. Names the variable, never its value.
#[derive(thiserror::Error)]
pub enum ConfigError {
    /// Two variables say the same thing in different ways.
    #[error("{0} and {1} are both set; set one of them")]
    Contradictory(&'static str, &'static str),
    /// The value is not what the variable takes.
    #[error("{variable} is malformed: {problem}")]
    Malformed {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong, without the value.
        problem: String,
    },
    /// The variable has no default and is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// None of two variables is set.
    #[error("{0} is not set, and neither is {1}")]
    MissingBoth(&'static str, &'static str),
    /// The secret that the variable names could not be read.
    #[error("the secret that {variable} names could not be read")]
    Secret {
        /// The variable's name.
        variable: &'static str,
        /// What went wrong.
        source: SecretsManagerError,
    },
}

/// The sentence and its reasons: `main` shows its error this way.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = std::iter::successors(self.source(), |&err| err.source());
        write!(f, "{self}")?;
        chain.into_iter().try_for_each(|err| write!(f, ": {err}"))
    }
}

impl ConfigError {
    /// A variable whose value has a `problem`, which must not contain the value.
    pub fn malformed(variable: &'static str, problem: impl fmt::Display) -> Self {
        Self::Malformed { variable, problem: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Env::from_iter([("EMPTY", "")]);
        assert_eq!(env.get("EMPTY"), None);
        assert_eq!(env.required("EMPTY").unwrap_err().to_string(), "EMPTY is not set");
    }

    #[test]
    fn a_malformed_number_is_named_and_not_shown() {
        let env = Env::from_iter([("TTL", "12 parsecs")]);
        let err = env.parsed("TTL", 1_u64, |_| true, "a whole number of seconds").unwrap_err();
        assert_eq!(err.to_string(), "TTL is malformed: a whole number of seconds");
    }

    #[test]
    fn a_list_is_split_at_commas_and_trimmed() {
        let env = Env::from_iter([("URLS", "a, b,,c ")]);
        assert_eq!(env.list("URLS"), ["a", "b", "c"]);
        assert!(env.list("UNSET").is_empty());
    }

    #[test]
    fn debug_shows_names_only() {
        assert_eq!(format!("{:?}", Env::from_iter([("SEAL_KEY", "secret")])), r#"{"SEAL_KEY"}"#);
    }
}
