//! The shop: the real functions, the sandbox, and a table.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::future::join_all;
use local::functions::Instance;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::callers::Caller;
use tests::http::Reply;
use tests::ledger::{Facts, Ledger};
use tests::refunds::refund_event;
use tests::world::World;

use super::model::{Cart, MAX_OPEN, ORDER_TTL, PRODUCTS, USERS};
use super::steps::{Fate, Loss};

pub(super) struct Shop {
    pub(super) world: World,
    pub(super) buyers: Vec<Caller>,
    /// Those that wait for work.
    instances: Mutex<HashMap<&'static str, Vec<Instance>>>,
    /// Payments that only notifications know, by their orders.
    told: Mutex<HashMap<String, String>>,
}

/// How WeChat Pay tells of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Paid,
    Refunded,
}

impl Shop {
    pub(super) async fn open() -> Self {
        let (max_open, order_ttl) = (MAX_OPEN.to_string(), ORDER_TTL.to_string());
        let world = World::start_with([("MAX_OPEN_ORDERS", &*max_open), ("ORDER_TTL_SECS", &*order_ttl)]).await;
        world.sandbox("PUT", "/notifications", json!({ "enabled": false })).await;
        for (sku, price, stock) in PRODUCTS {
            world.put_product(sku, price, stock).await;
        }
        let mut buyers = Vec::new();
        for _ in 0..USERS {
            buyers.push(world.caller().await);
        }
        Self { world, buyers, instances: Mutex::default(), told: Mutex::default() }
    }

    /// In whole seconds, as the rows have it.
    pub(super) fn now(&self) -> u64 {
        Timestamp::from(self.world.now()).as_secs()
    }

    pub(super) fn pass(&self, secs: u64) {
        self.world.advance(Duration::from_secs(secs));
    }

    pub(super) fn restart(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<&'static str, Vec<Instance>>> {
        self.instances.lock().unwrap()
    }

    /// Invokes an instance that waits for work, or a new one, as Lambda does.
    async fn invoke(&self, function: &'static str, event: Vec<u8>) -> Reply {
        let waiting = self.idle().entry(function).or_default().pop();
        let instance = match waiting {
            Some(instance) => instance,
            None => self.world.instance(function).await,
        };
        let reply = self.world.reply_of(&instance, event).await;
        self.idle().entry(function).or_default().push(instance);
        reply
    }

    pub(super) async fn create(&self, user: usize, key: usize, cart: &Cart, reversed: bool) -> Reply {
        let mut items: Vec<_> = cart.iter().map(|(product, quantity)| (PRODUCTS[*product].0, *quantity)).collect();
        if reversed {
            items.reverse();
        }
        self.invoke("create-order", self.buyers[user].order_event(&format!("key-{key}"), &items)).await
    }

    pub(super) async fn query(&self, user: usize, number: &str) -> Reply {
        self.invoke("query-order", self.buyers[user].query_event(number)).await
    }

    /// Lets calls of WeChat Pay go wrong, until [`Self::mend`].
    pub(super) async fn lose(&self, path: &str, loss: Option<Loss>) {
        if let Some(loss) = loss {
            self.world.fault(path, loss.fault()).await;
        }
    }

    /// The same of several paths.
    pub(super) async fn lose_each(&self, losses: &[(&str, Option<Loss>)]) {
        for (path, loss) in losses.iter().filter_map(|(path, loss)| Some((path, (*loss)?))) {
            let mut fault = loss.fault();
            fault["path"] = (*path).into();
            self.world.sandbox("POST", "/faults", fault).await;
        }
    }

    pub(super) async fn mend(&self) {
        self.world.sandbox("DELETE", "/faults", Value::Null).await;
    }

    /// What becomes of new refunds from now on.
    pub(super) async fn set_fate(&self, fate: Fate) {
        self.world.sandbox("PUT", "/refunds", fate.settings()).await;
    }

    pub(super) async fn refund(&self, number: &str, fen: u64, request: &str) -> Result<Value, String> {
        self.world.direct("refund-order", &refund_event(number, fen, request)).await
    }

    /// So many sweepers at once: their replies.
    pub(super) async fn sweep(&self, min_age: Option<u64>, count: usize) -> Vec<Value> {
        let event = min_age.map_or(json!({}), |secs| json!({ "minAgeSecs": secs }));
        let runs = (0..count).map(|_| self.world.direct("order-sweeper", &event));
        join_all(runs).await.into_iter().map(Result::unwrap).collect()
    }

    /// Uses a control that refuses what cannot be done.
    pub(super) async fn control(&self, path: &str, number: &str) -> Option<Value> {
        let reply = self.world.wechat("POST", &format!("/sandbox/{path}"), json!({ "outTradeNo": number })).await;
        (reply.status == 200).then_some(reply.json)
    }

    /// Pays an order: the payment's number, unless it cannot be paid.
    pub(super) async fn pay(&self, number: &str) -> Option<String> {
        let order = self.control("pay", number).await?;
        Some(order["transactionId"].as_str().unwrap().to_owned())
    }

    /// The payment's number of a closed order that was paid all the same, as is known of WeChat Pay.
    pub(super) fn pay_closed(&self, number: &str) -> String {
        let payment: String = format!("4200009{number}").chars().take(32).collect();
        self.told.lock().unwrap().insert(number.to_owned(), payment.clone());
        payment
    }

    /// The payment's number of an order, if there is one.
    pub(super) async fn payment_of(&self, number: &str) -> Option<String> {
        let there = self.world.orders_at_wechat_pay().await;
        let there = there.iter().find(|there| there["outTradeNo"] == number);
        let payment = there.and_then(|there| there["transactionId"].as_str().map(str::to_owned));
        payment.or_else(|| self.told.lock().unwrap().get(number).cloned())
    }

    /// WeChat Pay tells of an order by so many copies of a notification at the same moment.
    pub(super) async fn notify(&self, order: &Value, payment: &str, told: As, copies: usize) -> Vec<u16> {
        let at = Timestamp::from(self.world.now()).to_rfc3339_china();
        let resource = json!({
            "mchid": "1900000001",
            "appid": self.buyers[0].app_id,
            "out_trade_no": order["outTradeNo"],
            "transaction_id": payment,
            "trade_state": if told == As::Refunded { "REFUND" } else { "SUCCESS" },
            "success_time": at,
            "amount": { "total": order["totalFen"], "currency": "CNY" },
        });
        let is_there = !self.told.lock().unwrap().values().any(|known| known == payment);
        let wish = match told {
            As::Paid if is_there => json!({ "outTradeNo": order["outTradeNo"] }),
            _ => json!({ "resource": resource }),
        };
        let event = self.world.notification(wish).await;
        let copies = (0..copies).map(|_| self.invoke("pay-notify", event.clone()));
        join_all(copies).await.iter().map(|reply| reply.status).collect()
    }

    /// WeChat Pay tells of a refund by so many copies of a notification at the same moment.
    pub(super) async fn notify_refund(&self, number: &str, copies: usize) -> Vec<u16> {
        let event = self.world.notification(json!({ "outRefundNo": number })).await;
        let copies = (0..copies).map(|_| self.invoke("pay-notify", event.clone()));
        join_all(copies).await.iter().map(|reply| reply.status).collect()
    }

    /// Somebody tells of a payment what is not so.
    pub(super) async fn notify_wrong(&self, number: &str, tamper: &str) -> u16 {
        let event = self.world.notification(json!({ "outTradeNo": number, "tamper": tamper })).await;
        self.invoke("pay-notify", event).await.status
    }

    pub(super) async fn ledger(&self) -> Ledger {
        Ledger::read(&self.world).await
    }

    /// Whether everything adds up.
    pub(super) async fn audit(&self, ledger: &Ledger) -> Result<(), String> {
        let limited: Vec<_> = PRODUCTS.iter().filter_map(|(sku, _, stock)| Some((*sku, (*stock)?))).collect();
        let told: Vec<_> = self.told.lock().unwrap().values().cloned().collect();
        let wechat_pay = self.world.orders_at_wechat_pay().await;
        let max_open = i64::try_from(MAX_OPEN).unwrap();
        ledger.audit(&Facts { stock: &limited, max_open, wechat_pay: &wechat_pay, told: &told })
    }
}
