//! What must hold in every state, and what has to be seen in some.

use super::setup::{Pace, Sight};
use super::state::{Breach, Index, ReaderAt, RefresherAt, State, Version};

pub(super) const ONE_WRITER: &str = "no two refreshers can write what came of a refresh";
pub(super) const LEASED_WRITER: &str = "nobody writes when somebody else has the lease";
pub(super) const NEWER_STAYS: &str = "no older value replaces a newer one";
pub(super) const NOT_REFUSED: &str = "no reader uses the value that was refused";
pub(super) const ENOUGH: &str = "nobody takes for an answer what is none";
pub(super) const NOT_NEEDLESSLY: &str = "nobody asks for what the row has";
pub(super) const NOT_TOO_LONG: &str = "nobody waits for an unchanged row longer than a lease lasts";
pub(super) const IN_TIME: &str = "everybody has what they want in time";
pub(super) const A_GOOD_VALUE: &str = "in the end there is a good value";
pub(super) const ONE_REFRESH: &str = "if nothing goes wrong, there is one refresh for all";

/// What must hold.
pub(super) const SAFETY: [Sight; 10] = [
    (ONE_WRITER, |_, state| holders(state).count() <= 1),
    (LEASED_WRITER, |_, state| state.breach != Some(Breach::WroteWithoutLease)),
    (NEWER_STAYS, |_, state| state.breach != Some(Breach::WroteOlderValue)),
    (NOT_REFUSED, |_, state| state.breach != Some(Breach::UsedRefused)),
    (ENOUGH, |_, state| state.breach != Some(Breach::WasContent)),
    (NOT_NEEDLESSLY, |_, state| state.breach != Some(Breach::AskedNeedlessly)),
    (NOT_TOO_LONG, |_, state| state.breach != Some(Breach::WaitedTooLong)),
    (IN_TIME, |model, state| !matches!(model.pace, Pace::Prompt(within) if state.ticks > within)),
    (A_GOOD_VALUE, |_, state| !state.is_over() || has_good_value(state)),
    (ONE_REFRESH, |model, state| model.may_go_wrong() || is_one_refresh(state)),
];

/// A holder works on and somebody else has its lease.
pub(super) const OVERTAKEN: Sight = ("a refresher is overtaken", |_, state| {
    state.row.leased_until.is_some()
        && holders(state).next().is_some()
        && leases(state).any(|(_, lease)| lease < state.row.version)
});

/// The other way round it would be the older value that stays.
pub(super) const LATE_WRITER: Sight = ("an older value comes after a newer one", |_, state| {
    let newest = state.row.value.map(|value| value.number);
    state.refreshers.iter().any(|refresher| match refresher.step {
        RefresherAt::Settling { answer: Some(number), .. } => newest > Some(number),
        _ => false,
    })
});

pub(super) const ABANDONED: Sight = ("a lease has nobody who holds it", |_, state| {
    state.row.leased_until.is_some() && holders(state).next().is_none() && leases(state).next().is_none()
});

/// Though by the clock of whoever takes it, it is not over.
pub(super) const WATCHED: Sight = ("a lease is taken that was watched for as long as it lasts", |_, state| {
    state.refreshers.iter().any(|refresher| match refresher.step {
        RefresherAt::Taking { seen, now, .. } => seen == state.row.version && state.row.leased_until > Some(now),
        _ => false,
    })
});

pub(super) const OWN_WRITE: Sight = ("a refresher meets its own write", |_, state| {
    let meets = |(index, lease): (Index, _)| state.row.writer == Some(index) && state.row.version == lease + 1;
    leases(state).any(meets)
});

pub(super) const ANOTHER_VALUE: Sight = ("a reader uses another value than the one that was refused", |_, state| {
    state.readers.iter().any(|reader| reader.step == ReaderAt::Done(Some(2)))
});

pub(super) const STANDS_BY: Sight = ("a reader is told that WeChat stands by a value", |_, state| {
    state.readers.iter().any(|reader| reader.step == ReaderAt::Done(None))
});

pub(super) const FAILURE: Sight = ("WeChat fails", |_, state| state.row.failure.is_some());

pub(super) const ALL_SERVED: Sight = ("everybody has what they want", |_, state| state.is_over());

pub(super) const LAST_TICK: Sight = ("it takes as long as is allowed", |model, state| {
    state.is_over() && matches!(model.pace, Pace::Prompt(within) if state.ticks == within)
});

pub(super) const BOTH_CLAIM: Sight = ("two readers claim at once", |_, state| {
    let claiming = |step| matches!(step, ReaderAt::Claiming { .. });
    state.readers.iter().filter(|reader| claiming(reader.step)).count() > 1
});

/// The refreshers that can write: those that have the lease, by the row's version.
fn holders(state: &State) -> impl Iterator<Item = Index> {
    leases(state).filter(|&(_, lease)| lease == state.row.version).map(|(index, _)| index)
}

/// The refreshers that have taken a lease and not given it back, and which.
fn leases(state: &State) -> impl Iterator<Item = (Index, Version)> {
    state.refreshers.iter().enumerate().filter_map(|(index, refresher)| match refresher.step {
        RefresherAt::Asking { lease, .. } | RefresherAt::Settling { lease, .. } => Some((index, lease)),
        RefresherAt::Idle | RefresherAt::Asked | RefresherAt::Looking { .. } | RefresherAt::Taking { .. } => None,
    })
}

/// A value, or a failure that says why there is none and has told everybody; and every reader has had its answer.
fn has_good_value(state: &State) -> bool {
    let newest = state.row.value.map(|value| value.number);
    let stands_by = state.row.stands_by.is_some();
    let is_served = |step| match step {
        ReaderAt::Done(Some(number)) => newest >= Some(number),
        ReaderAt::Done(None) => stands_by || newest > Some(1),
        _ => false,
    };
    (newest.is_some() || state.row.failure.is_some()) && state.readers.iter().all(|reader| is_served(reader.step))
}

fn is_one_refresh(state: &State) -> bool {
    state.calls <= 1 && state.invocations <= 1 && (!state.is_over() || state.calls == 1)
}
