//! When WeChat Pay's certificates are fetched anew: all decisions, and no I/O.

use std::time::Duration;

use crate::clock::Moment;

/// How long a claim stands, and so how often WeChat Pay is asked at most, by all instances together.
pub(super) const CLAIM: Duration = Duration::from_secs(60);

/// How long a refresh may take. Who holds the claim for longer has died, and nobody waits for it.
pub const REFRESH_WITHIN: Duration = Duration::from_secs(10);

/// How often the certificates are fetched where nothing asks for it: at least every 12 hours, with a schedule of a few
/// minutes. Source: WeChat Pay v3, "Platform certificates".
const INTERVAL: Duration = Duration::from_secs(12 * 3600 - 600);

/// How long WeChat Pay's word counts that it has no certificates for this merchant.
pub(super) const NONE: Duration = Duration::from_secs(12 * 3600);

/// How far ahead a time may be. One that is further is the work of a wrong clock, and does not count.
pub(super) const AHEAD: Duration = Duration::from_secs(60);

/// How far the refreshes of a merchant's certificates are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshes {
    /// Who may ask WeChat Pay, and since when.
    pub(super) claim: Option<(String, Moment)>,
    /// Whose refresh has ended, well or badly.
    pub(super) ended_by: Option<String>,
    /// When WeChat Pay last said which certificates there are.
    pub(super) refreshed_at: Option<Moment>,
    /// Since when it says that there are none.
    pub(super) none_since: Option<Moment>,
    /// When somebody met a serial that nobody knows.
    pub(super) unknown_serial_at: Option<Moment>,
    /// Which of those times the last refresh has answered.
    pub(super) answered: Option<Moment>,
}

impl Refreshes {
    /// Whether the certificates have to be fetched, for their age or for a mark.
    pub fn is_due(&self, now: Moment) -> bool {
        let is_marked = self.unknown_serial_at.is_some() && self.unknown_serial_at != self.answered;
        let is_old = !self.refreshed_at.is_some_and(|at| is_within(at, INTERVAL, now));
        self.may_ask(now) && (is_marked || is_old)
    }

    /// Whether WeChat Pay may be asked at all: not for a while after it has said that there are none, and not when
    /// somebody has asked within the last minute.
    pub fn may_ask(&self, now: Moment) -> bool {
        let is_claimed = self.claim.as_ref().is_some_and(|(_, at)| is_within(*at, CLAIM, now));
        !is_claimed && !self.has_none(now)
    }

    /// Whether somebody is asking WeChat Pay just now.
    pub fn is_under_way(&self, now: Moment) -> bool {
        let claim = self.claim.as_ref().filter(|(by, _)| self.ended_by.as_ref() != Some(by));
        claim.is_some_and(|(_, at)| is_within(*at, REFRESH_WITHIN, now))
    }

    /// Whether a new mark would change anything.
    pub fn may_mark(&self, now: Moment) -> bool {
        let is_marked = self.unknown_serial_at.is_some_and(|at| is_within(at, CLAIM, now));
        !is_marked && !self.has_none(now)
    }

    fn has_none(&self, now: Moment) -> bool {
        self.none_since.is_some() && self.refreshed_at.is_some_and(|at| is_within(at, NONE, now))
    }
}

/// Whether `then` is less than `length` ago, by a clock that may be right.
fn is_within(then: Moment, length: Duration, now: Moment) -> bool {
    now.since(then) < length && then.since(now) <= AHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_722_850_421_000);

    fn ago(secs: u64) -> Option<Moment> {
        Some(Moment::from_millis(NOW.as_millis() - secs * 1000))
    }

    fn ahead(secs: u64) -> Option<Moment> {
        Some(NOW + Duration::from_secs(secs))
    }

    fn claimed(at: Option<Moment>) -> Refreshes {
        Refreshes { claim: at.map(|at| ("me".to_owned(), at)), ..Refreshes::default() }
    }

    #[test]
    fn the_first_is_due_at_once_and_the_next_within_twelve_hours() {
        assert!(Refreshes::default().is_due(NOW));
        for (at, due) in [(ago(0), false), (ago(42_599), false), (ago(42_600), true), (ahead(60), false)] {
            let refreshes = Refreshes { refreshed_at: at, ..claimed(at) };
            assert_eq!(refreshes.is_due(NOW), due, "{at:?}");
        }
    }

    #[test]
    fn one_minute_has_one_claim_whatever_has_become_of_it() {
        for (at, may_ask) in [(ago(0), false), (ago(59), false), (ago(60), true), (ahead(60), false)] {
            let refreshes = Refreshes { ended_by: Some("me".to_owned()), ..claimed(at) };
            assert_eq!((refreshes.may_ask(NOW), refreshes.is_due(NOW)), (may_ask, may_ask), "{at:?}");
        }
    }

    #[test]
    fn a_clock_that_is_far_ahead_stops_nothing() {
        let (late, none) = (ahead(61), ahead(86_400));
        assert!(claimed(late).may_ask(NOW) && !claimed(late).is_under_way(NOW));
        assert!(Refreshes { refreshed_at: late, ..Refreshes::default() }.is_due(NOW));
        assert!(Refreshes { refreshed_at: none, none_since: none, ..Refreshes::default() }.is_due(NOW));
        assert!(Refreshes { unknown_serial_at: late, ..Refreshes::default() }.may_mark(NOW));
    }

    #[test]
    fn nobody_waits_for_who_has_ended_or_died() {
        assert!(claimed(ago(9)).is_under_way(NOW));
        assert!(!claimed(ago(10)).is_under_way(NOW));
        assert!(!Refreshes { ended_by: Some("me".to_owned()), ..claimed(ago(1)) }.is_under_way(NOW));
        assert!(Refreshes { ended_by: Some("another".to_owned()), ..claimed(ago(1)) }.is_under_way(NOW));
    }

    #[test]
    fn a_mark_is_answered_once() {
        let fresh = Refreshes { refreshed_at: ago(61), ..claimed(ago(61)) };
        assert!(!fresh.is_due(NOW) && fresh.may_mark(NOW));
        let marked = Refreshes { unknown_serial_at: ago(1), ..fresh };
        assert!(marked.is_due(NOW) && !marked.may_mark(NOW));
        assert!(!Refreshes { claim: Some(("me".to_owned(), NOW)), ..marked.clone() }.is_due(NOW));
        let answered = Refreshes { answered: ago(1), ..marked };
        assert!(!answered.is_due(NOW));
        assert!(Refreshes { unknown_serial_at: ago(0), ..answered }.is_due(NOW));
    }

    #[test]
    fn a_merchant_without_certificates_is_asked_twice_a_day_whatever_is_marked() {
        let none = |at| Refreshes { refreshed_at: at, none_since: ago(90_000), ..Refreshes::default() };
        let marked = Refreshes { unknown_serial_at: ago(0), ..none(ago(43_199)) };
        assert!(!marked.is_due(NOW) && !marked.may_ask(NOW) && !none(ago(61)).may_mark(NOW));
        assert!(none(ago(43_200)).is_due(NOW) && none(ago(43_200)).may_mark(NOW));
    }
}
