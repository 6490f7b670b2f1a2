//! What came of it, in numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::ledger::Ledger;

use super::{ORDERS, ROUNDS, Storm};

#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Orders about which nobody asked again when there was no answer.
    given_up: usize,
    /// Sweepers that were killed, and those that were not.
    pub(super) killed: usize,
    sweeps: usize,
    swept: BTreeMap<&'static str, u64>,
    /// What `refund-order` replied, how often.
    refunds: BTreeMap<String, usize>,
    /// What refunds have been, each state once.
    refund_states: BTreeMap<String, usize>,
    /// How orders have come to their ends.
    ends: BTreeMap<String, usize>,
    pub(super) taken_fen: u64,
    pub(super) refunded_fen: u64,
}

impl Counts {
    pub(super) fn of(given_up: usize) -> Self {
        Self { given_up, ..Self::default() }
    }

    pub(super) fn sweep(&mut self, reply: &Value) {
        self.sweeps += 1;
        for name in ["checked", "healed", "closed", "failures"] {
            *self.swept.entry(name).or_default() += reply[name].as_u64().unwrap();
        }
    }

    pub(super) fn refund(&mut self, outcome: &str) {
        *self.refunds.entry(outcome.to_owned()).or_default() += 1;
    }

    /// A refund that has come to its end.
    pub(super) fn refunded(&mut self, refund: &Value) {
        let states: BTreeSet<_> = Ledger::refund_history(refund).into_iter().map(|(state, _)| state).collect();
        for state in states {
            *self.refund_states.entry(state.to_owned()).or_default() += 1;
        }
    }

    /// How many orders have ended in a state.
    fn ended(&self, state: &str) -> usize {
        let ends = self.ends.iter().filter(|(end, _)| last(end).starts_with(state));
        ends.map(|(_, count)| count).sum()
    }

    /// An order that has come to its end.
    pub(super) fn end(&mut self, order: &Value) {
        let moves = Ledger::history(order).into_iter().skip(1).map(|(state, by)| format!("{state} by {by}"));
        *self.ends.entry(moves.collect::<Vec<_>>().join(", ")).or_default() += 1;
        if Ledger::is_settled(order) {
            self.taken_fen += order["totalFen"].as_u64().unwrap();
        }
        self.refunded_fen += order["refundedFen"].as_u64().unwrap_or_default();
    }
}

impl Storm {
    #[expect(clippy::print_stdout, reason = "the numbers are what somebody who runs this alone wants to see")]
    pub(super) async fn report(&self, last_sweeps: usize) {
        let counts = &self.counts;
        let [paid, refunded, closed] = ["SUCCESS", "REFUND", "CLOSED"].map(|state| counts.ended(state));
        println!("orders:   {ORDERS}: {paid} paid, {refunded} paid and with refunds, {closed} closed");
        println!("          {} of them given up when there was no answer", counts.given_up);
        println!("ends:     {:?}", counts.ends);
        println!("money:    {} fen taken, {} fen given back, here and there", counts.taken_fen, counts.refunded_fen);
        println!("refunds:  {:?} (replies of refund-order), {:?} (been)", counts.refunds, counts.refund_states);
        println!(
            "sweeps:   {} in {ROUNDS} rounds, {} more killed; {last_sweeps} at the end",
            counts.sweeps, counts.killed
        );
        println!("          {:?} (sums of their replies)", counts.swept);
        let (dropped, tries) = self.untold().await;
        println!(
            "told:     {} payments and results of refunds; {dropped} of them never, {tries} tries",
            self.events().await
        );
        let mut calls = BTreeMap::<&str, usize>::new();
        let sent = self.proxy.take();
        sent.iter().for_each(|sent| *calls.entry(kind(&sent.line)).or_default() += 1);
        println!("calls:    {} of WeChat Pay, of which {} got lost: {calls:?}", sent.len(), self.proxy.lost());
    }

    /// Checks that the weather was bad, so that all that has ended well has done so in spite of it.
    pub(super) async fn assert_stormy(&self) {
        let counts = &self.counts;
        let (dropped, _) = self.untold().await;
        assert!(counts.killed > 0 && dropped > 0 && self.proxy.lost() > 0, "{counts:?}, {dropped} dropped");
        for state in ["SUCCESS", "REFUND", "CLOSED"] {
            assert!(counts.ended(state) > 0, "no order is {state}: {counts:?}");
        }
        for state in ["SUCCESS", "CLOSED", "ABNORMAL"] {
            assert!(counts.refund_states.contains_key(state), "no refund was {state}: {counts:?}");
        }
    }

    /// Of how many events WeChat Pay has never told, and how often it has tried with the others.
    async fn untold(&self) -> (usize, usize) {
        let deliveries = self.world.sandbox("GET", "/notifications", Value::Null).await;
        let deliveries = deliveries["notifications"].as_array().unwrap();
        let told: BTreeSet<_> = deliveries.iter().map(|delivery| delivery["eventId"].to_string()).collect();
        (self.events().await - told.len(), deliveries.len())
    }

    /// The payments and settled refunds of which WeChat Pay tells.
    async fn events(&self) -> usize {
        let paid = self.there().await.iter().filter(|there| there["timesPaid"] == 1).count();
        let refunds = self.world.refunds_at_wechat_pay().await;
        paid + refunds.iter().filter(|refund| refund["status"] != "PROCESSING").count()
    }
}

fn last(end: &str) -> &str {
    end.rsplit(", ").next().unwrap_or_default()
}

/// What a call is for, by its method and path.
fn kind(line: &str) -> &'static str {
    match line {
        line if line.ends_with("/jsapi") => "prepay",
        line if line.ends_with("/close") => "close",
        line if line.starts_with("POST") => "refund",
        line if line.contains("/refunds/") => "query a refund",
        _ => "query an order",
    }
}
