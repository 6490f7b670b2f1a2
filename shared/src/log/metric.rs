//! Metrics: lines in CloudWatch's embedded metric format.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::Clock;
use crate::env::{ConfigError, Env};

/// The namespace of the metrics in CloudWatch: two stacks in one account must not count into one.
const METRICS_NAMESPACE: &str = "METRICS_NAMESPACE";
const DEFAULT_NAMESPACE: &str = "WechatFunctions";

/// The longest namespace. Source: CloudWatch API reference, "PutMetricData".
const LONGEST_NAMESPACE: usize = 255;

/// The unit of a metric that says none.
const COUNT: &str = "Count";

/// The target of events that are metrics.
const METRIC: &str = "metric";

/// A metric: a count that somebody may want an alarm on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// An answer of status 500 or above.
    Fault,
    /// A unionid that is another user's, or a second one of the same user.
    IdentityConflict,
    /// WeChat refused the caller's address (40164).
    IpNotInWhitelist,
    /// A notice in XML of WeChat Pay's version 2: it is not signed, and cannot be opened.
    NotificationOfVersion2,
    /// A notification that WeChat Pay has not signed, or not now. It sends such ones itself now and then, as a probe.
    NotificationRefused,
    /// An order was paid after it had been closed: somebody has to refund it.
    PaidAfterClosed,
    /// The certificates that WeChat Pay signs with were due and could not be fetched.
    PayKeysNotRefreshed,
    /// WeChat Pay has signed something that belongs to none of our orders, or does not match the one it names.
    PaymentQuarantined,
    /// WeChat says that a quota of an app is used up (45009, 45011).
    QuotaExceeded,
    /// A token or ticket that was due could not be refreshed.
    RefreshFailed,
    /// WeChat Pay could not refund: a person has to, by other means.
    RefundAbnormal,
    /// An order or a refund has not come to its end in time: for an hour WeChat Pay has not said how it stands, or a
    /// refund is under way for longer than any bank takes.
    Stuck,
    /// A sweep could not do something that was due.
    SweepFailed,
    /// A sweep had no time for all that was due, or WeChat Pay had enough of it.
    SweepIncomplete,
}

impl Metric {
    const fn name(self) -> &'static str {
        match self {
            Self::Fault => "Fault",
            Self::IdentityConflict => "IdentityConflict",
            Self::IpNotInWhitelist => "IpNotInWhitelist",
            Self::NotificationOfVersion2 => "NotificationOfVersion2",
            Self::NotificationRefused => "NotificationRefused",
            Self::PaidAfterClosed => "PaidAfterClosed",
            Self::PayKeysNotRefreshed => "PayKeysNotRefreshed",
            Self::PaymentQuarantined => "PaymentQuarantined",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::RefreshFailed => "RefreshFailed",
            Self::RefundAbnormal => "RefundAbnormal",
            Self::Stuck => "Stuck",
            Self::SweepFailed => "SweepFailed",
            Self::SweepIncomplete => "SweepIncomplete",
        }
    }

    /// Counts one for a token or ticket of an app, with the code of the error.
    pub fn count_for_token(self, function: &str, request_id: &str, app_id: &str, kind: &str, code: &str) {
        let metric = self.name();
        tracing::info!(target: METRIC, metric, function, requestId = request_id, appId = app_id, kind, code, "metric");
    }

    /// Counts one for `function`.
    pub fn count(self, function: &str, request_id: &str) {
        tracing::info!(target: METRIC, metric = self.name(), function, requestId = request_id, "metric");
    }
}

/// A metric that is a measure, and no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// The seconds that are left of an app's token or ticket that ends first.
    TokenSecondsLeft,
}

impl Gauge {
    /// The name, and CloudWatch's word for the unit.
    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::TokenSecondsLeft => ("TokenSecondsLeft", "Seconds"),
        }
    }

    /// Tells how much it is now, of an app.
    pub fn tell(self, function: &str, request_id: &str, app_id: &str, value: u64) {
        let (metric, unit) = self.parts();
        tracing::info!(target: METRIC, metric, unit, value, function, requestId = request_id, appId = app_id, "metric");
    }
}

/// Whether an event is a metric.
pub(super) fn is_metric(metadata: &Metadata<'_>) -> bool {
    metadata.target() == METRIC
}

/// Writes metrics in CloudWatch's embedded metric format.
/// Source: CloudWatch user guide, "Embedded metric format specification".
pub(super) struct Metrics<W> {
    writer: W,
    namespace: String,
    clock: Clock,
}

impl<W> Metrics<W> {
    /// Metrics in the namespace that `env` names.
    pub(super) fn from_env(env: &Env, writer: W) -> Result<Self, ConfigError> {
        let expected = "expected 1 to 255 of A-Z, a-z, 0-9 and .-_/#:, not beginning with a colon or AWS/";
        let namespace =
            env.parsed(METRICS_NAMESPACE, DEFAULT_NAMESPACE.to_owned(), |name| is_namespace(name), expected)?;
        Ok(Self { writer, namespace, clock: Clock::system() })
    }
}

/// Whether CloudWatch takes metrics of this namespace. Blanks are left out, which it would take inside of one.
/// Source: CloudWatch user guide, "Namespaces"; API reference, "PutMetricData".
fn is_namespace(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    let is_reserved = name.starts_with("AWS/") || name.starts_with(':');
    (1..=LONGEST_NAMESPACE).contains(&name.len()) && name.bytes().all(is_allowed) && !is_reserved
}

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for Metrics<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(name) = fields.texts.remove("metric") else { return };
        let unit = fields.texts.remove("unit").unwrap_or_else(|| COUNT.to_owned());
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // The first is the sum of all functions: an alarm on that is one, and not one for each function. What is about one
        // app is a series of that app too, so that an alarm that asks for each app finds out which it is.
        let dimensions: &[&[&str]] =
            if fields.texts.contains_key("appId") { &[&[], &["function"], &["appId"]] } else { &[&[], &["function"]] };
        let directive = json!({
            "Timestamp": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "CloudWatchMetrics": [{
                "Namespace": self.namespace,
                "Dimensions": dimensions,
                "Metrics": [{ "Name": name, "Unit": unit }],
            }],
        });
        let mut line = Map::from_iter([("_aws".to_owned(), directive), (name, Value::from(fields.value.unwrap_or(1)))]);
        line.extend(fields.texts.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
        let line = format!("{}\n", Value::Object(line));
        // A line that cannot be written cannot be reported either. In one piece, so that no other gets between.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    texts: BTreeMap<&'static str, String>,
    value: Option<u64>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.insert(field.name(), value.to_owned());
    }

    /// The one number that a metric has is its value.
    fn record_u64(&mut self, _: &Field, value: u64) {
        self.value = Some(value);
    }

    /// Metrics have texts and a number only, beside the message.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
