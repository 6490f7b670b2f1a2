//! What happens while the weather is bad.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};

use super::{AT_ONCE, LOST, SEED, Storm};

/// The sweeper's own longest pause, and longer than any order lives.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How payments and refunds are told, one round after the other.
const TOLD: [&str; 4] = [
    r#"{ "dropEvery": 2, "duplicates": 1, "signtestEvery": 7 }"#,
    r#"{ "hold": true, "dropEvery": 3, "duplicates": 2 }"#,
    r#"{ "enabled": false }"#,
    r#"{ "duplicates": 3, "dropEvery": 5, "signtestEvery": 3 }"#,
];

/// What becomes of refunds, one round after the other.
const OUTCOMES: [&str; 5] = ["SUCCESS", "PROCESSING", "CLOSED", "ABNORMAL", "SUCCESS"];

impl Storm {
    /// One round: people pay, staff refunds, sweepers run and die, time passes.
    pub(super) async fn blow(&mut self, round: usize) {
        let told: Value = serde_json::from_str(TOLD[round % TOLD.len()]).unwrap();
        self.world.sandbox("PUT", "/notifications", told).await;
        self.world.sandbox("PUT", "/refunds", json!({ "outcome": OUTCOMES[round % OUTCOMES.len()] })).await;
        self.proxy.lose(SEED + u64::try_from(round).unwrap(), LOST);
        self.pay().await;
        self.refund(round).await;
        self.sweep_and_die().await;
        // What is held back is told now, the last one first.
        self.world.sandbox("PUT", "/notifications", json!({ "enabled": false })).await;
        self.world.advance(Duration::from_secs(120 + self.dice.below(300)));
    }

    async fn pay(&mut self) {
        for there in self.there().await {
            let number = there["outTradeNo"].as_str().unwrap();
            if there["state"] == "NOTPAY" && self.dice.is_of(12) {
                // Who comes too late is refused.
                self.world.wechat("POST", "/sandbox/pay", json!({ "outTradeNo": number })).await;
            } else if there["state"] == "NOTPAY" && self.dice.is_of(1) {
                self.world.close_at_wechat(number).await;
            }
        }
    }

    /// Staff refunds some of what is paid, all or a part, here or on the merchant platform, and asks again for some of
    /// what was asked for before.
    async fn refund(&mut self, round: usize) {
        let mut wishes = Vec::new();
        for there in self.there().await {
            let (number, total) = (there["outTradeNo"].as_str().unwrap(), there["total"].as_u64().unwrap());
            if there["timesPaid"] != 1 {
                continue;
            }
            let fen = if self.dice.is_of(30) { total } else { 1 + self.dice.below(total) };
            if self.dice.is_of(8) {
                wishes.push((number.to_owned(), fen, format!("round-{round}")));
            } else if self.dice.is_of(1) {
                let wish = json!({ "outTradeNo": number, "refundFen": fen });
                // More than is left is refused.
                self.world.wechat("POST", "/sandbox/refunds", wish).await;
            }
        }
        self.wishes.extend(wishes.clone());
        let again: Vec<_> = self.wishes.iter().filter(|_| self.dice.is_of(20)).cloned().collect();
        wishes.extend(again);
        let outcomes = self.ask(wishes).await;
        outcomes.iter().for_each(|outcome| self.counts.refund(outcome));
    }

    /// What `refund-order` replies to these.
    async fn ask(&self, wishes: Vec<(String, u64, String)>) -> Vec<String> {
        let ask = |(number, fen, id): (String, u64, String)| async move { self.world.refund(&number, fen, &id).await };
        stream::iter(wishes).map(ask).buffer_unordered(AT_ONCE).collect().await
    }

    /// Two sweepers at once, of which some die in the middle.
    async fn sweep_and_die(&mut self) {
        let everything = if self.dice.is_of(25) { json!({ "minAgeSecs": 0 }) } else { json!({}) };
        let (dies, at) = (self.dice.is_of(85), usize::try_from(1 + self.dice.below(60)).unwrap());
        let before = self.proxy.count();
        let (other, dying) = (self.world.instance("order-sweeper").await, self.world.instance("order-sweeper").await);
        let (now, event) = (self.world.now(), everything.to_string().into_bytes());
        let other = tokio::spawn({
            let event = event.clone();
            async move { other.invoke(event, now).await }
        });
        let dying = tokio::spawn(async move { dying.invoke(event, now).await });
        while dies && !dying.is_finished() && self.proxy.count() < before + at {
            tokio::task::yield_now().await;
        }
        if dies {
            dying.abort();
        }
        match dying.await {
            Ok(reply) => self.counts.sweep(&serde_json::from_slice(&reply.unwrap()).unwrap()),
            Err(_) => self.counts.killed += 1,
        }
        self.counts.sweep(&serde_json::from_slice(&other.await.unwrap().unwrap()).unwrap());
    }

    /// Nothing gets lost any more. Banks and staff bring what they have begun to its end, and WeChat Pay tells nobody of
    /// it; but of a refund that staff has made on the merchant platform it tells at last: nobody could ask about that.
    pub(super) async fn clear(&mut self) {
        self.proxy.lose_no_more();
        self.world.sandbox("PUT", "/refunds", json!({ "outcome": "PROCESSING" })).await;
        let outcomes = self.ask(self.wishes.clone()).await;
        for outcome in outcomes {
            self.counts.refund(&outcome);
            assert!(!["busy", "wechat_unavailable"].contains(&&*outcome), "{outcome}");
        }
        for refund in self.world.refunds_at_wechat_pay().await {
            let status = ["SUCCESS", "SUCCESS", "CLOSED"][usize::try_from(self.dice.below(3)).unwrap()];
            if ["PROCESSING", "ABNORMAL"].contains(&refund["status"].as_str().unwrap()) {
                self.world.settle_silently(refund["outRefundNo"].as_str().unwrap(), status).await;
            }
            if refund["byStaff"] == true {
                let told = json!({ "outRefundNo": refund["outRefundNo"] });
                assert_eq!(self.world.sandbox("POST", "/notifications/resend", told).await["status"], 204);
            }
        }
    }
}
