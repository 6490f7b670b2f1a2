//! Refunds and sweeps, one after the other: the functions do what the model does.

use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;
use shared::wechatpay::{OutRefundNo, OutTradeNo};
use tests::refunds::{CLOSE, REFUND, REFUND_QUERY};
use tests::shop::QUERY;

use super::Checked;
use super::model::{ORDER_TTL, Order, There};
use super::model_refunds::{Refund, RefundLoss, RefundWish};
use super::model_sweep::{SweepLoss, Swept};
use super::sequences::Pair;
use super::steps::{RefundStep, Step, SweepStep, part};

/// The longest pause of the sweeper about anything, in seconds.
const LONGEST_PAUSE: u64 = 3600;

impl Pair<'_> {
    pub(super) async fn refund(&mut self, step: &RefundStep) -> Checked {
        let Some(index) = self.pick(&step.order, |order| order.there == There::Paid) else { return Ok(()) };
        if step.percent < 100 {
            // What nobody has paid is refused, which one in three is enough to show.
            self.at_wechat_pay(&Step::Pay(step.order), index).await?;
        }
        let order = &self.model.orders[index];
        let (fen, request) = (part(order.total(), step.percent), format!("request-{}", step.request));
        let number = OutTradeNo::try_from(order.number.clone()).unwrap();
        let number = OutRefundNo::of_request(&number, &request).as_str().to_owned();
        let loss = RefundLoss { request: step.request_loss, query: step.query_loss };
        let wish = RefundWish { number: number.clone(), fen, fate: step.fate, loss };
        let out_trade_no = order.number.clone();
        self.shop.set_fate(step.fate).await;
        self.shop.lose_each(&[(REFUND, step.request_loss), (REFUND_QUERY, step.query_loss)]).await;
        let reply = self.shop.refund(&out_trade_no, fen, &request).await;
        self.shop.mend().await;
        let expected = self.model.refund(index, &wish);
        let reply = match &reply {
            Ok(reply) => {
                prop_assert_eq!(&reply["outRefundNo"], &number);
                reply["status"].as_str().unwrap()
            }
            Err(code) => code,
        };
        prop_assert_eq!(reply, expected, "{:?}", self.model.orders[index]);
        self.sights.see(format!("refund: {expected}"));
        Ok(())
    }

    /// Staff refunds on the merchant's platform, as much of what is left.
    pub(super) async fn refund_elsewhere(&mut self, order: &Index, percent: u64, status: &'static str) -> Checked {
        let Some(index) = self.pick(order, |order| order.there == There::Paid && order.left_there() > 0) else {
            return Ok(());
        };
        let order = &self.model.orders[index];
        if order.there != There::Paid || order.left_there() == 0 {
            return Ok(());
        }
        let fen = part(order.left_there(), percent);
        let wish = json!({ "outTradeNo": order.number, "refundFen": fen, "status": status });
        let view = self.shop.world.sandbox("POST", "/refunds", wish).await;
        let number = view["outRefundNo"].as_str().unwrap().to_owned();
        let (history, there) = (Vec::new(), Some(status));
        self.model.orders[index].refunds.push(Refund { number, fen, history, there, created_at: 0, sweep_at: 0 });
        Ok(())
    }

    /// A bank brings a refund to its end, or does not.
    pub(super) async fn settle_refund(&mut self, refund: &Index, status: &'static str) -> Checked {
        let may_become = |there: &str| match there {
            "PROCESSING" => true,
            "ABNORMAL" => status != "ABNORMAL",
            _ => false,
        };
        if let Some((order, at)) = self.pick_refund(refund, |refund| refund.there.is_some_and(may_become)) {
            let refund = &mut self.model.orders[order].refunds[at];
            self.shop.world.settle_silently(&refund.number, status).await;
            refund.there = Some(status);
        }
        Ok(())
    }

    /// WeChat Pay tells of a refund that is not under way.
    pub(super) async fn notify_refund(&mut self, refund: &Index, copies: usize) -> Checked {
        let is_told = |refund: &Refund| refund.there.is_some_and(|there| there != "PROCESSING");
        let Some((order, at)) = self.pick_refund(refund, is_told) else { return Ok(()) };
        let refund = &self.model.orders[order].refunds[at];
        let (number, there) = (refund.number.clone(), refund.there.unwrap());
        let statuses = self.shop.notify_refund(&number, copies).await;
        prop_assert!(statuses.iter().all(|status| *status == 204), "{:?}", statuses);
        self.model.learn_refund(order, at, there, "notify");
        Ok(())
    }

    fn pick_refund(&self, refund: &Index, is_good: impl Fn(&Refund) -> bool) -> Option<(usize, usize)> {
        let all = self.model.orders.iter().enumerate();
        let all = all.flat_map(|(order, row)| row.refunds.iter().enumerate().map(move |(at, it)| (order, at, it)));
        let good: Vec<_> = all.filter(|(_, _, it)| is_good(it)).map(|(order, at, _)| (order, at)).collect();
        (!good.is_empty()).then(|| *refund.get(&good))
    }

    pub(super) async fn sweep(&mut self, step: &SweepStep) -> Checked {
        let SweepStep { min_age, twice, query, close, refund_query } = *step;
        self.shop.lose_each(&[(QUERY, query), (CLOSE, close), (REFUND_QUERY, refund_query)]).await;
        let replies = self.shop.sweep(min_age, if twice { 2 } else { 1 }).await;
        self.shop.mend().await;
        let expected = self.model.sweep(min_age, SweepLoss { query, close, refund_query });
        if let [reply] = replies.as_slice() {
            let count = |name: &str| reply[name].as_u64().unwrap();
            let [checked, healed, closed, failures] = ["checked", "healed", "closed", "failures"].map(count);
            prop_assert_eq!(Swept { checked, healed, closed, failures }, expected);
        }
        for (name, count) in [("healed", expected.healed), ("closed", expected.closed), ("failed", expected.failures)] {
            if count > 0 {
                self.sights.see(format!("sweep: {name}"));
            }
        }
        Ok(())
    }

    /// Nothing gets lost any more, banks come to an end, and time passes. Then one sweep by the schedule brings every
    /// order to its end, and every refund that WeChat Pay has.
    pub(super) async fn end(&mut self) -> Checked {
        for order in 0..self.model.orders.len() {
            for at in 0..self.model.orders[order].refunds.len() {
                let refund = &mut self.model.orders[order].refunds[at];
                if refund.there.is_some_and(|there| ["ABNORMAL", "PROCESSING"].contains(&there)) {
                    self.shop.world.settle_silently(&refund.number, "SUCCESS").await;
                    refund.there = Some("SUCCESS");
                }
            }
        }
        self.pass(ORDER_TTL + LONGEST_PAUSE);
        let everything = SweepStep { min_age: None, twice: false, query: None, close: None, refund_query: None };
        self.sweep(&everything).await?;
        let ledger = self.shop.ledger().await;
        self.check(&ledger).await?;
        for order in ledger.orders() {
            let number = order["outTradeNo"].as_str().unwrap();
            prop_assert!(order["tradeState"] != "NOTPAY", "{}", order);
            for refund in ledger.refunds(number) {
                let model = self.model.orders.iter().flat_map(|order: &Order| &order.refunds);
                let there = model.filter(|it| refund["outRefundNo"] == it.number).find_map(|it| it.there);
                prop_assert_eq!(refund["refundStatus"].as_str(), there.or(Some("RESERVED")), "{}", refund);
            }
        }
        Ok(())
    }
}
