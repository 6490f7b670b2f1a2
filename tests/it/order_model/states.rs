//! Every sequence of events, from every state.

use shared::store::orders::{Move, OrderEvent, OrderState};

const EVENTS: [OrderEvent; 3] = [OrderEvent::Closed, OrderEvent::Paid, OrderEvent::Refunded];
const LONGEST: usize = 5;

/// How far an order is: an order never goes back.
fn rank(state: OrderState) -> u8 {
    match state {
        OrderState::NotPay => 0,
        OrderState::Closed => 1,
        OrderState::Success => 2,
        OrderState::Refund => 3,
    }
}

/// How far an event says that an order is.
fn told(event: OrderEvent) -> u8 {
    match event {
        OrderEvent::Closed => 1,
        OrderEvent::Paid => 2,
        OrderEvent::Refunded => 3,
    }
}

/// The moves that some events make.
fn moves(from: OrderState, events: &[OrderEvent]) -> Vec<Move> {
    let mut state = from;
    let step = |event: &OrderEvent| {
        let step = state.after(*event)?;
        assert_eq!(step.from, state, "{from:?} {events:?}");
        state = step.to;
        Some(step)
    };
    events.iter().filter_map(step).collect()
}

/// Every sequence of up to so many events, with every state before it.
fn cases() -> impl Iterator<Item = (OrderState, Vec<OrderEvent>)> {
    let longer = |sequences: &Vec<Vec<OrderEvent>>| {
        let longer = sequences.iter().flat_map(|sequence| EVENTS.map(|event| [sequence.as_slice(), &[event]].concat()));
        Some(longer.collect())
    };
    let sequences = std::iter::successors(Some(vec![vec![]]), longer).take(LONGEST + 1).flatten();
    sequences.flat_map(|sequence| OrderState::ALL.map(|state| (state, sequence.clone())))
}

#[test]
fn there_are_as_many_cases_as_there_should_be() {
    assert_eq!(cases().count(), 4 * (1 + 3 + 9 + 27 + 81 + 243));
}

#[test]
fn an_order_ends_where_the_furthest_event_leads_whatever_the_order_of_events() {
    for (from, events) in cases() {
        let end = moves(from, &events).last().map_or(from, |step| step.to);
        let furthest = events.iter().map(|event| told(*event)).max().unwrap_or_default().max(rank(from));
        assert_eq!(rank(end), furthest, "{from:?} {events:?}");
    }
}

#[test]
fn paid_never_becomes_unpaid_a_refund_is_final_and_nothing_becomes_unpaid_again() {
    for (from, events) in cases() {
        for step in moves(from, &events) {
            let is_paid = |state| matches!(state, OrderState::Success | OrderState::Refund);
            assert!(!is_paid(step.from) || is_paid(step.to), "{step:?}");
            assert!(step.from != OrderState::Refund && step.to != OrderState::NotPay, "{step:?}");
            assert!(rank(step.from) < rank(step.to), "{step:?}");
        }
    }
}

#[test]
fn what_was_told_once_changes_nothing_when_it_is_told_again() {
    for (from, events) in cases() {
        let twice = [events.as_slice(), events.as_slice()].concat();
        assert_eq!(moves(from, &twice), moves(from, &events), "{from:?} {events:?}");
    }
}

#[test]
fn stock_goes_back_and_an_open_order_ends_and_a_payment_is_learnt_once_at_most() {
    for (from, events) in cases() {
        let moves = moves(from, &events);
        let count = |is_so: fn(Move) -> bool| moves.iter().filter(|step| is_so(**step)).count();
        let was_unpaid = matches!(from, OrderState::NotPay | OrderState::Closed);
        let is_told = |wanted: &[OrderEvent]| events.iter().any(|event| wanted.contains(event));
        let is_paid = is_told(&[OrderEvent::Paid, OrderEvent::Refunded]);
        let ends = from == OrderState::NotPay && !events.is_empty();
        assert_eq!(count(Move::ends_open_order), usize::from(ends), "{from:?} {events:?}");
        assert_eq!(count(Move::is_payment), usize::from(was_unpaid && is_paid), "{from:?} {events:?}");
        // Closed before anything else is the one way to be closed.
        let closes = from == OrderState::NotPay && events.first() == Some(&OrderEvent::Closed);
        assert_eq!(count(Move::returns_stock), usize::from(closes), "{from:?} {events:?}");
        let after_closed = (closes || from == OrderState::Closed) && is_paid;
        assert_eq!(count(Move::is_paid_after_closed), usize::from(after_closed), "{from:?} {events:?}");
    }
}
