//! What a function that sells something is started with.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Setup;
use crate::env::ConfigError;
use crate::secret::Secret;
use crate::wechatpay::v3::{PayClient, PayHosts};
use crate::wechatpay::{InvalidMerchant, Merchant, NotifyUrl, Verifier};

const ORDER_TTL_SECS: &str = "ORDER_TTL_SECS";
const MAX_OPEN_ORDERS: &str = "MAX_OPEN_ORDERS";
const PAY_NOTIFY_URL: &str = "PAY_NOTIFY_URL";

const DEFAULT_ORDER_TTL_SECS: u64 = 1800;
/// WeChat Pay takes no time that is nearer, and a prepay_id lives two hours.
const ORDER_TTL_RANGE_SECS: RangeInclusive<u64> = 60..=7000;

const DEFAULT_MAX_OPEN_ORDERS: u32 = 5;
/// More is a mistake.
const MOST_OPEN_ORDERS: u32 = 1_000_000;

impl Setup {
    /// `WECHATPAY_API_URLS`: where WeChat Pay is. Begins to connect to it, so that the handshake goes on while
    /// [`Self::merchant`] is read.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn wechatpay(&self) -> Result<PayHosts, ConfigError> {
        let hosts = PayClient::hosts(&self.env, &self.clock)?;
        Ok(PayHosts::new(self.connecting(hosts.first(), 1), hosts))
    }

    /// `WECHATPAY` or `WECHATPAY_SECRET_ARN`: the merchant, with what it signs with.
    ///
    /// # Errors
    ///
    /// If it is malformed, or cannot be read.
    pub async fn merchant(&self) -> Result<Merchant, ConfigError> {
        self.of_merchant(Merchant::parse).await
    }

    /// The same for who only verifies: what the merchant signs with may be absent, and is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Self::merchant`].
    pub async fn verifier(&self) -> Result<Verifier, ConfigError> {
        self.of_merchant(Verifier::parse).await
    }

    async fn of_merchant<T>(&self, parse: fn(&Secret) -> Result<T, InvalidMerchant>) -> Result<T, ConfigError> {
        let (variable, merchant) = self.secret("WECHATPAY", "WECHATPAY_SECRET_ARN").await?;
        parse(&merchant).map_err(|problem| ConfigError::malformed(variable, problem))
    }

    /// `PAY_NOTIFY_URL`: where WeChat Pay tells of payments.
    ///
    /// # Errors
    ///
    /// If it is not set, or malformed.
    pub fn notify_url(&self) -> Result<NotifyUrl, ConfigError> {
        let url = self.env.required(PAY_NOTIFY_URL)?;
        NotifyUrl::parse(url).map_err(|problem| ConfigError::malformed(PAY_NOTIFY_URL, problem))
    }

    /// `ORDER_TTL_SECS`: how long an order can be paid.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn order_ttl(&self) -> Result<Duration, ConfigError> {
        let valid = |secs: &u64| ORDER_TTL_RANGE_SECS.contains(secs);
        let expected = "expected a whole number of seconds from 60 to 7000";
        self.env.parsed(ORDER_TTL_SECS, DEFAULT_ORDER_TTL_SECS, valid, expected).map(Duration::from_secs)
    }

    /// `MAX_OPEN_ORDERS`: unpaid orders that one user may have.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn max_open_orders(&self) -> Result<u32, ConfigError> {
        let valid = |count: &u32| (1..=MOST_OPEN_ORDERS).contains(count);
        let expected = "expected a whole number from 1 to 1000000";
        self.env.parsed(MAX_OPEN_ORDERS, DEFAULT_MAX_OPEN_ORDERS, valid, expected)
    }
}
