//! What a reader does: `shared/src/tokens.rs`, for a caller whose call WeChat may refuse.

use shared::clock::Moment;
use shared::store::tokens::protocol::{CLAIM, LEASE, ReaderStep, Reason, Watched};

use super::setup::Rule;
use super::state::{Breach, Index, Number, ReaderAt, RefresherAt, State, Version, Want, Watch};

impl ReaderAt {
    /// A reader that comes, or comes again.
    pub(super) fn begin() -> Self {
        Self::Looking { want: Want::Usable, watch: Watch::default() }
    }
}

impl State {
    /// The next step, if nothing goes wrong. The one that invokes is [`Self::invoke`].
    pub(super) fn step_reader(&mut self, rule: Rule, index: Index) {
        match self.readers[index].step {
            ReaderAt::Looking { want, watch } => self.see(rule, index, want, watch),
            ReaderAt::Claiming { want, watch, seen, now } => {
                let claimed = self.claim(rule, seen, now);
                self.readers[index].step =
                    if claimed { ReaderAt::Invoking { want, watch } } else { ReaderAt::Looking { want, watch } };
            }
            ReaderAt::Invoking { .. } | ReaderAt::Waiting { .. } | ReaderAt::Done(_) => {}
        }
    }

    /// A claim, whose answer is lost: it is taken for somebody else's.
    pub(super) fn claim_unanswered(&mut self, rule: Rule, index: Index) {
        if let ReaderAt::Claiming { want, watch, seen, now } = self.readers[index].step
            && self.claim(rule, seen, now)
        {
            self.readers[index].step = ReaderAt::Looking { want, watch };
        }
    }

    /// Invokes a refresher that is idle.
    pub(super) fn invoke(&mut self, index: Index, refresher: Index) {
        if let ReaderAt::Invoking { want, watch } = self.readers[index].step {
            self.readers[index].step = ReaderAt::Waiting { want, watch, refresher };
            self.refreshers[refresher].step = RefresherAt::Looking { want, watch: Watch::default() };
            self.invocations = (self.invocations + 1).min(2);
        }
    }

    /// The invocation is throttled; or WeChat refuses a value that it has not revoked.
    pub(super) fn fail_reader(&mut self, index: Index) {
        match (self.readers[index].step, self.row.value) {
            (ReaderAt::Invoking { want, watch }, _) => self.readers[index].step = ReaderAt::Looking { want, watch },
            (ReaderAt::Looking { want: Want::Usable, .. }, Some(value))
                if self.row.has(Want::Usable, self.now(self.readers[index].skew)) =>
            {
                self.refuse(index, value.number);
            }
            _ => {}
        }
    }

    fn refuse(&mut self, index: Index, number: Number) {
        self.readers[index].step = ReaderAt::Looking { want: Want::Other(number), watch: Watch::default() };
    }

    /// Reads the row and decides.
    fn see(&mut self, rule: Rule, index: Index, want: Want, mut watch: Watch) {
        let now = self.now(self.readers[index].skew);
        let watched = watch.see(&self.row, self.ticks);
        let believed = if rule == Rule::ByClockOnly { Watched::default() } else { watched };
        let row = self.row.production();
        let step = match row.reader_step(&want.production(), now, believed) {
            ReaderStep::Use(_) => return self.use_value(index, want, now),
            ReaderStep::Stop(stopped) if stopped.reason == Reason::StandsBy => ReaderAt::Done(None),
            // Whoever is told so comes again.
            ReaderStep::Stop(_) => ReaderAt::Looking { want, watch: Watch::default() },
            ReaderStep::Claim => {
                if self.row.has(want, now) {
                    self.breach(Breach::AskedNeedlessly);
                }
                ReaderAt::Claiming { want, watch, seen: (self.row.version, self.row.claimed_until), now }
            }
            ReaderStep::Wait => {
                if watched.version >= LEASE && watched.claim >= CLAIM {
                    self.breach(Breach::WaitedTooLong);
                }
                ReaderAt::Looking { want, watch }
            }
        };
        self.readers[index].step = step;
    }

    /// Makes the call. If WeChat refuses the value, another one is wanted, once.
    fn use_value(&mut self, index: Index, want: Want, now: Moment) {
        let Some(value) = self.row.value else { return };
        if want == Want::Other(value.number) {
            self.breach(Breach::UsedRefused);
        } else if !self.row.has(want, now) {
            self.breach(Breach::WasContent);
        }
        match want {
            Want::Usable if value.number < self.wechat.oldest => return self.refuse(index, value.number),
            Want::Anew { .. } | Want::NotDue | Want::Other(_) | Want::Usable => {}
        }
        self.readers[index].step = ReaderAt::Done(Some(value.number));
    }

    /// `TokenRows::claim`, without the answer.
    fn claim(&mut self, rule: Rule, seen: (Version, Option<Moment>), now: Moment) -> bool {
        let may = (self.row.version, self.row.claimed_until) == seen || rule == Rule::ClaimUnconditionally;
        if may {
            self.row.claimed_until = Some(now + CLAIM);
        }
        may
    }
}
