//! What can happen in the model, and when.

use stateright::{Model, Property};

use super::setup::{Pace, Tokens};
use super::state::{Index, ReaderAt, Refresher, RefresherAt, State, Wechat};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    Revoke,
    Refresher(Index, Move),
    Reader(Index, Move),
    /// A reader invokes a refresher.
    Invoke(Index, Index),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Step,
    /// The write is done and its answer is lost.
    Unanswered,
    Fail,
    Crash,
}

impl Tokens {
    fn may_tick(&self, state: &State) -> bool {
        match self.pace {
            Pace::Free(until) => state.ticks < until,
            Pace::Prompt(within) => state.ticks <= within && !self.is_pressing(state),
        }
    }

    /// Whether somebody goes on before time does.
    fn is_pressing(&self, state: &State) -> bool {
        let mut steps = Vec::new();
        Self::steps(state, &mut steps);
        let asks_since_now = |index: Index| match state.refreshers[index] {
            Refresher { skew, step: RefresherAt::Asking { asked_at, .. } } => asked_at == state.now(skew),
            _ => false,
        };
        steps.retain(|step| !matches!(step, Action::Refresher(index, _) if asks_since_now(*index)));
        steps.into_iter().any(|step| self.next_state(state, step).is_some())
    }

    /// What happens if nothing goes wrong.
    fn steps(state: &State, actions: &mut Vec<Action>) {
        let runs = |index: &Index| state.refreshers[*index].step != RefresherAt::Idle;
        let (running, idle): (Vec<_>, Vec<_>) = (0..state.refreshers.len()).partition(runs);
        actions.extend(running.into_iter().map(|index| Action::Refresher(index, Move::Step)));
        for (index, reader) in state.readers.iter().enumerate() {
            match reader.step {
                ReaderAt::Looking { .. } | ReaderAt::Claiming { .. } => {
                    actions.push(Action::Reader(index, Move::Step));
                }
                ReaderAt::Invoking { .. } => {
                    actions.extend(idle.iter().map(|&refresher| Action::Invoke(index, refresher)));
                }
                ReaderAt::Waiting { .. } | ReaderAt::Done(_) => {}
            }
        }
    }

    /// WeChat gives no value.
    fn failures(state: &State, actions: &mut Vec<Action>) {
        for (index, refresher) in state.refreshers.iter().enumerate() {
            if matches!(refresher.step, RefresherAt::Asking { .. }) {
                actions.push(Action::Refresher(index, Move::Fail));
            }
        }
    }

    /// What goes wrong.
    fn faults(state: &State, actions: &mut Vec<Action>) {
        for (index, refresher) in state.refreshers.iter().enumerate() {
            let add = match refresher.step {
                RefresherAt::Idle => [].as_slice(),
                RefresherAt::Asked | RefresherAt::Looking { .. } | RefresherAt::Asking { .. } => &[Move::Crash],
                RefresherAt::Taking { .. } | RefresherAt::Settling { .. } => &[Move::Crash, Move::Unanswered],
            };
            actions.extend(add.iter().map(|&add| Action::Refresher(index, add)));
        }
        for (index, reader) in state.readers.iter().enumerate() {
            let add = match reader.step {
                ReaderAt::Looking { .. } | ReaderAt::Invoking { .. } => [Move::Crash, Move::Fail].as_slice(),
                ReaderAt::Claiming { .. } => &[Move::Crash, Move::Unanswered],
                ReaderAt::Waiting { .. } => &[Move::Crash],
                ReaderAt::Done(_) => &[],
            };
            actions.extend(add.iter().map(|&add| Action::Reader(index, add)));
        }
    }

    fn do_move(&self, next: &mut State, action: Action) {
        match action {
            Action::Tick => next.ticks += 1,
            Action::Revoke => {
                next.revokes -= 1;
                let number = next.wechat.current + 1;
                next.wechat = Wechat { current: number, oldest: number };
            }
            Action::Invoke(reader, refresher) => next.invoke(reader, refresher),
            Action::Refresher(index, Move::Step) => next.step_refresher(self.rule, index),
            Action::Refresher(index, Move::Unanswered) => next.write_unanswered(self.rule, index),
            Action::Refresher(index, Move::Fail) => {
                next.failures -= 1;
                next.answer(index, None);
            }
            Action::Refresher(index, Move::Crash) => next.end_refresher(index, self.errands[index].begin()),
            Action::Reader(index, Move::Step) => next.step_reader(self.rule, index),
            Action::Reader(index, Move::Unanswered) => next.claim_unanswered(self.rule, index),
            Action::Reader(index, Move::Fail) => next.fail_reader(index),
            Action::Reader(index, Move::Crash) => next.readers[index].step = ReaderAt::begin(),
        }
    }
}

impl Model for Tokens {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let cases = self.rows.iter().flat_map(|&start| self.skews.iter().map(move |skews| (start, skews)));
        cases.map(|(start, skews)| self.begin(start, skews)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.is_over() {
            return;
        }
        Self::steps(state, actions);
        if state.faults > 0 {
            Self::faults(state, actions);
        }
        if state.failures > 0 {
            Self::failures(state, actions);
        }
        if state.revokes > 0 {
            actions.push(Action::Revoke);
        }
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.do_move(&mut next, action);
        if next == *last {
            return None;
        }
        if let Action::Refresher(_, Move::Crash | Move::Unanswered)
        | Action::Reader(_, Move::Crash | Move::Unanswered | Move::Fail) = action
        {
            next.faults -= 1;
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let (name, holds) = self.must;
        let sometimes = self.sights.iter().map(|&(name, is_seen)| Property::sometimes(name, is_seen));
        std::iter::once(Property::always(name, holds)).chain(sometimes).collect()
    }
}
