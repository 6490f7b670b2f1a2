//! Refunds and sweeps at the same moment as anything else, and the end of it all.

use proptest::prelude::TestCaseError;
use proptest::prop_assert;
use proptest::sample::Index;
use serde_json::{Value, json};
use tests::ledger::Ledger;
use tests::refunds::REFUND;

use super::Checked;
use super::bursts::{Crowd, Taken, number};
use super::model::{ORDER_TTL, QUERY_INTERVAL};
use super::steps::{RefundStep, part};

/// What `refund-order` may answer.
const OUTCOMES: [&str; 11] = [
    "ABNORMAL",
    "CLOSED",
    "PROCESSING",
    "SUCCESS",
    "busy",
    "idempotency_key_reused",
    "misconfigured",
    "rate_limited",
    "refund_exceeds_paid",
    "refund_refused",
    "wechat_unavailable",
];

/// The longest pause of the sweeper about anything, in seconds.
const LONGEST_PAUSE: u64 = 3600;

impl Crowd<'_> {
    pub(super) async fn refund(&self, order: Option<&Value>, step: &RefundStep) -> Taken {
        let Some(order) = order else { return Ok(None) };
        self.shop.set_fate(step.fate).await;
        self.shop.lose(REFUND, step.request_loss.filter(|loss| !loss.all)).await;
        let fen = part(order["totalFen"].as_u64().unwrap(), step.percent);
        let reply = self.shop.refund(number(order), fen, &format!("request-{}", step.request)).await;
        let outcome = reply.map_or_else(|code| code, |reply| reply["status"].as_str().unwrap().to_owned());
        prop_assert!(OUTCOMES.contains(&&*outcome), "{}", outcome);
        self.sights.see(format!("refund: {outcome}"));
        Ok(None)
    }

    /// Staff refunds on the merchant's platform, if as much is left.
    pub(super) async fn refund_elsewhere(&self, order: Option<&Value>, percent: u64, status: &str) {
        let Some(order) = order else { return };
        let fen = part(order["totalFen"].as_u64().unwrap(), percent);
        let wish = json!({ "outTradeNo": number(order), "refundFen": fen, "status": status });
        self.shop.world.wechat("POST", "/sandbox/refunds", wish).await;
    }

    /// A bank brings a refund to an end, if it can be.
    pub(super) async fn settle_refund(&self, refund: &Index, status: &str) {
        let refunds = self.shop.world.refunds_at_wechat_pay().await;
        if !refunds.is_empty() {
            let number = &refund.get(&refunds)["outRefundNo"];
            // One that has ended stays so.
            let wish = json!({ "outRefundNo": number, "status": status, "notify": false });
            self.shop.world.wechat("POST", "/sandbox/refunds/settle", wish).await;
        }
    }

    /// WeChat Pay tells of a refund that is not under way.
    pub(super) async fn notify_refund(&self, refund: &Index, copies: usize) -> Taken {
        let mut refunds = self.shop.world.refunds_at_wechat_pay().await;
        refunds.retain(|refund| refund["status"] != "PROCESSING");
        if !refunds.is_empty() {
            let number = refund.get(&refunds)["outRefundNo"].as_str().unwrap();
            let statuses = self.shop.notify_refund(number, copies).await;
            prop_assert!(statuses.iter().all(|status| *status == 204), "{:?}", statuses);
        }
        Ok(None)
    }

    /// Once everything is asked for, all that was paid is known to be.
    pub(super) async fn settle(&self) -> Checked {
        self.shop.pass(QUERY_INTERVAL);
        for order in self.shop.ledger().await.orders() {
            self.query(order, false).await?;
        }
        let ledger = self.shop.ledger().await;
        self.shop.audit(&ledger).await.map_err(TestCaseError::fail)?;
        for there in self.shop.world.orders_at_wechat_pay().await {
            let order = ledger.order(number(&there)).unwrap();
            let is_paid = there["timesPaid"] == 1;
            prop_assert!(!is_paid || Ledger::is_settled(order), "paid there and not here: {}", order);
            prop_assert!(there["state"] != "CLOSED" || order["tradeState"] != "NOTPAY", "closed: {}", order);
            self.sights.see(order["tradeState"].as_str().unwrap());
        }
        Ok(())
    }

    /// Banks come to an end, and time passes. Then one sweep by the schedule brings every order to its end, and every
    /// refund that WeChat Pay has is here as it is there; but of one that staff has made nobody may have heard.
    pub(super) async fn end(&self) -> Checked {
        for refund in self.shop.world.refunds_at_wechat_pay().await {
            if ["ABNORMAL", "PROCESSING"].contains(&refund["status"].as_str().unwrap()) {
                self.shop.world.settle_silently(refund["outRefundNo"].as_str().unwrap(), "SUCCESS").await;
            }
        }
        self.shop.pass(ORDER_TTL + LONGEST_PAUSE);
        self.shop.sweep(None, 1).await;
        let ledger = self.shop.ledger().await;
        self.shop.audit(&ledger).await.map_err(TestCaseError::fail)?;
        for order in ledger.orders() {
            prop_assert!(order["tradeState"] != "NOTPAY", "{}", order);
        }
        for there in self.shop.world.refunds_at_wechat_pay().await {
            let here = ledger.refund(there["outRefundNo"].as_str().unwrap());
            let is_unheard = here.is_none() && there["byStaff"] == true;
            prop_assert!(is_unheard || here.is_some_and(|here| here["refundStatus"] == there["status"]), "{}", there);
            self.sights.see(format!("refunded: {}", there["status"]));
        }
        Ok(())
    }
}
