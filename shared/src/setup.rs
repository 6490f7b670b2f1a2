//! What a function is started with. Each asks for what it uses, and for nothing else.

mod payments;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use lambda_http::http::Uri;

use crate::aws::{self, Caller};
use crate::clock::Clock;
use crate::egress::EgressIps;
use crate::env::{ConfigError, Env};
use crate::lambda::Lambda;
use crate::log;
use crate::net::{HttpClient, Tls, base_url};
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::secrets_manager::SecretsManager;
use crate::store::{Table, TokenRows};
use crate::tokens::Tokens;
use crate::wechat::{Apps, WechatClient};

const SESSION_TTL_SECS: &str = "SESSION_TTL_SECS";
const AWS_REGION: &str = "AWS_REGION";

/// A week.
const DEFAULT_SESSION_TTL_SECS: u64 = 604_800;
/// Ten years: more is a mistake.
const LONGEST_SESSION_TTL_SECS: u64 = 315_360_000;

/// The environment of a function, and what is made from it.
#[derive(Debug)]
pub struct Setup {
    env: Env,
    clock: Clock,
    tls: Tls,
    connects_early: bool,
}

impl Setup {
    /// The environment of this process. From here on, `function` logs to standard output.
    ///
    /// # Errors
    ///
    /// If `RUST_LOG`, `METRICS_NAMESPACE` or `SSL_CERT_FILE` is malformed.
    pub fn from_process(function: &str) -> Result<Self, ConfigError> {
        let env = Env::process();
        let subscriber = log::json_subscriber(&env, &[function], std::io::stdout)?;
        // It fails only if there is a subscriber, and then lines are written by that one.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self::new(env, Clock::system())
    }

    /// An environment and a clock of the caller's.
    ///
    /// # Errors
    ///
    /// If `SSL_CERT_FILE` is malformed.
    pub fn new(env: Env, clock: Clock) -> Result<Self, ConfigError> {
        let tls = Tls::from_env(&env)?;
        Ok(Self { env, clock, tls, connects_early: true })
    }

    /// The same, but connections are opened when they are needed. For measurements.
    pub fn without_early_connections(self) -> Self {
        Self { connects_early: false, ..self }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// `TABLE_NAME`: the table, at `AWS_ENDPOINT_URL_DYNAMODB` or at the region's DynamoDB. Begins to connect to it.
    ///
    /// # Errors
    ///
    /// If it, the region or the credentials are not set.
    pub fn table(&self) -> Result<Table, ConfigError> {
        self.table_with_connections(1)
    }

    /// As [`Self::table`], for a function that has so many calls of it under way at once.
    ///
    /// # Errors
    ///
    /// As [`Self::table`].
    pub fn table_with_connections(&self, connections: usize) -> Result<Table, ConfigError> {
        let name = self.env.required("TABLE_NAME")?.to_owned();
        let caller = self.caller()?;
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_DYNAMODB")?;
        let endpoint = endpoint.unwrap_or_else(|| aws::endpoint("dynamodb", &caller.region));
        Ok(Table::new(name, self.connecting(&endpoint, connections), caller, endpoint))
    }

    /// `WECHAT_API_URLS`: the client of WeChat's server API. Begins to connect to it.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn wechat(&self) -> Result<WechatClient, ConfigError> {
        let hosts = WechatClient::hosts(&self.env, &self.clock)?;
        Ok(WechatClient::new(self.connecting(hosts.first(), 1), hosts))
    }

    /// `WECHAT_APPS` or `WECHAT_APPS_SECRET_ARN`: the apps.
    ///
    /// # Errors
    ///
    /// If it is malformed, or cannot be read.
    pub async fn apps(&self) -> Result<Apps, ConfigError> {
        let (variable, apps) = self.secret("WECHAT_APPS", "WECHAT_APPS_SECRET_ARN").await?;
        Apps::parse(&apps).map_err(|problem| ConfigError::malformed(variable, problem))
    }

    /// `SEAL_KEY` or `SEAL_KEY_SECRET_ARN`: the keys that seal what is kept.
    ///
    /// # Errors
    ///
    /// If it is malformed, or cannot be read.
    pub async fn sealer(&self) -> Result<Sealer, ConfigError> {
        let (variable, keys) = self.secret("SEAL_KEY", "SEAL_KEY_SECRET_ARN").await?;
        Sealer::parse(&keys).map_err(|problem| ConfigError::malformed(variable, problem))
    }

    /// `SESSION_TTL_SECS`: how long a session lives.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn session_ttl(&self) -> Result<Duration, ConfigError> {
        let valid = |secs: &u64| (1..=LONGEST_SESSION_TTL_SECS).contains(secs);
        let expected = "expected a whole number of seconds from 1 to 315360000";
        self.env.parsed(SESSION_TTL_SECS, DEFAULT_SESSION_TTL_SECS, valid, expected).map(Duration::from_secs)
    }

    /// `EGRESS_IP`: the addresses that have to be in WeChat's whitelist.
    ///
    /// # Errors
    ///
    /// If one of them is not an address.
    pub fn egress_ips(&self) -> Result<EgressIps, ConfigError> {
        let malformed = |_| ConfigError::malformed("EGRESS_IP", "expected IP addresses, separated by commas");
        let ips = self.env.list("EGRESS_IP").into_iter().map(|ip| ip.parse().map_err(malformed));
        Ok(EgressIps::new(&ips.collect::<Result<Vec<IpAddr>, _>>()?))
    }

    /// `TOKEN_REFRESHER`: the tokens in a table, and the function to ask for others, at `AWS_ENDPOINT_URL_LAMBDA` or at
    /// the region's Lambda.
    ///
    /// # Errors
    ///
    /// If it, the region or the credentials are not set.
    pub fn tokens(&self, table: Table, sealer: Arc<Sealer>) -> Result<Tokens, ConfigError> {
        let refresher = self.env.required("TOKEN_REFRESHER")?.to_owned();
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_LAMBDA")?;
        let lambda = Lambda::new(HttpClient::new(&self.tls, &self.clock), self.caller()?, endpoint);
        Ok(Tokens::new(TokenRows::new(table, sealer), lambda, refresher, self.clock.clone()))
    }

    /// The text in the variable `inline`, or in the secret that the variable `arn` names; and which of the two it was.
    async fn secret(&self, inline: &'static str, arn: &'static str) -> Result<(&'static str, Secret), ConfigError> {
        match (self.env.get(inline), self.env.get(arn)) {
            (Some(_), Some(_)) => Err(ConfigError::Contradictory(inline, arn)),
            (None, None) => Err(ConfigError::MissingBoth(inline, arn)),
            (Some(text), None) => Ok((inline, Secret::new(text))),
            (None, Some(id)) => {
                let text = self.secrets_manager()?.secret_text(id).await;
                text.map(|text| (arn, text)).map_err(|source| ConfigError::Secret { variable: arn, source })
            }
        }
    }

    fn secrets_manager(&self) -> Result<SecretsManager, ConfigError> {
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER")?;
        Ok(SecretsManager::new(HttpClient::new(&self.tls, &self.clock), self.caller()?, endpoint))
    }

    /// A client that begins to connect now, so that handshakes go on side by side, and beside the rest of the start.
    fn connecting(&self, host: &str, connections: usize) -> HttpClient {
        match Uri::try_from(host) {
            Ok(host) if self.connects_early => HttpClient::connecting(&self.tls, &self.clock, &host, connections),
            _ => HttpClient::new(&self.tls, &self.clock),
        }
    }

    /// `AWS_REGION` and `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`: who calls AWS.
    ///
    /// # Errors
    ///
    /// If one of them, but for the last, is not set.
    pub fn caller(&self) -> Result<Caller, ConfigError> {
        let region = self.env.get(AWS_REGION).or(self.env.get("AWS_DEFAULT_REGION"));
        let region = region.ok_or(ConfigError::Missing(AWS_REGION))?.to_owned();
        let id = self.env.required("AWS_ACCESS_KEY_ID")?;
        let secret = self.env.required("AWS_SECRET_ACCESS_KEY")?;
        let token = self.env.get("AWS_SESSION_TOKEN").map(str::to_owned);
        let credentials = Credentials::new(id, secret, token, None, "environment");
        Ok(Caller::new(credentials, region, self.clock.clone()))
    }

    fn endpoint(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.env.get(variable) else { return Ok(None) };
        let malformed = || ConfigError::malformed(variable, "expected an http or https URL without query or user");
        base_url(text).map(|url| Some(url.into())).ok_or_else(malformed)
    }
}
