//! Pauses between tries: longer each time, random in part, and never past a deadline.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::random;

/// The pauses of one loop.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
    deadline: Deadline,
}

/// There is no time left for another try.
#[derive(Clone, Copy, Debug)]
pub struct TooLate;

impl Pauses {
    /// Pauses that double from `first` to `longest`; a random part of each is left out, up to half of it.
    pub fn new(first: Duration, longest: Duration, deadline: Deadline) -> Self {
        Self { next: first, longest, deadline }
    }

    /// Pauses.
    ///
    /// # Errors
    ///
    /// If the deadline would pass meanwhile; then it returns at once.
    pub async fn next(&mut self) -> Result<(), TooLate> {
        self.next_at_most(self.longest).await
    }

    /// As [`Self::next`], but no longer than that.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    pub async fn next_at_most(&mut self, most: Duration) -> Result<(), TooLate> {
        let pause = random::jitter(self.next).min(most);
        if self.deadline.left() <= pause {
            return Err(TooLate);
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(self.longest);
        Ok(())
    }
}
