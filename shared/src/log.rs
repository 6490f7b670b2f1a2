//! Logs and metrics: JSON lines on standard output, which is what CloudWatch reads.
//!
//! What dependencies log below `warn` is dropped whatever `RUST_LOG` says: the Lambda runtime logs whole events at
//! `trace`, and HTTP clients log what they send.

mod metric;

use std::time::Instant;

use lambda_http::http::StatusCode;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

pub use self::metric::{Gauge, Metric};
use self::metric::{Metrics, is_metric};
use crate::env::{ConfigError, Env};
use crate::error::ApiError;
use crate::wechat::AppId;

const RUST_LOG: &str = "RUST_LOG";

/// What a function writes its lines with: logs as far as `RUST_LOG` lets them, and all metrics.
///
/// `own` are the crates whose logs may be seen below `warn`, beside this one.
///
/// # Errors
///
/// If `RUST_LOG` or `METRICS_NAMESPACE` is malformed.
pub fn json_subscriber<W>(env: &Env, own: &[&str], writer: W) -> Result<impl Subscriber + Send + Sync, ConfigError>
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer.clone())
        .with_filter(filter_fn(log_filter(env, own)?));
    let metrics = Metrics::from_env(env, writer)?.with_filter(filter_fn(is_metric));
    Ok(Registry::default().with(lines).with(metrics))
}

/// Which events are logs that may be seen.
///
/// # Errors
///
/// If `RUST_LOG` is malformed.
pub fn log_filter(
    env: &Env,
    own: &[&str],
) -> Result<impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static, ConfigError> {
    let problem = "expected levels or target=level pairs, separated by commas";
    let wanted = env.get(RUST_LOG).unwrap_or("info");
    let wanted: Targets = wanted.parse().map_err(|_| ConfigError::malformed(RUST_LOG, problem))?;
    let own: Vec<String> = own.iter().copied().chain(["shared"]).map(|name| name.replace('-', "_")).collect();
    Ok(move |metadata: &Metadata<'_>| {
        let target = metadata.target();
        let name = target.split("::").next().unwrap_or_default();
        let may_be_seen = *metadata.level() <= Level::WARN || own.iter().any(|own| own == name);
        may_be_seen && !is_metric(metadata) && wanted.would_enable(target, metadata.level())
    })
}

/// The one line of a request that ended now, with that error or none.
pub(crate) fn request(
    function: &'static str,
    request_id: &str,
    status: StatusCode,
    err: Option<&ApiError>,
    started: Instant,
) {
    let duration = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let refusal = err.and_then(|err| err.refusal.as_ref());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                function,
                requestId = request_id,
                status = status.as_u16(),
                code = err.map(|err| err.code.as_str()),
                appId = err.and_then(|err| err.app_id.as_ref()).map(AppId::as_str),
                errcode = refusal.map(|refusal| refusal.errcode),
                rid = refusal.and_then(|refusal| refusal.rid.as_deref()),
                cause = err.and_then(ApiError::cause),
                durationMs = duration,
                "request"
            )
        };
    }
    // A protocol of WeChat's may want another status than the code's own.
    let is_fault = status.is_server_error() || err.is_some_and(|err| err.code.status().is_server_error());
    match status.as_u16() {
        ..500 if !is_fault => line!(info),
        503 => line!(warn),
        _ => line!(error),
    }
    if is_fault {
        Metric::Fault.count(function, request_id);
    }
}
