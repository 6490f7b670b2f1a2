//! What may happen in a shop.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::model::{Cart, KEY_TTL, ORDER_TTL, PRODUCTS, USERS};

const KEYS: usize = 5;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Somebody orders.
    Create { user: usize, key: usize, wish: Wish, loss: Option<Loss> },
    /// Somebody asks how an order stands: whose it is, or somebody else.
    Query { order: Index, is_stranger: bool, loss: Option<Loss> },
    /// An order is paid.
    Pay(Index),
    /// An order is closed on the merchant's platform.
    Close(Index),
    /// WeChat Pay has it that a closed order was paid all the same.
    PayClosed(Index),
    /// WeChat Pay tells of a payment, once more or for the first time.
    Notify { order: Index, copies: usize },
    /// WeChat Pay tells of a payment that has a refund.
    NotifyRefunded(Index),
    /// Somebody tells of a payment what is not so.
    NotifyWrong { order: Index, tamper: &'static str, status: u16 },
    /// Time passes.
    Pass(u64),
    /// All instances are replaced.
    Restart,
}

/// What somebody orders.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) cart: Cart,
    /// Whether this is what is ordered even where the key was used for something else.
    pub(super) insists: bool,
    /// Whether the items come in the reversed order.
    pub(super) reversed: bool,
}

/// What becomes of calls of WeChat Pay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    how: How,
    /// Whether of all of them, or of the first.
    pub(super) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// They do not get there.
    Request,
    /// They fail there.
    Error,
    /// The answer gets lost.
    Answer,
    /// The answer is not what was signed. What is not signed comes through.
    Signature,
}

impl Loss {
    pub(super) fn reaches_wechat_pay(self) -> bool {
        !self.all || matches!(self.how, How::Answer | How::Signature)
    }

    /// Whether no answer comes through.
    pub(super) fn loses_all(self, is_refusal: bool) -> bool {
        self.all && !(is_refusal && self.how == How::Signature)
    }

    pub(super) fn fault(self) -> Value {
        let mut fault = match self.how {
            How::Request => json!({ "drop": "before" }),
            How::Error => json!({ "status": 500 }),
            How::Answer => json!({ "drop": "after" }),
            How::Signature => json!({ "tamper": "signature" }),
        };
        fault["times"] = if self.all { u32::MAX } else { 1 }.into();
        fault
    }
}

/// What can be wrong with a notification, and how it is answered.
const WRONGS: [(&str, u16); 16] = [
    ("amount", 204),
    ("appid", 204),
    ("currency", 204),
    ("mchid", 204),
    ("outTradeNo", 204),
    ("aad", 401),
    ("algorithm", 401),
    ("body", 401),
    ("futureTimestamp", 401),
    ("key", 401),
    ("missing", 401),
    ("nonce", 401),
    ("serial", 401),
    ("signature", 401),
    ("signtest", 401),
    ("timestamp", 401),
];

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

/// What happens at WeChat Pay, and between it and us. This and the next may happen at the same moment.
fn of_wechat_pay() -> impl Strategy<Value = Step> {
    let order = any::<Index>;
    prop_oneof![
        4 => order().prop_map(Step::Pay),
        2 => order().prop_map(Step::Close),
        2 => order().prop_map(Step::PayClosed),
        5 => (order(), 1..=2_usize).prop_map(|(order, copies)| Step::Notify { order, copies }),
        1 => order().prop_map(Step::NotifyRefunded),
        1 => (order(), select(&WRONGS[..]))
            .prop_map(|(order, (tamper, status))| Step::NotifyWrong { order, tamper, status }),
    ]
}

fn of_users() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..USERS, 0..KEYS, wish(), loss()).prop_map(|(user, key, wish, loss)| Step::Create { user, key, wish, loss }),
        2 => (any::<Index>(), rarely(), loss())
            .prop_map(|(order, is_stranger, loss)| Step::Query { order, is_stranger, loss }),
    ]
}

fn of_nobody() -> impl Strategy<Value = Step> {
    let times = vec![1, 2, 3, 3, 60, ORDER_TTL, KEY_TTL];
    prop_oneof![4 => select(times).prop_map(Step::Pass), 1 => Just(Step::Restart)]
}

/// One after the other.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![5 => of_users(), 5 => of_wechat_pay(), 2 => of_nobody()], 20..50)
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
    let mixed = vec(prop_oneof![1 => of_users(), 1 => of_wechat_pay()], 2..8);
    vec(prop_oneof![3 => mixed, 1 => rush()], 4..10)
}
