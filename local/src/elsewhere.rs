//! What is given from outside and is not on this machine: it may be what a shop runs on.

use shared::env::{ConfigError, Env};
use url::{Host, Url};

const TABLE: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The variables that name an endpoint.
const ENDPOINTS: [&str; 4] = [TABLE, "AWS_ENDPOINT_URL_LAMBDA", "WECHAT_API_URLS", "WECHATPAY_API_URLS"];

/// What the sandbox stands in for.
const SANDBOX: [&str; 2] = ["WECHAT_API_URLS", "WECHATPAY_API_URLS"];

/// What is made up for the sandbox, and is no good for the rows of a table that others use: each may be given as text, or
/// by the name of a secret.
const MADE_UP: [(&str, &str); 3] = [
    ("WECHAT_APPS", "WECHAT_APPS_SECRET_ARN"),
    ("WECHATPAY", "WECHATPAY_SECRET_ARN"),
    ("SEAL_KEY", "SEAL_KEY_SECRET_ARN"),
];

/// Why these endpoints are not started with.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EndpointError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "{real} is not on this machine, and not set is {}: the sandbox would work with what is real, and could write its \
         tokens there; set all of it, or start with --mixed",
        .missing.join(", ")
    )]
    Mixed { real: &'static str, missing: Vec<&'static str> },
}

/// Whether the table that is given is on another machine.
#[must_use]
pub fn has_table(outside: &Env) -> bool {
    names_another_machine(outside, TABLE)
}

/// Refuses to start where some of the endpoints are on other machines and the sandbox would be the rest. Where it is the
/// table, nothing else may be made up either: no key of this machine's own opens what is sealed there.
pub(crate) fn refuse_mixed(outside: &Env) -> Result<(), EndpointError> {
    for variable in [TABLE, "AWS_ENDPOINT_URL_LAMBDA"] {
        if outside.get(variable).is_some_and(|url| Url::parse(url).is_err()) {
            return Err(ConfigError::malformed(variable, "expected an http or https URL").into());
        }
    }
    let Some(real) = ENDPOINTS.into_iter().find(|variable| names_another_machine(outside, variable)) else {
        return Ok(());
    };
    let is_set = |variable: &str| outside.get(variable).is_some();
    let made_up = MADE_UP.into_iter().filter(|(text, secret)| real == TABLE && !is_set(text) && !is_set(secret));
    let missing = SANDBOX.into_iter().filter(|variable| !is_set(variable)).chain(made_up.map(|(text, _)| text));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() { Ok(()) } else { Err(EndpointError::Mixed { real, missing }) }
}

/// What is no URL names no machine.
fn names_another_machine(outside: &Env, variable: &str) -> bool {
    outside.list(variable).into_iter().any(|url| Url::parse(url).is_ok_and(|url| !is_here(&url)))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ["localhost", "host.docker.internal"].contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: &str = "https://dynamodb.us-east-1.amazonaws.com";

    fn refusal(variables: &[(&str, &str)]) -> Option<String> {
        refuse_mixed(&Env::from_iter(variables.iter().copied())).err().map(|err| err.to_string())
    }

    #[test]
    fn what_is_on_this_machine_mixes_with_the_sandbox() {
        assert_eq!(refusal(&[]), None);
        for url in
            ["http://127.0.0.1:8000", "http://127.9.9.9", "http://[::1]:1", "http://LocalHost:1", "http://localhost.:1"]
        {
            for variable in ENDPOINTS {
                assert_eq!(refusal(&[(variable, url)]), None, "{variable} {url}");
            }
            assert!(!has_table(&Env::from_iter([(TABLE, url)])), "{url}");
        }
        // Names and keys alone lead nowhere.
        assert_eq!(refusal(&[("TABLE_NAME", "prod"), ("AWS_ACCESS_KEY_ID", "AKIA"), ("SEAL_KEY", "x")]), None);
    }

    #[test]
    fn a_real_half_is_refused_by_the_name_of_what_is_missing() {
        let all = [
            (TABLE, AWS),
            ("WECHAT_API_URLS", "https://api.weixin.qq.com"),
            ("WECHATPAY_API_URLS", "https://api.mch.weixin.qq.com"),
            ("WECHAT_APPS", "x"),
            ("WECHATPAY_SECRET_ARN", "arn:x"),
            ("SEAL_KEY", "x"),
        ];
        assert_eq!(refusal(&all), None);
        for without in 1..all.len() {
            let mut given = all.to_vec();
            let (missing, _) = given.remove(without);
            let refusal = refusal(&given).unwrap();
            let missing = missing.trim_end_matches("_SECRET_ARN");
            assert!(
                refusal.starts_with(&format!("{TABLE} is not on this machine, and not set is {missing}: ")),
                "{refusal}"
            );
            assert!(refusal.ends_with("or start with --mixed") && !refusal.contains("amazonaws"), "{refusal}");
        }
        for url in ["http://192.168.1.5:8000", "http://localhost.evil.example", "https://[2001:db8::1]"] {
            assert!(refusal(&[(TABLE, url)]).is_some() && has_table(&Env::from_iter([(TABLE, url)])), "{url}");
        }
    }

    #[test]
    fn a_table_of_ones_own_goes_with_the_real_wechat() {
        let wechat = ("WECHAT_API_URLS", "http://127.0.0.1:1,https://api.weixin.qq.com");
        let pay = ("WECHATPAY_API_URLS", "https://api.mch.weixin.qq.com");
        assert_eq!(refusal(&[wechat, pay]), None);
        let half = refusal(&[wechat]).unwrap();
        assert!(
            half.starts_with("WECHAT_API_URLS is not on this machine, and not set is WECHATPAY_API_URLS: "),
            "{half}"
        );
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named() {
        let expected = format!("{TABLE} is malformed: expected an http or https URL");
        assert_eq!(refusal(&[(TABLE, "nonsense")]), Some(expected));
    }
}
