//! What a refresher does: `functions/token-refresher/src/refresh.rs`, and the writes of `store::tokens`.

use shared::clock::Moment;
use shared::store::tokens::protocol::{self, LEASE, Reason, RefresherStep, USABLE, Watched};

use super::setup::Rule;
use super::state::{Breach, Index, Number, ReaderAt, RefresherAt, Row, State, Value, Version, Want, Watch, token};

impl State {
    /// The next step, if nothing goes wrong.
    pub(super) fn step_refresher(&mut self, rule: Rule, index: Index) {
        match self.refreshers[index].step {
            RefresherAt::Idle => {}
            RefresherAt::Asked => {
                let want = Want::Anew { since: self.row.version };
                self.refreshers[index].step = RefresherAt::Looking { want, watch: Watch::default() };
            }
            RefresherAt::Looking { want, watch } => self.look(rule, index, want, watch),
            RefresherAt::Taking { want, seen, now } => {
                let taken = self.take(rule, index, seen, now) || self.is_by(rule, index, seen + 1);
                self.refreshers[index].step = if taken {
                    RefresherAt::Asking { want, lease: seen + 1, asked_at: self.now(self.refreshers[index].skew) }
                } else {
                    RefresherAt::Looking { want, watch: Watch::default() }
                };
                self.calls = (self.calls + u8::from(taken)).min(2);
            }
            RefresherAt::Asking { .. } => self.answer(index, Some(self.wechat.current)),
            RefresherAt::Settling { want, lease, .. } => {
                if self.settle(rule, index) || self.is_by(rule, index, lease + 1) {
                    self.end_refresher(index, RefresherAt::Idle);
                } else {
                    self.refreshers[index].step = RefresherAt::Looking { want, watch: Watch::default() };
                }
            }
        }
    }

    /// A write, whose answer is lost: the refresher is about to send it again.
    pub(super) fn write_unanswered(&mut self, rule: Rule, index: Index) {
        match self.refreshers[index].step {
            RefresherAt::Taking { seen, now, .. } => self.take(rule, index, seen, now),
            RefresherAt::Settling { .. } => self.settle(rule, index),
            RefresherAt::Idle | RefresherAt::Asked | RefresherAt::Looking { .. } | RefresherAt::Asking { .. } => false,
        };
    }

    /// WeChat answers whoever asks: with a value, or not.
    pub(super) fn answer(&mut self, index: Index, answer: Option<Number>) {
        if let RefresherAt::Asking { want, lease, asked_at } = self.refreshers[index].step {
            self.refreshers[index].step = RefresherAt::Settling { want, lease, asked_at, answer };
        }
    }

    /// The invocation ends, and whoever waits for it goes on.
    pub(super) fn end_refresher(&mut self, index: Index, then: RefresherAt) {
        self.refreshers[index].step = then;
        for reader in &mut self.readers {
            match reader.step {
                ReaderAt::Waiting { want, watch, refresher } if refresher == index => {
                    reader.step = ReaderAt::Looking { want, watch };
                }
                _ => {}
            }
        }
    }

    /// Reads the row and decides. It is one step: an answer that comes late has no other effect than a clock that is
    /// ahead.
    fn look(&mut self, rule: Rule, index: Index, want: Want, mut watch: Watch) {
        let now = self.now(self.refreshers[index].skew);
        let watched = watch.see_version(&self.row, self.ticks);
        let believed = if rule == Rule::ByClockOnly { Watched::default() } else { watched };
        let row = self.row.production();
        let step = row.refresher_step(&want.production(), now, believed);
        match (&step, self.row.has(want, now)) {
            (RefresherStep::Done(_), false) => self.breach(Breach::WasContent),
            (RefresherStep::Take, true) => self.breach(Breach::AskedNeedlessly),
            _ => {}
        }
        match step {
            RefresherStep::Done(_) | RefresherStep::Stop(_) => self.end_refresher(index, RefresherAt::Idle),
            RefresherStep::Take => {
                self.refreshers[index].step = RefresherAt::Taking { want, seen: self.row.version, now };
            }
            RefresherStep::Wait => {
                if watched.version >= LEASE {
                    self.breach(Breach::WaitedTooLong);
                }
                self.refreshers[index].step = RefresherAt::Looking { want, watch };
            }
        }
    }

    /// `TokenRows::take`, without the answer.
    fn take(&mut self, rule: Rule, index: Index, seen: Version, now: Moment) -> bool {
        let may = self.row.version == seen || rule == Rule::TakeUnconditionally;
        if may {
            let row = &mut self.row;
            (row.version, row.leased_until, row.writer) = (seen + 1, Some(now + LEASE), Some(index));
        }
        may
    }

    /// `TokenRows::settle`, without the answer.
    fn settle(&mut self, rule: Rule, index: Index) -> bool {
        let RefresherAt::Settling { want, lease, asked_at, answer } = self.refreshers[index].step else { return false };
        let holds = self.row.version == lease && self.row.leased_until.is_some() && self.row.writer == Some(index);
        if self.row.version != lease && rule != Rule::SettleUnconditionally {
            return false;
        }
        let now = self.now(self.refreshers[index].skew);
        match answer {
            Some(number) => self.store(lease + 1, want, Value::issued(number, asked_at), now),
            None => {
                let failure = self.row.production().failure(&want.production(), Reason::NoAnswer, now);
                self.row.failure = Some((failure.times, failure.not_before));
                self.row.version = lease + 1;
            }
        }
        if !holds {
            self.breach(Breach::WroteWithoutLease);
        }
        (self.row.leased_until, self.row.claimed_until) = (None, None);
        true
    }

    fn store(&mut self, version: Version, want: Want, value: Value, now: Moment) {
        if self.row.value.is_some_and(|before| before.number > value.number) {
            self.breach(Breach::WroteOlderValue);
        }
        let stands_by = protocol::Row::stands_by(&want.production(), &token(value.number), now);
        self.row.stands_by = stands_by.map(|(_, until)| (value.number, until));
        (self.row.version, self.row.value_version) = (version, version);
        (self.row.value, self.row.failure) = (Some(value), None);
    }

    /// `store::tokens::is_by`: whether the row is as this one's write has left it.
    fn is_by(&self, rule: Rule, index: Index, version: Version) -> bool {
        self.row.version == version && (self.row.writer == Some(index) || rule == Rule::AnyWriter)
    }

    pub(super) fn breach(&mut self, breach: Breach) {
        self.breach = self.breach.or(Some(breach));
    }
}

impl Row {
    /// What it is for a row to have what somebody wants, said once more.
    pub(super) fn has(&self, want: Want, now: Moment) -> bool {
        let lasts = |least| self.value.is_some_and(|value| value.expires_at > now + least);
        match want {
            Want::Anew { since } => self.value_version > since && self.failure.is_none(),
            Want::NotDue => lasts(protocol::DUE),
            Want::Other(refused) => lasts(USABLE) && self.value.is_some_and(|value| value.number != refused),
            Want::Usable => lasts(USABLE),
        }
    }
}
