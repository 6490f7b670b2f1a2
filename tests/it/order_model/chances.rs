//! How often what may happen does.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::{Index, select};

use super::model::{Cart, KEY_TTL, ORDER_TTL, PRODUCTS, USERS};
use super::steps::{Fate, How, Loss, RefundStep, Step, SweepStep, WRONGS, Wish};

const KEYS: usize = 5;

fn rarely() -> impl Strategy<Value = bool> {
    prop_oneof![5 => Just(false), 1 => Just(true)]
}

fn wish() -> impl Strategy<Value = Wish> {
    let cart = btree_map(0..PRODUCTS.len(), 1..=3_u64, 1..=2);
    (cart, rarely(), any::<bool>()).prop_map(|(cart, insists, reversed)| Wish { cart, insists, reversed })
}

fn loss() -> impl Strategy<Value = Option<Loss>> {
    let how = select(vec![How::Request, How::Error, How::Answer, How::Signature]);
    let loss = (how, any::<bool>()).prop_map(|(how, all)| Some(Loss { how, all }));
    prop_oneof![5 => Just(None), 1 => loss]
}

/// What becomes of a request for a prepay_id: some are refused of those that WeChat Pay would never get.
fn prepay_loss() -> impl Strategy<Value = Option<Loss>> {
    loss().prop_map(|loss| match loss {
        Some(Loss { how: How::Error | How::Request, all: true }) => Some(Loss { how: How::Refusal, all: false }),
        loss => loss,
    })
}

/// What happens at WeChat Pay, and between it and us. This and the next may happen at the same moment.
fn of_wechat_pay() -> impl Strategy<Value = Step> {
    let order = any::<Index>;
    prop_oneof![
        7 => order().prop_map(Step::Pay),
        2 => order().prop_map(Step::Close),
        3 => order().prop_map(Step::PayClosed),
        5 => (order(), 1..=2_usize).prop_map(|(order, copies)| Step::Notify { order, copies }),
        1 => order().prop_map(Step::NotifyRefunded),
        1 => (order(), select(&WRONGS[..]))
            .prop_map(|(order, (tamper, status))| Step::NotifyWrong { order, tamper, status }),
    ]
}

fn refund() -> impl Strategy<Value = Step> {
    let fates = select(vec![Fate::Success, Fate::Processing, Fate::Closed, Fate::Abnormal, Fate::NotEnough]);
    let which = (any::<Index>(), 0..3_usize, select(vec![30_u64, 70, 100]));
    (which, fates, loss(), loss()).prop_map(|((order, request, percent), fate, request_loss, query_loss)| {
        Step::Refund(RefundStep { order, request, percent, fate, request_loss, query_loss })
    })
}

/// What happens to refunds that are there.
fn of_refunds() -> impl Strategy<Value = Step> {
    let statuses = || select(vec!["SUCCESS", "CLOSED", "ABNORMAL"]);
    let any_status = select(vec!["SUCCESS", "CLOSED", "ABNORMAL", "PROCESSING"]);
    prop_oneof![
        6 => refund(),
        1 => (any::<Index>(), select(vec![30_u64, 100]), any_status)
            .prop_map(|(order, percent, status)| Step::RefundElsewhere { order, percent, status }),
        2 => (any::<Index>(), statuses()).prop_map(|(refund, status)| Step::SettleRefund { refund, status }),
        3 => (any::<Index>(), 1..=2_usize).prop_map(|(refund, copies)| Step::NotifyRefund { refund, copies }),
    ]
}

fn sweep() -> impl Strategy<Value = Step> {
    let min_age = select(vec![None, None, Some(0), Some(60), Some(ORDER_TTL)]);
    (min_age, rarely(), (loss(), loss(), loss())).prop_map(|(min_age, twice, (query, close, refund_query))| {
        Step::Sweep(SweepStep { min_age, twice, query, close, refund_query })
    })
}

fn of_users() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..USERS, 0..KEYS, wish(), prepay_loss()).prop_map(|(user, key, wish, loss)| Step::Create { user, key, wish, loss }),
        2 => (any::<Index>(), rarely(), loss())
            .prop_map(|(order, is_stranger, loss)| Step::Query { order, is_stranger, loss }),
    ]
}

fn of_nobody() -> impl Strategy<Value = Step> {
    let times = vec![1, 2, 3, 3, 60, ORDER_TTL, KEY_TTL];
    prop_oneof![4 => select(times).prop_map(Step::Pass), 1 => Just(Step::Restart)]
}

/// A shop that is open already: some have ordered, and some of them have paid.
fn opening() -> impl Strategy<Value = Vec<Step>> {
    let wish = btree_map(0..PRODUCTS.len(), 1..=2_u64, 1..=2);
    let wish = wish.prop_map(|cart| Wish { cart, insists: false, reversed: false });
    let order = (0..USERS, 0..KEYS, wish).prop_map(|(user, key, wish)| Step::Create { user, key, wish, loss: None });
    (vec(order, 2..5), vec(any::<Index>().prop_map(Step::Pay), 1..4)).prop_map(|(orders, paid)| [orders, paid].concat())
}

/// One after the other.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => of_users(), 5 => of_wechat_pay(), 5 => of_refunds(), 2 => sweep(), 2 => of_nobody()];
    (opening(), vec(step, 20..50)).prop_map(|(opening, steps)| [opening, steps].concat())
}

/// Everybody wants the last ones, mostly by keys of their own.
fn rush() -> impl Strategy<Value = Vec<Step>> {
    let cart = (1..PRODUCTS.len(), 1..=3_u64).prop_map(|(product, quantity)| Cart::from([(product, quantity)]));
    let wish = cart.prop_map(|cart| Wish { cart, insists: true, reversed: false });
    let order =
        (0..USERS, 0..8 * KEYS, wish).prop_map(|(user, key, wish)| Step::Create { user, key, wish, loss: None });
    vec(order, 6..12)
}

/// Some at a time.
pub(super) fn bursts() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let pass = select(vec![60, ORDER_TTL]).prop_map(Step::Pass);
    let mixed = prop_oneof![6 => of_users(), 6 => of_wechat_pay(), 6 => of_refunds(), 3 => sweep(), 1 => pass];
    let bursts = vec(prop_oneof![4 => vec(mixed, 2..10), 1 => rush()], 4..10);
    let opening = opening().prop_map(|steps| steps.into_iter().map(|step| vec![step]));
    (opening, bursts).prop_map(|(opening, bursts)| opening.chain(bursts).collect())
}
