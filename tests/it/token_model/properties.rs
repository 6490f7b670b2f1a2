//! What must hold in every state, and what has to be seen in some.

use super::setup::{Pace, Sight, Tokens};
use super::state::{Breach, Index, ReaderAt, RefresherAt, State, Version};

pub(super) const ONE_WRITER: Sight =
    ("no two refreshers can write what came of a refresh", |_, state| holders(state).count() <= 1);
pub(super) const LEASED_WRITER: Sight =
    ("nobody writes when somebody else has the lease", |_, state| state.breach != Some(Breach::WroteWithoutLease));
pub(super) const NEWER_STAYS: Sight =
    ("no older value replaces a newer one", |_, state| state.breach != Some(Breach::WroteOlderValue));
pub(super) const NOT_REFUSED: Sight =
    ("no reader uses the value that was refused", |_, state| state.breach != Some(Breach::UsedRefused));
pub(super) const ENOUGH: Sight =
    ("nobody takes for an answer what is none", |_, state| state.breach != Some(Breach::WasContent));
pub(super) const NOT_NEEDLESSLY: Sight =
    ("nobody asks for what the row has", |_, state| state.breach != Some(Breach::AskedNeedlessly));
pub(super) const NOT_TOO_LONG: Sight = ("nobody waits for an unchanged row longer than a lease lasts", |_, state| {
    state.breach != Some(Breach::WaitedTooLong)
});
pub(super) const IN_TIME: Sight = (
    "everybody has what they want in time",
    |model, state| !matches!(model.pace, Pace::Prompt(within) if state.ticks > within),
);
pub(super) const A_GOOD_VALUE: Sight =
    ("in the end there is a good value", |_, state| !state.is_over() || has_good_value(state));
pub(super) const ONE_REFRESH: Sight = ("if nothing goes wrong, there is one refresh for all", |model, state| {
    model.may_go_wrong() || is_one_refresh(state)
});

/// What must hold.
pub(super) const SAFETY: [Sight; 10] = [
    ONE_WRITER,
    LEASED_WRITER,
    NEWER_STAYS,
    NOT_REFUSED,
    ENOUGH,
    NOT_NEEDLESSLY,
    NOT_TOO_LONG,
    IN_TIME,
    A_GOOD_VALUE,
    ONE_REFRESH,
];

/// All of it, as one: stateright looks every property up for every state, which takes longer than to check it.
pub(super) const ALL: Sight = ("all that must hold", |model, state| broken(model, state).next().is_none());

/// What does not hold.
pub(super) fn broken(model: &Tokens, state: &State) -> impl Iterator<Item = &'static str> {
    SAFETY.iter().filter(|(_, holds)| !holds(model, state)).map(|&(name, _)| name)
}

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
