//! The timers: what EventBridge Scheduler is on AWS.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use crate::functions::{Function, Functions, request_id};

/// Which functions run by themselves, and how often.
const SCHEDULE: [(&str, Duration); 1] = [("token-refresher", Duration::from_secs(60))];

/// What a schedule sends.
const EVENT: &[u8] = b"{}";

/// The timers that run, until this is dropped.
#[derive(Debug)]
pub(crate) struct Schedule(
    #[expect(dead_code, reason = "they are kept, and end with this")] Vec<AbortOnDropHandle<()>>,
);

impl Schedule {
    /// Starts the timers. The first run is at once.
    pub(crate) fn start(functions: &Functions) -> Self {
        let timers = SCHEDULE.iter().filter_map(|(name, every)| {
            let function = Arc::clone(functions.find(name)?);
            Some(AbortOnDropHandle::new(tokio::spawn(run(function, *every))))
        });
        Self(timers.collect())
    }
}

async fn run(function: Arc<Function>, every: Duration) {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(err) = function.invoke(request_id(), EVENT.to_vec()).await {
            tracing::error!(function = function.name, errorType = err.error_type, "{}", err.error_message);
        }
    }
}
