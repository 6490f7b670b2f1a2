//! The model of the sweeper, and of when it asks.

use super::model::{Event, Model, There};
use super::steps::Loss;

/// How old an unpaid order is before the sweeper asks about it.
const MIN_AGE: u64 = 60;
/// A request for a prepay_id that was under way has arrived so long after the order's time.
const LAST_PREPAY: u64 = 60;
/// What has been open for so long is for a person to look at.
const STUCK: u64 = 3600;
/// When something is asked about again of which WeChat Pay told nothing.
const ASK_AGAIN: u64 = 60;

/// What a sweeper replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) checked: u64,
    pub(super) healed: u64,
    pub(super) closed: u64,
    pub(super) failures: u64,
}

/// Calls of WeChat Pay that get lost while a sweeper runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SweepLoss {
    pub(super) query: Option<Loss>,
    pub(super) close: Option<Loss>,
    pub(super) refund_query: Option<Loss>,
}

enum Outcome {
    Closed,
    Failed,
    Healed,
    Open,
}

/// When the sweeper asks next about an order. Source: WeChat Pay's schedule, from a minute on.
pub(super) fn next_query(created_at: u64, ends_at: u64, now: u64) -> u64 {
    if now >= ends_at {
        return rarely(ends_at, now);
    }
    let ages = [60, 180, 300, 600].into_iter().chain((1..).map(|half_hour| half_hour * 1800));
    ages.map(|age| created_at + age).find(|at| *at > now).unwrap_or(ends_at).min(ends_at)
}

/// When it asks next about a refund.
pub(super) fn next_refund_query(created_at: u64, now: u64) -> u64 {
    if now - created_at < 300 { now + 60 } else { rarely(created_at, now) }
}

fn rarely(since: u64, now: u64) -> u64 {
    now + (now - since).clamp(60, 3600)
}

impl Model {
    pub(super) fn sweep(&mut self, min_age: Option<u64>, loss: SweepLoss) -> Swept {
        let mut swept = Swept::default();
        for index in 0..self.orders.len() {
            let order = &self.orders[index];
            let is_due = min_age.is_some() || order.sweep_at <= self.now;
            let is_old = self.now - order.created_at >= min_age.unwrap_or(MIN_AGE);
            if order.state() == "NOTPAY" && is_due && is_old {
                swept.count(&self.sweep_order(index, loss));
            }
            for refund in 0..self.orders[index].refunds.len() {
                let refund_row = &self.orders[index].refunds[refund];
                if refund_row.is_swept() && (min_age.is_some() || refund_row.sweep_at <= self.now) {
                    swept.count(&self.sweep_refund(index, refund, loss.refund_query));
                }
            }
        }
        swept
    }

    fn sweep_order(&mut self, index: usize, loss: SweepLoss) -> Outcome {
        let order = &mut self.orders[index];
        order.sweep_at = next_query(order.created_at, order.ends_at, self.now);
        if !self.ask(index, loss.query, "sweep") {
            let order = &mut self.orders[index];
            order.sweep_at = order.sweep_at.min(self.now + ASK_AGAIN);
            return Outcome::Failed;
        }
        let order = &mut self.orders[index];
        match order.state() {
            "CLOSED" => return Outcome::Closed,
            "NOTPAY" => {}
            _ => return Outcome::Healed,
        }
        let waits = if order.there == There::Unknown { LAST_PREPAY } else { 0 };
        if self.now < order.ends_at + waits {
            return Outcome::Open;
        }
        if loss.close.is_none_or(Loss::reaches_wechat_pay) {
            order.there = There::Closed;
        }
        if loss.close.is_some_and(|loss| loss.loses_all(false)) {
            return Outcome::Failed;
        }
        self.learn(index, Event::Closed, "sweep");
        Outcome::Closed
    }

    fn sweep_refund(&mut self, index: usize, refund: usize, loss: Option<Loss>) -> Outcome {
        let row = &mut self.orders[index].refunds[refund];
        row.sweep_at = next_refund_query(row.created_at, self.now);
        let (age, is_reserved) = (self.now - row.created_at, row.state() == "RESERVED");
        let answer = self.ask_refund(index, refund, loss, "sweep");
        let row = &mut self.orders[index].refunds[refund];
        match answer {
            Err(_) => {
                row.sweep_at = row.sweep_at.min(self.now + ASK_AGAIN);
                Outcome::Failed
            }
            Ok(None) if is_reserved && age < STUCK => Outcome::Open,
            Ok(None) => Outcome::Failed,
            Ok(Some("CLOSED" | "SUCCESS")) => Outcome::Healed,
            Ok(Some(_)) => Outcome::Open,
        }
    }
}

impl Swept {
    fn count(&mut self, outcome: &Outcome) {
        self.checked += 1;
        match outcome {
            Outcome::Closed => self.closed += 1,
            Outcome::Failed => self.failures += 1,
            Outcome::Healed => self.healed += 1,
            Outcome::Open => {}
        }
    }
}
