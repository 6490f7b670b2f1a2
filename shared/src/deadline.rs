//! The end of the time that an invocation has.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Kept back from Lambda's own deadline, so that the answer is out before Lambda ends the invocation.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// When an invocation, or one part of it, has to be over.
///
/// Measured on the monotonic clock: an instance is never frozen in the middle of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// A reply comes within 10 s even when WeChat hangs; the rest is for the way back to the client.
    pub const REPLY_WITHIN: Duration = Duration::from_secs(9);

    /// The deadline of an invocation that Lambda ends at `ends_at`, and that takes no longer than `longest` in any case.
    /// A time in the past is none: an invocation that is over calls nobody, but `cargo lambda watch` always says 1970.
    pub fn of_invocation(ends_at: SystemTime, now: SystemTime, longest: Duration) -> Self {
        Self::after(budget(ends_at, now, longest))
    }

    /// The deadline that is `duration` away.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// An earlier deadline, which leaves `reserve` (at most half of what is left) for what comes after.
    pub fn leaving(self, reserve: Duration) -> Self {
        Self::after(without(self.left(), reserve))
    }

    /// The earlier of this deadline and the one that is `duration` away.
    pub fn at_most(self, duration: Duration) -> Self {
        Self(self.0.min(Instant::now() + duration))
    }

    /// The time that is left; zero when the deadline has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits for `future` until the deadline, and returns `None` if it passes first.
    pub async fn bound<T>(self, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, future).await.ok()
    }
}

fn budget(ends_at: SystemTime, now: SystemTime, longest: Duration) -> Duration {
    let left = ends_at.duration_since(now).map(|left| left.saturating_sub(ANSWER_MARGIN));
    left.unwrap_or(longest).min(longest)
}

fn without(left: Duration, reserve: Duration) -> Duration {
    left - reserve.min(left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_invocation_answers_before_lambda_ends_it() {
        assert_eq!(budget(NOW + 3 * SECOND, NOW, Deadline::REPLY_WITHIN), Duration::from_millis(2500));
    }

    #[test]
    fn a_long_timeout_of_the_function_does_not_let_a_client_wait() {
        assert_eq!(budget(NOW + 900 * SECOND, NOW, Deadline::REPLY_WITHIN), Deadline::REPLY_WITHIN);
    }

    #[test]
    fn a_deadline_in_the_past_is_none() {
        assert_eq!(budget(NOW + SECOND, NOW + 2 * SECOND, Deadline::REPLY_WITHIN), Deadline::REPLY_WITHIN);
        assert_eq!(budget(NOW + SECOND, NOW + SECOND, Deadline::REPLY_WITHIN), Duration::ZERO);
    }

    #[test]
    fn a_reserve_never_takes_more_than_half() {
        assert_eq!(without(9 * SECOND, 3 * SECOND), 6 * SECOND);
        assert_eq!(without(SECOND, 3 * SECOND), SECOND / 2);
    }
}
