//! The tokens' protocol, in every order in which things can happen, within bounds.
//!
//! The model has one row, refreshers, readers, WeChat and the time. What a process does next is decided by the code that
//! is in production (`Row::refresher_step`, `reader_step`, `stands_by` and `failure` of `store::tokens::protocol`); what
//! it writes, and on which condition, mirrors `store::tokens`; its loop mirrors `token-refresher` and `shared::tokens`.
//! Reads are strongly consistent, and a write is one atomic step, because DynamoDB's are.
//!
//! - Time moves by 2 s, which is a claim or half a lease. In some configurations everybody may be as slow as can be, so
//!   that whoever has a lease can be overtaken at every step; in the others nobody lets time pass who can go on, except
//!   WeChat, and the time that it takes is bounded.
//! - A clock is behind or ahead by a constant, some by more than a lease. What somebody has watched is real time.
//! - A fault is a process that loses its memory, at any step, and begins again; a write whose answer is lost; an
//!   invocation that is throttled; a call that WeChat refuses without having revoked the value. Besides, WeChat may
//!   give no value, and may revoke the one that it gives.
//!
//! A tick is shorter than the 3 s that WeChat is given. Where the time is bounded, a call of WeChat takes a tick at most,
//! so in production each may come to a second more than the bound has for it; where everybody goes at their own pace, a
//! call takes as long as there is time.
//!
//! Deadlines are not in it: whoever gives up does what a process does that crashes. Nor are tickets: whoever has the lease
//! of a ticket's row takes that of the token inside it, if the token has to be refreshed too, and each row for itself is
//! this model's. (`token_lease` kills holders of both.) Nor is what a reader has in memory.
//!
//! Progress is checked as a bound on the time that all takes, which no state may exceed. (An `eventually` of stateright
//! overlooks cycles, and states that two paths lead to.) Each bound is reached, so it is the exact one.
//!
//! In sum 1.2 million states. Their numbers for each configuration are printed by
//! `cargo test -p tests --test it token_model -- --nocapture`.
//
// stateright, because the subject is a protocol over a table, in bounded but exhaustive time: loom and shuttle run
// threads that share memory.

mod model;
mod properties;
mod reader;
mod refresher;
mod setup;
mod state;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use self::properties as p;
use self::setup::{Errand, Pace, Rule, Sight, Start, Tokens};
use self::state::{Skew, Want};

const OTHER: Errand = Errand::Wanted(Want::Other(1));
const USABLE: Errand = Errand::Wanted(Want::Usable);
const NOT_DUE: Errand = Errand::Wanted(Want::NotDue);

/// A protocol that is wrong can go on without end.
const MOST_STATES: usize = 4_000_000;

/// Clocks of which one is behind by more than a lease, one right, and one as much ahead.
const SPREAD: [Skew; 3] = [-3, 0, 3];

/// Three refreshers at their own pace, two of them for a value other than the one that the row has. Meanwhile WeChat may
/// revoke that.
fn contended() -> Tokens {
    Tokens {
        rows: vec![Start::Fresh],
        errands: vec![OTHER, OTHER, Errand::Person],
        skews: vec![SPREAD.to_vec()],
        faults: 1,
        failures: 0,
        revokes: 1,
        pace: Pace::Free(2),
        rule: Rule::AsWritten,
        must: p::ALL,
        sights: vec![p::OVERTAKEN, p::LATE_WRITER, p::ABANDONED, p::OWN_WRITE, p::WATCHED, p::ALL_SERVED],
    }
}

/// Two refreshers at their own pace, with more faults and more time.
fn pair(row: Start, errands: [Errand; 2]) -> Tokens {
    Tokens {
        rows: vec![row],
        errands: errands.to_vec(),
        skews: vec![vec![0, 0], vec![-3, 3]],
        faults: 2,
        failures: 1,
        pace: Pace::Free(3),
        sights: vec![p::OVERTAKEN, p::ABANDONED, p::OWN_WRITE, p::WATCHED, p::FAILURE, p::ALL_SERVED],
        ..contended()
    }
}

/// Two readers and two refreshers, all at their own pace. WeChat has revoked the value that the row has.
fn free_readers() -> Tokens {
    Tokens {
        rows: vec![Start::Revoked],
        errands: vec![Errand::Readers; 2],
        skews: vec![vec![0; 4]],
        revokes: 0,
        sights: vec![
            p::BOTH_CLAIM,
            p::OVERTAKEN,
            p::ABANDONED,
            p::OWN_WRITE,
            p::ANOTHER_VALUE,
            p::STANDS_BY,
            p::ALL_SERVED,
        ],
        ..contended()
    }
}

/// Two readers who do not let time pass, with clocks that are right: everything is over within so many ticks.
fn prompt_readers(within: u8) -> Tokens {
    Tokens {
        rows: vec![Start::Empty, Start::Fresh, Start::Revoked, Start::Ending],
        pace: Pace::Prompt(within),
        sights: vec![p::BOTH_CLAIM, p::ABANDONED, p::ALL_SERVED, p::LAST_TICK],
        ..free_readers()
    }
}

/// Four readers at once, and nothing that goes wrong.
fn stampede(errands: &[Errand]) -> Tokens {
    Tokens {
        rows: vec![Start::Empty, Start::Revoked],
        errands: errands.to_vec(),
        skews: vec![vec![0; errands.len() + 4]],
        faults: 0,
        revokes: 0,
        pace: Pace::Prompt(1),
        sights: vec![p::BOTH_CLAIM, p::ALL_SERVED, p::LAST_TICK],
        ..contended()
    }
}

#[test]
fn one_of_three_refreshers_writes_and_no_older_value_replaces_a_newer_one() {
    check("three refreshers", contended());
}

#[test]
fn one_of_two_refreshers_writes_whatever_goes_wrong_with_both() {
    check("two refreshers, a value", pair(Start::Fresh, [OTHER, OTHER]));
    check("two refreshers, no value", pair(Start::Empty, [USABLE, NOT_DUE]));
}

#[test]
fn readers_use_no_value_that_was_refused_and_ask_for_none_that_there_is() {
    check("two readers, a fault", free_readers());
    let sights = vec![p::BOTH_CLAIM, p::OVERTAKEN, p::ANOTHER_VALUE, p::ALL_SERVED];
    check(
        "two readers, a revocation",
        Tokens { rows: vec![Start::Empty], faults: 0, revokes: 1, sights, ..free_readers() },
    );
}

#[test]
fn a_value_comes_in_time_after_a_fault_a_failure_and_a_revocation() {
    check("prompt readers", Tokens { failures: 1, revokes: 1, ..prompt_readers(6) });
}

#[test]
fn each_fault_costs_a_lease_and_the_answer_that_was_lost() {
    let rows = vec![Start::Empty, Start::Revoked];
    check("no fault", Tokens { rows, faults: 0, sights: vec![p::LAST_TICK], ..prompt_readers(1) });
    check("one fault", prompt_readers(3));
    check("two faults", Tokens { faults: 2, ..prompt_readers(5) });
}

/// Whoever comes watches a dead holder's lease for as long as it lasts, and so does the refresher that is invoked then.
/// It is no matter whether two clocks are three leases apart or nine.
#[test]
fn wrong_clocks_cost_one_lease_more() {
    for skews in [[-3, 3], [-9, 9]] {
        let (rows, errands, skews) = (vec![Start::Empty], vec![Errand::Readers; 3], cases(&skews, 3));
        check("wrong clocks", Tokens { rows, errands, skews, ..prompt_readers(5) });
    }
}

/// Until when nobody asks is not watched, as a lease is: the difference between the clocks comes on top.
#[test]
fn a_failure_lasts_by_the_clock_of_whoever_met_it() {
    let failing = |skews, within| {
        let sights = vec![p::FAILURE, p::LAST_TICK];
        Tokens { rows: vec![Start::Empty], skews, faults: 0, failures: 1, sights, ..prompt_readers(within) }
    };
    check("a failure, right clocks", failing(vec![vec![0; 4]], 3));
    check("a failure, wrong clocks", failing(cases(&SPREAD, 2), 11));
}

#[test]
fn if_nothing_goes_wrong_a_stampede_is_one_invocation_and_one_call_of_wechat() {
    check("stampede", stampede(&[Errand::Readers; 2]));
    check("stampede, and the schedule", stampede(&[Errand::Readers, NOT_DUE]));
}

#[test]
fn the_model_finds_what_is_wrong_with_a_protocol_that_lacks_something() {
    let wrong = Tokens { rows: vec![Start::Empty], skews: vec![vec![-3, 3, 0, 0]], ..prompt_readers(4) };
    assert_breaks(Rule::TakeUnconditionally, contended(), p::ONE_WRITER);
    assert_breaks(Rule::AnyWriter, contended(), p::ONE_WRITER);
    assert_breaks(Rule::SettleUnconditionally, contended(), p::LEASED_WRITER);
    assert_breaks(Rule::SettleUnconditionally, contended(), p::NEWER_STAYS);
    assert_breaks(Rule::ByClockOnly, wrong.clone(), p::NOT_TOO_LONG);
    assert_breaks(Rule::ByClockOnly, wrong, p::IN_TIME);
    assert_breaks(Rule::ClaimUnconditionally, stampede(&[Errand::Readers; 2]), p::ONE_REFRESH);
}

/// Visits every state that can be reached.
fn check(name: &str, model: Tokens) {
    let checker = visit(name, model);
    if let Some(path) = checker.discovery(p::ALL.0) {
        let broken: Vec<_> = p::broken(checker.model(), path.last_state()).collect();
        panic!("{name}: not so: {broken:?}: {path}\n{:#?}", path.last_state());
    }
    checker.assert_properties();
    assert!(checker.state_count() < MOST_STATES, "{name}: there is no end of states");
}

/// Looks for a way in which a protocol with another rule breaks a property that this one has.
fn assert_breaks(rule: Rule, model: Tokens, must: Sight) {
    let name = format!("{rule:?} breaks '{}'", must.0);
    visit(&name, Tokens { rule, must, sights: Vec::new(), ..model }).assert_any_discovery(must.0);
}

/// Visits every state, or those up to the first one in which something does not hold.
fn visit(name: &str, model: Tokens) -> impl Checker<Tokens> {
    let begin = Instant::now();
    let checker = model.checker().target_state_count(MOST_STATES).finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    report(name, &checker, begin);
    checker
}

#[expect(clippy::print_stdout, reason = "the numbers are for whoever asks for the output of tests")]
fn report(name: &str, checker: &impl Checker<Tokens>, begin: Instant) {
    let (states, unique, depth) = (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, {unique} unique, depth {depth}, {:.1?}", begin.elapsed());
}

/// The cases of such clocks for some refreshers and two readers. It makes no difference which of them has which.
fn cases(skews: &[Skew], refreshers: usize) -> Vec<Vec<Skew>> {
    let readers = ascending(skews, 2);
    let with_readers =
        |refreshers: Vec<Skew>| readers.iter().map(move |readers| [refreshers.as_slice(), readers].concat());
    ascending(skews, refreshers).into_iter().flat_map(with_readers).collect()
}

/// The lists of so many of these, which are in ascending order, that are so themselves.
fn ascending(skews: &[Skew], count: usize) -> Vec<Vec<Skew>> {
    (0..count).fold(vec![vec![]], |lists, _| {
        let longer = |list: Vec<Skew>| {
            let next = skews.iter().filter(|&skew| list.last().is_none_or(|last| last <= skew));
            next.map(|&skew| [list.as_slice(), &[skew]].concat()).collect::<Vec<_>>()
        };
        lists.into_iter().flat_map(longer).collect()
    })
}
