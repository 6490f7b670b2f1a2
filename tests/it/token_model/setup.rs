//! A configuration of the model: who there is, and what may go wrong.

use std::time::Duration;

use shared::store::tokens::protocol::USABLE;

use super::state::{Reader, ReaderAt, Refresher, RefresherAt, Row, Skew, State, TICK, Want, Watch, Wechat};

/// A configuration.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) rows: Vec<Start>,
    /// What the refreshers are invoked for, if not by readers.
    pub(super) errands: Vec<Errand>,
    /// Of the refreshers and then of the readers: each list is a case of its own.
    pub(super) skews: Vec<Vec<Skew>>,
    /// How many steps may go wrong: crashes, lost answers, throttled invocations, calls refused without reason.
    pub(super) faults: u8,
    /// How often WeChat may give no value.
    pub(super) failures: u8,
    /// How often WeChat may revoke its value.
    pub(super) revokes: u8,
    pub(super) pace: Pace,
    pub(super) rule: Rule,
    /// What must hold in every state.
    pub(super) must: Sight,
    /// What has to be seen in some, or the model leaves out what it is for.
    pub(super) sights: Vec<Sight>,
}

/// The row at the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Empty,
    /// With a value.
    Fresh,
    /// With a value that WeChat has revoked.
    Revoked,
    /// With a value that is usable for one more tick.
    Ending,
}

/// Why a refresher runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Errand {
    /// Readers invoke it.
    Readers,
    /// A person wants a new answer.
    Person,
    /// The schedule, or a reader that is not in the model.
    Wanted(Want),
}

/// How steps and time go together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Anybody may be as slow as can be, until this tick.
    Free(u8),
    /// Whoever can go on does so before the next tick; WeChat may take one; and all is over after so many.
    Prompt(u8),
}

/// The protocol, or one that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    AsWritten,
    /// A lease is taken whatever the version is by now.
    TakeUnconditionally,
    /// What came of a refresh is written whatever the version is by now.
    SettleUnconditionally,
    /// Everybody who wants to invoke a refresher does.
    ClaimUnconditionally,
    /// A lease lasts until its end by everybody's own clock.
    ByClockOnly,
    /// A version that a write would have made is taken for its work.
    AnyWriter,
}

/// Something to be seen in a state, and its name.
pub(super) type Sight = (&'static str, fn(&Tokens, &State) -> bool);

impl Start {
    fn row(self, state: &State) -> Row {
        match self {
            Self::Empty => Row::default(),
            Self::Fresh | Self::Revoked => Row::with_first_value(state.now(0), Duration::from_secs(7200)),
            Self::Ending => Row::with_first_value(state.now(0), USABLE + TICK),
        }
    }

    fn wechat(self) -> Wechat {
        match self {
            Self::Empty | Self::Fresh => Wechat { current: 1, oldest: 1 },
            Self::Revoked => Wechat { current: 2, oldest: 2 },
            Self::Ending => Wechat { current: 2, oldest: 1 },
        }
    }
}

impl Errand {
    /// Where it begins, or begins again after a crash.
    pub(super) fn begin(self) -> RefresherAt {
        match self {
            Self::Readers => RefresherAt::Idle,
            Self::Person => RefresherAt::Asked,
            Self::Wanted(want) => RefresherAt::Looking { want, watch: Watch::default() },
        }
    }
}

impl Tokens {
    /// The first state of a case.
    pub(super) fn begin(&self, start: Start, skews: &[Skew]) -> State {
        let (refreshers, readers) = skews.split_at(self.errands.len());
        let refresher = |(&skew, errand): (&Skew, &Errand)| Refresher { skew, step: errand.begin() };
        let mut state = State {
            ticks: 0,
            row: Row::default(),
            wechat: start.wechat(),
            refreshers: refreshers.iter().zip(&self.errands).map(refresher).collect(),
            readers: readers.iter().map(|&skew| Reader { skew, step: ReaderAt::begin() }).collect(),
            faults: self.faults,
            failures: self.failures,
            revokes: self.revokes,
            calls: 0,
            invocations: 0,
            breach: None,
        };
        state.row = start.row(&state);
        state
    }

    /// Whether anything can go wrong: a step, WeChat, a clock, or somebody who is too slow.
    pub(super) fn may_go_wrong(&self) -> bool {
        let clocks_are_right = self.skews.iter().flatten().all(|&skew| skew == 0);
        self.faults + self.failures + self.revokes > 0 || !clocks_are_right || matches!(self.pace, Pace::Free(_))
    }
}
