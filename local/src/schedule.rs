//! The timers: what EventBridge Scheduler is on AWS.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::functions::{Function, Functions, request_id};

/// Which functions run by themselves, and how often.
const SCHEDULE: [(&str, Duration); 2] =
    [("order-sweeper", Duration::from_secs(60)), ("token-refresher", Duration::from_secs(60))];

/// What a schedule sends.
const EVENT: &[u8] = b"{}";

/// How long a run that is under way may take at the end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The timers that run.
#[derive(Debug)]
pub(crate) struct Schedule {
    stop: CancellationToken,
    timers: Vec<AbortOnDropHandle<()>>,
}

impl Schedule {
    /// Starts the timers. The first run is at once.
    pub(crate) fn start(functions: &Functions) -> Self {
        let stop = CancellationToken::new();
        let timers = SCHEDULE.iter().filter_map(|(name, every)| {
            let function = Arc::clone(functions.find(name)?);
            Some(AbortOnDropHandle::new(tokio::spawn(run(function, *every, stop.clone()))))
        });
        Self { timers: timers.collect(), stop }
    }

    /// Starts no more runs, and waits for those under way.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let end = async {
            for timer in self.timers {
                let _ = timer.await; // One that panicked has ended too.
            }
        };
        let _ = tokio::time::timeout(STOP_WITHIN, end).await;
    }
}

async fn run(function: Arc<Function>, every: Duration, stop: CancellationToken) {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(timer.tick()).await.is_some() {
        if let Err(err) = function.invoke(request_id(), EVENT.to_vec()).await {
            tracing::error!(function = function.name, errorType = err.error_type, "{}", err.error_message);
        }
    }
}
