//! What to do about a token, given its row: the decisions of those who use it and of those who refresh it.
//!
//! A row has a version, which every write of a refresher raises by one, on the condition that it still is what the
//! writer has read. Whoever raises it to take the lease may ask WeChat, and writes what came of it, again on that
//! condition: a holder that was slow and lost its lease cannot write any more. Time only decides when a lease may be
//! taken from its holder: when it has run out by the clock of whoever wants it, or, whatever the clocks say, when that
//! one has watched it for as long as a lease lasts. So no difference between clocks stops a token for good, and none
//! lets an older value win. (What is remembered of a failure, and of a value that WeChat stands by, ends by the clock
//! alone: there a difference between two clocks comes on top, unless it makes a pause longer than any can be.)
//!
//! The model of this, with crashes and wrong clocks, is in `tests/it/token_model/`.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::STANDS_BY;
pub use super::failure::{Failure, Reason};
use crate::clock::Moment;
use crate::wechat::{TokenHash, TokenValue};

/// How long a refresher has a token to itself. A function has 5 s or more for a token, so whoever comes when a holder has
/// died still gets one.
pub const LEASE: Duration = Duration::from_secs(4);

/// How long a reader has the refresher to itself: until that one has started and taken the lease.
pub const CLAIM: Duration = Duration::from_secs(2);

/// A value with no more than this left is not worth starting a call with.
pub const USABLE: Duration = Duration::from_secs(30);

/// When a value is refreshed before it ends. Earlier than that, WeChat gives the same access token again. Of tickets that
/// is not documented: at worst the same one comes again each minute until it ends.
/// Source: "Get stable access token".
pub const DUE: Duration = Duration::from_secs(300);

/// What is added to the longest pause before one is taken for the work of a wrong clock.
const SKEW: Duration = Duration::from_secs(60);

/// A token's row. Without one, all of it is empty.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Raised by every write of a refresher; 0 before the first.
    pub version: u64,
    /// The version at which the value was written.
    pub value_version: u64,
    /// The value, if there is one that opens.
    pub value: Option<Held>,
    /// Until when a refresher has the token to itself.
    pub leased_until: Option<Moment>,
    /// Until when a reader has the refresher to itself.
    pub claimed_until: Option<Moment>,
    /// What came of the last refresh, if that was no value.
    pub failure: Option<Failure>,
    /// The value that WeChat gave again although it had refused it, and until when that is remembered.
    pub stands_by: Option<(TokenHash, Moment)>,
    /// When a reader found no value last.
    pub wanted_at: Option<Moment>,
}

/// A value, and its life by the clock of whoever asked for it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The value.
    pub value: TokenValue,
    /// When WeChat was asked for it.
    pub obtained_at: Moment,
    /// When it ends.
    pub expires_at: Moment,
}

impl Held {
    /// The time that is left.
    pub fn left(&self, now: Moment) -> Duration {
        self.expires_at.since(now)
    }

    /// Whether a call may be started with it.
    pub fn is_usable(&self, now: Moment) -> bool {
        self.left(now) > USABLE
    }
}

/// Nobody asks WeChat before a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub reason: Reason,
    /// Until when.
    pub until: Moment,
}

/// What somebody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A new answer of WeChat's, whatever the row says: a person asks. One that came after `since` will do.
    Anew {
        /// The row's version when the person asked.
        since: u64,
    },
    /// A value that is not due for a refresh.
    NotDue,
    /// A usable value other than the one that WeChat refused.
    Other(TokenHash),
    /// A usable value.
    Usable,
}

/// What whoever uses a token does next.
#[derive(Debug)]
pub enum ReaderStep<'a> {
    /// Uses the value.
    Use(&'a Held),
    /// Gives up at once.
    Stop(Stopped),
    /// Tries to become the one who asks the refresher.
    Claim,
    /// Looks again after a while.
    Wait,
}

/// What the refresher does next.
#[derive(Debug)]
pub enum RefresherStep<'a> {
    /// There is nothing to do.
    Done(&'a Held),
    /// Gives up at once.
    Stop(Stopped),
    /// Tries to take the lease.
    Take,
    /// Looks again after a while.
    Wait,
}

impl Row {
    /// What a reader does, who has seen the row so for as long as `watched`.
    pub fn reader_step(&self, want: &Want, now: Moment, watched: Watched) -> ReaderStep<'_> {
        match self.outcome(want, now) {
            Some(Ok(held)) => ReaderStep::Use(held),
            Some(Err(stopped)) => ReaderStep::Stop(stopped),
            None if self.is_leased(now, watched) => ReaderStep::Wait,
            None if self.claimed_until.is_some_and(|until| now < until) && watched.claim < CLAIM => ReaderStep::Wait,
            None => ReaderStep::Claim,
        }
    }

    /// What a refresher does, who has seen the row so for as long as `watched`.
    pub fn refresher_step(&self, want: &Want, now: Moment, watched: Watched) -> RefresherStep<'_> {
        match self.outcome(want, now) {
            Some(Ok(held)) => RefresherStep::Done(held),
            Some(Err(stopped)) => RefresherStep::Stop(stopped),
            None if self.is_leased(now, watched) => RefresherStep::Wait,
            None => RefresherStep::Take,
        }
    }

    fn is_leased(&self, now: Moment, watched: Watched) -> bool {
        self.leased_until.is_some_and(|until| now < until) && watched.version < LEASE
    }

    /// What the row has for whoever wants that, if it need not be changed first.
    fn outcome(&self, want: &Want, now: Moment) -> Option<Result<&Held, Stopped>> {
        if let Some(held) = self.value.as_ref().filter(|held| self.satisfies(want, held, now)) {
            return Some(Ok(held));
        }
        let counts =
            |(reason, until): &(Reason, Moment)| now < *until && until.since(now) <= reason.longest_pause() + SKEW;
        let failure = self.failure.as_ref().map(|failure| (failure.reason, failure.not_before)).filter(counts);
        let stop = match want {
            Want::Anew { .. } => None,
            Want::NotDue | Want::Usable => failure,
            Want::Other(hash) => {
                let stands_by = self.stands_by.as_ref().filter(|(refused, _)| refused == hash);
                stands_by.map(|(_, until)| (Reason::StandsBy, *until)).filter(counts).or(failure)
            }
        };
        stop.map(|(reason, until)| Err(Stopped { reason, until }))
    }

    /// How long a lease or a claim lasts by this clock, if there is one.
    pub fn busy_for(&self, now: Moment) -> Option<Duration> {
        self.leased_until.max(self.claimed_until).map(|until| until.since(now))
    }

    fn satisfies(&self, want: &Want, held: &Held, now: Moment) -> bool {
        match want {
            Want::Anew { since } => self.value_version > *since && self.failure.is_none(),
            Want::NotDue => held.left(now) > DUE,
            Want::Other(hash) => held.is_usable(now) && held.value.hash() != *hash,
            Want::Usable => held.is_usable(now),
        }
    }

    /// What is remembered with a new value: that it is the one which WeChat refused, if it is.
    pub fn stands_by(want: &Want, value: &TokenValue, now: Moment) -> Option<(TokenHash, Moment)> {
        match want {
            Want::Other(refused) if value.hash() == *refused => Some((refused.clone(), now + STANDS_BY)),
            Want::Anew { .. } | Want::NotDue | Want::Other(_) | Want::Usable => None,
        }
    }

    /// What is kept of a refresh that failed now. A person's starts to count anew.
    pub fn failure(&self, want: &Want, reason: Reason, now: Moment) -> Failure {
        let previous = match want {
            Want::Anew { .. } => None,
            Want::NotDue | Want::Other(_) | Want::Usable => self.failure.as_ref(),
        };
        let alike = previous.filter(|previous| previous.reason.is_transient() == reason.is_transient());
        let times = alike.map_or(1, |previous| previous.times.saturating_add(1));
        let again = previous.is_some_and(|previous| previous.reason == reason);
        Failure { reason, times, not_before: now + reason.pause(times, again, now) }
    }
}

/// For how long somebody has seen a row as it is, on a clock that only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// The same version.
    pub version: Duration,
    /// The same claim.
    pub claim: Duration,
}

/// Somebody who looks at a row again and again.
#[derive(Debug, Default)]
pub struct Watch {
    version: Option<(u64, Instant)>,
    claim: Option<(Option<Moment>, Instant)>,
}

impl Watch {
    /// Sees a row, and says for how long it has been so.
    pub fn see(&mut self, row: &Row) -> Watched {
        Watched { version: same(&mut self.version, row.version), claim: same(&mut self.claim, row.claimed_until) }
    }
}

fn same<T: PartialEq>(seen: &mut Option<(T, Instant)>, value: T) -> Duration {
    match seen {
        Some((before, since)) if *before == value => since.elapsed(),
        _ => {
            *seen = Some((value, Instant::now()));
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_795_231_800_000);
    const JUST_NOW: Watched = Watched { version: Duration::ZERO, claim: Duration::ZERO };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn held(left_secs: u64) -> Row {
        let value = TokenValue::new("v");
        let value = Some(Held { value, obtained_at: NOW, expires_at: NOW + secs(left_secs) });
        Row { version: 2, value_version: 2, value, ..Row::default() }
    }

    fn failed(reason: Reason) -> Row {
        let failure = Row::default().failure(&Want::Usable, reason, NOW);
        Row { version: 2, failure: Some(failure), ..Row::default() }
    }

    /// The pauses after failures in a row, each of them met as soon as it may be.
    fn pauses(reason: Reason, count: usize) -> Vec<u64> {
        let (mut row, mut now, mut pauses) = (Row::default(), NOW, Vec::new());
        for _ in 0..count {
            let failure = row.failure(&Want::Usable, reason, now);
            pauses.push(failure.not_before.since(now).as_secs());
            now = failure.not_before;
            row.failure = Some(failure);
        }
        pauses
    }

    #[test]
    fn a_value_is_used_until_thirty_seconds_before_its_end() {
        let step = |row: &Row| format!("{:?}", row.reader_step(&Want::Usable, NOW, JUST_NOW));
        assert!(step(&held(31)).starts_with("Use"));
        assert_eq!(step(&held(30)), "Claim");
        assert_eq!(step(&Row::default()), "Claim");
    }

    #[test]
    fn a_value_is_due_when_five_minutes_are_left() {
        let step = |row: &Row| format!("{:?}", row.refresher_step(&Want::NotDue, NOW, JUST_NOW));
        assert!(step(&held(301)).starts_with("Done"));
        assert_eq!(step(&held(300)), "Take");
    }

    #[test]
    fn a_refused_value_is_not_used_and_another_is() {
        let (other, this) = (TokenValue::new("w").hash(), TokenValue::new("v").hash());
        assert!(matches!(held(7200).reader_step(&Want::Other(other), NOW, JUST_NOW), ReaderStep::Use(_)));
        assert!(matches!(held(7200).reader_step(&Want::Other(this.clone()), NOW, JUST_NOW), ReaderStep::Claim));
        let mut row = held(7200);
        row.stands_by = Row::stands_by(&Want::Other(this.clone()), &TokenValue::new("v"), NOW);
        let stop = Stopped { reason: Reason::StandsBy, until: NOW + secs(60) };
        let ReaderStep::Stop(stopped) = row.reader_step(&Want::Other(this.clone()), NOW, JUST_NOW) else { panic!() };
        assert_eq!(stopped, stop);
        assert!(matches!(row.reader_step(&Want::Other(this), NOW + secs(60), JUST_NOW), ReaderStep::Claim));
        assert!(matches!(row.reader_step(&Want::Usable, NOW, JUST_NOW), ReaderStep::Use(_)));
    }

    #[test]
    fn a_lease_keeps_others_away_until_it_ends_or_was_watched_for_as_long() {
        let row = Row { version: 2, leased_until: Some(NOW + LEASE), ..Row::default() };
        let step =
            |now, version| format!("{:?}", row.refresher_step(&Want::Usable, now, Watched { version, ..JUST_NOW }));
        assert_eq!(step(NOW, Duration::ZERO), "Wait");
        assert_eq!(step(NOW + LEASE, Duration::ZERO), "Take");
        // A clock that is far behind.
        assert_eq!(step(Moment::from_millis(0), LEASE), "Take");
        assert!(matches!(row.reader_step(&Want::Usable, NOW, JUST_NOW), ReaderStep::Wait));
    }

    #[test]
    fn a_claim_keeps_other_readers_away_and_no_refresher() {
        let row = Row { claimed_until: Some(NOW + CLAIM), ..Row::default() };
        assert!(matches!(row.reader_step(&Want::Usable, NOW, JUST_NOW), ReaderStep::Wait));
        assert!(matches!(row.reader_step(&Want::Usable, NOW + CLAIM, JUST_NOW), ReaderStep::Claim));
        let watched = Watched { claim: CLAIM, ..JUST_NOW };
        assert!(matches!(row.reader_step(&Want::Usable, NOW, watched), ReaderStep::Claim));
        assert!(matches!(row.refresher_step(&Want::Usable, NOW, JUST_NOW), RefresherStep::Take));
    }

    #[test]
    fn a_failure_stops_everybody_but_a_person_and_whoever_has_a_value() {
        let row = failed(Reason::Errcode(40164));
        let stopped = |want: &Want, now| matches!(row.refresher_step(want, now, JUST_NOW), RefresherStep::Stop(_));
        assert!(stopped(&Want::Usable, NOW) && stopped(&Want::NotDue, NOW + secs(59)));
        assert!(!stopped(&Want::Usable, NOW + secs(60)));
        assert!(!stopped(&Want::Anew { since: 2 }, NOW));
        let row = Row { failure: row.failure.clone(), ..held(200) };
        assert!(matches!(row.reader_step(&Want::Usable, NOW, JUST_NOW), ReaderStep::Use(_)));
        assert!(matches!(row.refresher_step(&Want::NotDue, NOW, JUST_NOW), RefresherStep::Stop(_)));
    }

    #[test]
    fn a_person_is_content_with_what_came_after_the_question_only() {
        let step = |row: &Row, since| format!("{:?}", row.refresher_step(&Want::Anew { since }, NOW, JUST_NOW));
        assert_eq!(step(&held(7200), 2), "Take");
        assert!(step(&held(7200), 1).starts_with("Done"));
        let failed = Row { failure: failed(Reason::NoAnswer).failure, ..held(7200) };
        assert_eq!(step(&failed, 1), "Take");
    }

    #[test]
    fn pauses_grow_as_the_documentation_and_patience_demand() {
        for (reason, expected) in [
            (Reason::NoAnswer, vec![1, 2, 4, 8, 16, 30, 30]),
            (Reason::Errcode(-1), vec![1, 2, 4, 8, 16, 30, 30]),
            (Reason::Errcode(40001), vec![60, 120, 240, 480, 600, 600]),
            (Reason::Errcode(40164), vec![60, 120, 240, 480, 600, 600]),
            (Reason::Errcode(12345), vec![60, 120, 240, 480, 600, 600]),
            (Reason::Errcode(45011), vec![60, 60, 60]),
            (Reason::Errcode(89503), vec![600, 600]),
            (Reason::Errcode(89507), vec![3600, 3600]),
            (Reason::Errcode(89506), vec![86_400, 86_400]),
        ] {
            assert_eq!(pauses(reason, expected.len()), expected, "{reason:?}");
        }
        // 03:30 in UTC is 11:30 in Beijing.
        assert_eq!(pauses(Reason::Errcode(45009), 3), [12 * 3600 + 1800 + 120, 600, 600]);
    }

    #[test]
    fn no_pause_of_a_clock_that_is_hours_ahead_stops_anybody() {
        for reason in [Reason::NoAnswer, Reason::Errcode(40164), Reason::Errcode(89507)] {
            let failure = Row::default().failure(&Want::Usable, reason, NOW + secs(6 * 3600));
            let row = Row { version: 2, failure: Some(failure), ..Row::default() };
            assert!(matches!(row.refresher_step(&Want::Usable, NOW, JUST_NOW), RefresherStep::Take), "{reason:?}");
        }
        // Seconds are usual.
        let failure = Row::default().failure(&Want::Usable, Reason::NoAnswer, NOW + secs(5));
        let row = Row { version: 2, failure: Some(failure), ..Row::default() };
        assert!(matches!(row.refresher_step(&Want::Usable, NOW, JUST_NOW), RefresherStep::Stop(_)));
    }

    #[test]
    fn another_kind_of_failure_and_a_person_count_anew() {
        let first = failed(Reason::NoAnswer);
        assert_eq!(first.failure(&Want::Usable, Reason::Errcode(-1), NOW).times, 2);
        assert_eq!(first.failure(&Want::Usable, Reason::Errcode(40164), NOW).times, 1);
        assert_eq!(first.failure(&Want::Anew { since: 2 }, Reason::NoAnswer, NOW).times, 1);
    }
}
