//! For how long a value is kept that a reader has missed.

use std::time::Duration;

use super::protocol::Row;
use crate::clock::Moment;

/// How long a ticket that is not listed is kept fresh after a reader has found none. As long as it is kept, no reader
/// misses it; so after that one of them asks again, if there is still any, and waits for WeChat once.
const WANTED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far the clock of a reader may be ahead.
const SKEW: Duration = Duration::from_secs(60);

impl Row {
    /// Whether a reader has found no value within the last days. A time that is ahead is the work of a wrong clock.
    pub fn is_wanted(&self, now: Moment) -> bool {
        self.wanted_at.is_some_and(|at| now.since(at) < WANTED && at.since(now) <= SKEW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_wanted_for_a_week_and_not_because_of_a_clock_that_is_ahead() {
        let now = Moment::from_millis(1_795_231_800_000);
        let is_wanted = |at: Moment, now: Moment| Row { wanted_at: Some(at), ..Row::default() }.is_wanted(now);
        let second = Duration::from_secs(1);
        assert!(is_wanted(now, now) && is_wanted(now, now + (WANTED - second)) && is_wanted(now + SKEW, now));
        assert!(!is_wanted(now, now + WANTED) && !is_wanted(now + SKEW + second, now));
        assert!(!Row::default().is_wanted(now));
    }
}
