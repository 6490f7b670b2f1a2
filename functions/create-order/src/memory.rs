//! What a request remembers while it waits for others.

use std::time::Duration;

use shared::clock::Moment;
use shared::wechatpay::OutTradeNo;
use tokio::time::Instant;

/// What a request remembers from step to step.
#[derive(Default)]
pub(crate) struct Memory {
    /// The number of the claim that it has made or taken over.
    pub(crate) own: Option<OutTradeNo>,
    /// What it waits for, and since when it has seen that.
    watched: Option<(Moment, Instant)>,
}

impl Memory {
    /// How long what began at `at` has been watched from here.
    pub(crate) fn watched(&mut self, at: Moment) -> Duration {
        match self.watched {
            Some((seen, since)) if seen == at => since.elapsed(),
            _ => {
                self.watched = Some((at, Instant::now()));
                Duration::ZERO
            }
        }
    }
}
