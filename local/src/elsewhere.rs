//! What is given from outside and is not on this machine: it may be what a shop runs on.

use shared::env::{ConfigError, Env};
use url::{Host, Url};

const TABLE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
const WECHAT: &str = "WECHAT_API_URLS";
const PAY: &str = "WECHATPAY_API_URLS";

/// The variables that name an endpoint.
const ENDPOINTS: [&str; 4] = [TABLE, "AWS_ENDPOINT_URL_LAMBDA", WECHAT, PAY];

/// What the sandbox stands in for.
const SANDBOX: [&str; 2] = [WECHAT, PAY];

/// Where WeChat Pay tells of payments. It is told to WeChat Pay, and no function calls it.
const NOTIFY: &str = "PAY_NOTIFY_URL";

/// What has a default that is of no use with a table that others use.
const OF_TABLE: [&str; 2] = ["TABLE_NAME", NOTIFY];

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
        "{real} is not on this machine, and {}: the sandbox would work with what is real, and could write its tokens \
         there, or tell it of payments that were none; set all of it, or start with --mixed",
        gaps(.missing, .here)
    )]
    Mixed { real: &'static str, missing: Vec<&'static str>, here: Vec<&'static str> },
}

fn gaps(missing: &[&str], here: &[&str]) -> String {
    let gaps = [("not set is", missing), ("on it is", here)].into_iter().filter(|(_, names)| !names.is_empty());
    gaps.map(|(what, names)| format!("{what} {}", names.join(", "))).collect::<Vec<_>>().join(", and ")
}

/// Whether the table that is given is on another machine.
fn has_table(outside: &Env) -> bool {
    names_another_machine(outside, TABLE)
}

/// What `cargo dev` was told about timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedTimers {
    /// Nothing.
    Default,
    /// `--schedule`.
    Run,
    /// `--no-schedule`.
    None,
}

/// What becomes of the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    /// They run.
    Run,
    /// They do not, as was asked.
    None,
    /// They do not, though nothing was said: a table of another machine has timers of its own.
    LeftToTable,
}

impl Timers {
    /// Decides.
    #[must_use]
    pub fn of(asked: AskedTimers, outside: &Env) -> Self {
        match asked {
            AskedTimers::None => Self::None,
            AskedTimers::Default if has_table(outside) => Self::LeftToTable,
            AskedTimers::Default | AskedTimers::Run => Self::Run,
        }
    }
}

/// Refuses to start where some of the endpoints are on other machines and the sandbox would be the rest. Where it is the
/// table, nothing else may be made up either: no key of this machine's own opens what is sealed there; and a WeChat on
/// this machine is a sandbox. Nor may a sandbox tell another machine of payments.
pub(crate) fn refuse_mixed(outside: &Env) -> Result<(), EndpointError> {
    for variable in [TABLE, "AWS_ENDPOINT_URL_LAMBDA"] {
        if outside.get(variable).is_some_and(|url| Url::parse(url).is_err()) {
            return Err(ConfigError::malformed(variable, "expected an http or https URL").into());
        }
    }
    let (real, missing, here) = gaps_of(outside);
    if missing.is_empty() && here.is_empty() { Ok(()) } else { Err(EndpointError::Mixed { real, missing, here }) }
}

/// What is real, and what the sandbox would be: what is not set, and what is on this machine.
fn gaps_of(outside: &Env) -> (&'static str, Vec<&'static str>, Vec<&'static str>) {
    let unset = |names: &[&'static str]| -> Vec<_> {
        names.iter().copied().filter(|name| outside.get(name).is_none()).collect()
    };
    let here = |names: &[&'static str]| -> Vec<_> {
        names.iter().copied().filter(|name| names_url(outside, name, is_here)).collect()
    };
    let is_real = |name: &&str| names_another_machine(outside, name);
    match ENDPOINTS.into_iter().find(is_real) {
        Some(TABLE) => {
            let made_up = MADE_UP.into_iter().filter(|(text, secret)| unset(&[*text, *secret]).len() == 2);
            let missing = [unset(&SANDBOX), unset(&OF_TABLE), made_up.map(|(text, _)| text).collect()].concat();
            (TABLE, missing, here(&[WECHAT, PAY, NOTIFY]))
        }
        Some(real) if !unset(&SANDBOX).is_empty() => (real, unset(&SANDBOX), Vec::new()),
        // Over plain http WeChat Pay is told of no other machine.
        _ if names_url(outside, NOTIFY, |url| url.scheme() == "https" && !is_here(url)) => {
            (NOTIFY, unset(&[PAY]), here(&[PAY]))
        }
        _ => (NOTIFY, Vec::new(), Vec::new()),
    }
}

fn names_another_machine(outside: &Env, variable: &str) -> bool {
    names_url(outside, variable, |url| !is_here(url))
}

/// What is no URL names no machine.
fn names_url(outside: &Env, variable: &str, is_such: impl Fn(&Url) -> bool) -> bool {
    outside.list(variable).into_iter().any(|url| Url::parse(url).is_ok_and(|url| is_such(&url)))
}

/// An address that is no one's in particular leads to this machine, where it leads anywhere.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified(),
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
        for url in [
            "http://127.0.0.1:8000",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://LocalHost:1",
            "http://localhost.:1",
            "http://0.0.0.0:8000",
            "http://[::]:8000",
        ] {
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
            ("TABLE_NAME", "shop"),
            (NOTIFY, "https://shop.example/pay-notify"),
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
    fn a_real_table_goes_with_no_sandbox_that_was_given() {
        let real = |name: &'static str| match name {
            TABLE => AWS,
            _ => "https://a.example",
        };
        let rest = ["TABLE_NAME", "WECHAT_APPS", "WECHATPAY", "SEAL_KEY"].map(|name| (name, "x"));
        for here in [WECHAT, PAY, NOTIFY] {
            let urls = [TABLE, WECHAT, PAY, NOTIFY].map(|name| (name, real(name)));
            assert_eq!(refusal(&[&rest[..], &urls].concat()), None);
            let local = "http://127.0.0.1:9001";
            let urls = urls.map(|(name, url)| (name, if name == here { local } else { url }));
            let refusal = refusal(&[&rest[..], &urls].concat()).unwrap();
            assert!(
                refusal.starts_with(&format!("{TABLE} is not on this machine, and on it is {here}: ")),
                "{refusal}"
            );
        }
        let both =
            refusal(&[&rest[1..], &[(TABLE, AWS), (WECHAT, "http://[::1]:1"), (PAY, AWS), (NOTIFY, AWS)]].concat());
        let expected = format!("{TABLE} is not on this machine, and not set is TABLE_NAME, and on it is {WECHAT}: ");
        assert!(both.unwrap().starts_with(&expected));
    }

    #[test]
    fn a_sandbox_tells_this_machine_of_payments_and_no_other() {
        let real = (NOTIFY, "https://shop.example/pay-notify");
        for (pay, expected) in [(None, "not set is"), (Some((PAY, "http://127.0.0.1:9001")), "on it is")] {
            let given: Vec<_> = [real].into_iter().chain(pay).collect();
            let refusal = refusal(&given).unwrap();
            let expected = format!("{NOTIFY} is not on this machine, and {expected} {PAY}: ");
            assert!(refusal.starts_with(&expected), "{refusal}");
        }
        assert_eq!(
            refusal(&[real, (PAY, "https://api.mch.weixin.qq.com"), (WECHAT, "https://api.weixin.qq.com")]),
            None
        );
        assert_eq!(refusal(&[(NOTIFY, "http://127.0.0.1:9000/pay-notify")]), None);
    }

    #[test]
    fn timers_run_unless_the_table_has_its_own_or_an_option_says_no() {
        let given = |url: &str| Env::from_iter([(TABLE, url)]);
        let (none, here, far) = (Env::default(), given("http://127.0.0.1:8000"), given(AWS));
        for (asked, outside, expected) in [
            (AskedTimers::Default, &none, Timers::Run),
            (AskedTimers::Default, &here, Timers::Run),
            (AskedTimers::Default, &far, Timers::LeftToTable),
            (AskedTimers::Run, &none, Timers::Run),
            (AskedTimers::Run, &here, Timers::Run),
            (AskedTimers::Run, &far, Timers::Run),
            (AskedTimers::None, &none, Timers::None),
            (AskedTimers::None, &here, Timers::None),
            (AskedTimers::None, &far, Timers::None),
        ] {
            assert_eq!(Timers::of(asked, outside), expected, "{asked:?} {outside:?}");
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
