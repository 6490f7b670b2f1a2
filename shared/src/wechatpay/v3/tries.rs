//! How often a call is sent, and where.

use std::time::Duration;

use super::{PayError, Stamp};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::pause::Pauses;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The tries of one call. One that did not come through goes to the next host as it is, at once; any other has a stamp
/// of its own, after a pause.
pub(super) struct Tries<'a> {
    clock: &'a Clock,
    deadline: Deadline,
    pauses: Pauses,
    stamp: Stamp,
    hosts: usize,
    other_hosts: usize,
    left: u32,
}

impl<'a> Tries<'a> {
    /// So many tries, the first one included.
    pub(super) fn new(tries: u32, hosts: usize, clock: &'a Clock, deadline: Deadline) -> Self {
        let pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, deadline);
        Self { clock, deadline, pauses, stamp: Stamp::new(clock), hosts, other_hosts: hosts - 1, left: tries }
    }

    /// The stamp of this try.
    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// After that error it may be tried again, or that is the end.
    pub(super) async fn next(&mut self, err: PayError) -> Result<(), PayError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || !err.is_retryable() {
            return Err(err);
        }
        if matches!(err, PayError::Transport(_)) && self.other_hosts > 0 && !self.deadline.left().is_zero() {
            self.other_hosts -= 1;
            return Ok(());
        }
        if self.pauses.next().await.is_err() {
            return Err(err);
        }
        self.stamp = Stamp::new(self.clock);
        self.other_hosts = self.hosts - 1;
        Ok(())
    }
}
