//! The hosts of one service, and which of them is in use.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use url::Url;

use super::base_url;
use crate::clock::Clock;
use crate::env::{ConfigError, Env};

/// How long a host that could not be reached is passed over.
const HOST_PENALTY: Duration = Duration::from_secs(60);

/// The hosts of a service, the preferred first, and which of them is in use.
#[derive(Debug)]
pub struct Hosts {
    urls: Vec<Url>,
    clock: Clock,
    /// The host in use and the time until which it is, if that is not the first one.
    fallback: Mutex<Option<(usize, SystemTime)>>,
}

impl Hosts {
    /// The hosts that `variable` names, or the service's own.
    ///
    /// # Errors
    ///
    /// If one of them is not a base URL.
    pub fn from_env(env: &Env, clock: &Clock, variable: &'static str, own: &[&str]) -> Result<Self, ConfigError> {
        let urls = match env.get(variable) {
            Some(_) => env.list(variable),
            None => own.to_vec(),
        };
        let urls = urls.into_iter().map(base_url).collect::<Option<Vec<_>>>().filter(|urls| !urls.is_empty());
        let problem = "expected http or https URLs without query or user, separated by commas";
        let urls = urls.ok_or_else(|| ConfigError::malformed(variable, problem))?;
        Ok(Self { urls, clock: clock.clone(), fallback: Mutex::new(None) })
    }

    /// The preferred host.
    pub fn first(&self) -> &str {
        self.urls[0].as_str()
    }

    pub(crate) fn count(&self) -> usize {
        self.urls.len()
    }

    pub(crate) fn preferred(&self) -> usize {
        let mut fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        match *fallback {
            Some((host, until)) if self.clock.now() < until => host,
            _ => {
                *fallback = None;
                0
            }
        }
    }

    pub(crate) fn pass_over(&self, host: usize) {
        let until = self.clock.now() + HOST_PENALTY;
        let next = (host + 1) % self.count();
        *self.fallback.lock().unwrap_or_else(PoisonError::into_inner) = Some((next, until));
    }

    pub(crate) fn url(&self, host: usize, path: &str) -> Url {
        let mut url = self.urls.get(host).unwrap_or(&self.urls[0]).clone();
        let path = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(urls: &str) -> Result<Hosts, ConfigError> {
        Hosts::from_env(&Env::from_iter([("API_URLS", urls)]), &Clock::system(), "API_URLS", &["https://own.example"])
    }

    #[test]
    fn without_a_variable_the_service_s_own_host_is_asked() {
        assert_eq!(hosts("").unwrap().first(), "https://own.example/");
    }

    #[test]
    fn base_urls_keep_their_path_and_nothing_else_is_one() {
        let parsed = hosts("http://127.0.0.1:9001/wx/, https://api2.weixin.qq.com").unwrap();
        assert_eq!(parsed.url(0, "/sns/x").as_str(), "http://127.0.0.1:9001/wx/sns/x");
        assert_eq!(parsed.url(1, "/sns/x").as_str(), "https://api2.weixin.qq.com/sns/x");
        for url in ["nonsense", "ftp://x", "https://u@x", "https://:p@x", "https://x?q", ","] {
            let err = hosts(url).unwrap_err();
            assert!(err.to_string().starts_with("API_URLS is malformed"), "{err}");
        }
    }
}
