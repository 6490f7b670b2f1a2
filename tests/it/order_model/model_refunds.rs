//! The model of refunds.

use super::model::{Event, Model, Order, There};
use super::model_sweep::next_refund_query;
use super::steps::{Fate, Loss};

/// How often WeChat Pay is asked for a refund at most.
const ROUNDS: usize = 3;

/// A refund of an order, here or at WeChat Pay or both.
#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) number: String,
    pub(super) fen: u64,
    /// Each state here, and by what. Empty where nothing is known, or left.
    pub(super) history: Vec<(&'static str, &'static str)>,
    pub(super) there: Option<&'static str>,
    pub(super) created_at: u64,
    pub(super) sweep_at: u64,
}

/// Calls of WeChat Pay that get lost while a refund is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RefundLoss {
    pub(super) request: Option<Loss>,
    pub(super) query: Option<Loss>,
}

/// What there is to know of a request for a refund.
#[derive(Clone, Debug)]
pub(super) struct RefundWish {
    pub(super) number: String,
    pub(super) fen: u64,
    pub(super) fate: Fate,
    pub(super) loss: RefundLoss,
}

/// There was no answer.
pub(super) struct NoAnswer;

/// What WeChat Pay answers a request for a refund.
enum Answer {
    Accepted(&'static str),
    Refused,
    NotEnough,
    Lost,
}

impl Refund {
    pub(super) fn state(&self) -> &'static str {
        self.history.last().map_or("", |(state, _)| *state)
    }

    pub(super) fn is_swept(&self) -> bool {
        ["RESERVED", "PROCESSING", "ABNORMAL"].contains(&self.state())
    }

    fn holds(&self) -> bool {
        !["", "CLOSED"].contains(&self.state())
    }
}

impl Order {
    /// Whether WeChat Pay has a refund of it, whatever has become of that.
    pub(super) fn is_refunded_there(&self) -> bool {
        self.refunds.iter().any(|refund| refund.there.is_some())
    }

    /// What WeChat Pay would still refund.
    pub(super) fn left_there(&self) -> u64 {
        let holds = |refund: &&Refund| refund.there.is_some_and(|status| status != "CLOSED");
        self.total() - self.refunds.iter().filter(holds).map(|refund| refund.fen).sum::<u64>()
    }

    /// What is refunded, as far as is known here.
    pub(super) fn refunded(&self) -> u64 {
        self.refunds.iter().filter(|refund| refund.state() == "SUCCESS").map(|refund| refund.fen).sum()
    }

    fn held(&self) -> u64 {
        self.refunds.iter().filter(|refund| refund.holds()).map(|refund| refund.fen).sum()
    }
}

impl Model {
    /// What `refund-order` replies.
    pub(super) fn refund(&mut self, index: usize, wish: &RefundWish) -> &'static str {
        let of_number = |refund: &Refund| refund.number == wish.number && !refund.history.is_empty();
        if let Some(at) = self.orders[index].refunds.iter().position(of_number) {
            let known = &self.orders[index].refunds[at];
            return match known.state() {
                _ if known.fen != wish.fen => "idempotency_key_reused",
                settled @ ("CLOSED" | "SUCCESS") => settled,
                _ => self.go_on_refunding(index, at, wish),
            };
        }
        if self.orders[index].state() == "NOTPAY" {
            self.ask(index, None, "refund");
        }
        let order = &mut self.orders[index];
        if !order.is_settled() {
            return "refund_refused";
        }
        if order.held() + wish.fen > order.total() {
            return "refund_exceeds_paid";
        }
        let (created_at, sweep_at) = (self.now, next_refund_query(self.now, self.now));
        let (number, fen, history) = (wish.number.clone(), wish.fen, vec![("RESERVED", "refund")]);
        // One that was refused before has left nothing here.
        order.refunds.retain(|refund| refund.number != number);
        order.refunds.push(Refund { number, fen, history, there: None, created_at, sweep_at });
        self.writes += 1;
        let at = self.orders[index].refunds.len() - 1;
        self.ask_for_refund(index, at, wish)
    }

    fn go_on_refunding(&mut self, index: usize, at: usize, wish: &RefundWish) -> &'static str {
        let before = self.orders[index].refunds[at].state();
        match self.ask_refund(index, at, wish.loss.query, "refund") {
            Ok(Some(state)) => state,
            _ if before != "RESERVED" => before,
            Err(NoAnswer) => "wechat_unavailable",
            Ok(None) => self.ask_for_refund(index, at, wish),
        }
    }

    /// Asks for it, and about it after each answer that is not good.
    fn ask_for_refund(&mut self, index: usize, at: usize, wish: &RefundWish) -> &'static str {
        for round in 0..ROUNDS {
            let loss = wish.loss.request.filter(|loss| round == 0 || loss.is_of_all());
            let answer = self.request_refund(index, at, wish.fate, loss);
            if let Answer::Accepted(status) = answer {
                return self.learn_refund(index, at, status, "refund");
            }
            match (self.ask_refund(index, at, wish.loss.query, "refund"), answer) {
                (Ok(Some(state)), _) => return state,
                // Whatever was asked: what WeChat Pay said first may help.
                (_, Answer::NotEnough) => return "misconfigured",
                (Err(NoAnswer), _) => return "wechat_unavailable",
                (Ok(None), Answer::Refused) => {
                    let order = &mut self.orders[index];
                    order.refunds[at].history.clear();
                    // The next question goes to WeChat Pay; so does this one, if that can bring news.
                    order.queried_at = Some(0);
                    if order.state() == "SUCCESS" {
                        self.hear(index, "refund");
                        let order = &mut self.orders[index];
                        if order.state() == "SUCCESS" {
                            order.queried_at = Some(self.now);
                        }
                    }
                    return "refund_refused";
                }
                (Ok(None), Answer::Accepted(_) | Answer::Lost) => {}
            }
        }
        "wechat_unavailable"
    }

    /// What WeChat Pay makes of a request.
    fn request_refund(&mut self, index: usize, at: usize, fate: Fate, loss: Option<Loss>) -> Answer {
        if loss.is_some_and(|loss| !loss.is_of_answers()) {
            return Answer::Lost;
        }
        let order = &mut self.orders[index];
        let (is_paid, left) = (order.there == There::Paid, order.left_there());
        let refund = &mut order.refunds[at];
        let (answer, is_refusal) = match refund.there {
            Some(status) => (Answer::Accepted(status), false),
            None if !is_paid || refund.fen > left => (Answer::Refused, true),
            None if fate == Fate::NotEnough => (Answer::NotEnough, true),
            None => {
                refund.there = Some(fate.status());
                (Answer::Accepted("PROCESSING"), false)
            }
        };
        // Refusals are not signed.
        if loss.is_some_and(|loss| loss.loses(is_refusal)) { Answer::Lost } else { answer }
    }

    /// Asks WeChat Pay about it: how it stands then, `None` if WeChat Pay knows of none.
    pub(super) fn ask_refund(
        &mut self,
        index: usize,
        at: usize,
        loss: Option<Loss>,
        by: &'static str,
    ) -> Result<Option<&'static str>, NoAnswer> {
        let there = self.orders[index].refunds[at].there;
        if loss.is_some_and(|loss| loss.loses_all(there.is_none())) {
            return Err(NoAnswer);
        }
        Ok(there.map(|status| self.learn_refund(index, at, status, by)))
    }

    /// WeChat Pay says how a refund stands: how it does then.
    pub(super) fn learn_refund(
        &mut self,
        index: usize,
        at: usize,
        status: &'static str,
        by: &'static str,
    ) -> &'static str {
        self.learn(index, Event::Refunded, by);
        let now = self.now;
        let refund = &mut self.orders[index].refunds[at];
        let moves = match refund.state() {
            "" => {
                (refund.created_at, refund.sweep_at) = (now, next_refund_query(now, now));
                true
            }
            "RESERVED" => true,
            "PROCESSING" => status != "PROCESSING",
            "ABNORMAL" => ["CLOSED", "SUCCESS"].contains(&status),
            _ => false,
        };
        if moves {
            refund.history.push((status, by));
            self.writes += 1;
        }
        self.orders[index].refunds[at].state()
    }
}
