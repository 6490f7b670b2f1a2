//! Functions that die between any two of their writes, and others that go on from there; and slow ones that are
//! overtaken.

mod create;
mod create_refused;
mod notify;
mod overtaken;
mod query;
mod refunds;
mod refunds_overtaken;
mod sweeps;

use std::time::Duration;

use local::functions::InvocationResult;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::http::Reply;
use tests::ledger::Ledger;
use tests::patience::until;
use tests::refunds::{CLOSE, REFUND, refund_event};
use tests::shop::PREPAY;
use tests::world::{World, reply};
use tokio::task::JoinHandle;

const KEY: &str = "a-key";
const SKU: &str = "mug";
const PRICE: u64 = 3_900;
const STOCK: u64 = 10;
const QUANTITY: u64 = 2;
/// A refund of a part, and its request id.
const PART: u64 = 900;
const REQUEST: &str = "return-1";

/// By then the next sweep asks again.
const NEXT_SWEEP: Duration = Duration::from_secs(60);

/// By then whoever was at it is taken for dead.
const TAKEN_FOR_DEAD: Duration = Duration::from_secs(4);

/// One buyer in a shop, behind a DynamoDB that can go wrong.
struct Scene {
    world: World,
    proxy: DynamoDbProxy,
    buyer: Caller,
    _behind: World,
}

impl Scene {
    async fn start() -> Self {
        let (world, proxy, behind) = World::start_with_proxy().await;
        world.sandbox("PUT", "/notifications", json!({ "enabled": false })).await;
        world.put_product(SKU, PRICE, Some(STOCK)).await;
        let buyer = world.caller().await;
        Self { world, proxy, buyer, _behind: behind }
    }

    /// Starts an invocation of an instance of its own.
    async fn spawn(&self, function: &str, event: Vec<u8>) -> JoinHandle<InvocationResult> {
        let (instance, now) = (self.world.instance(function).await, self.world.now());
        tokio::spawn(async move { instance.invoke(event, now).await })
    }

    async fn invoke(&self, function: &str, event: Vec<u8>) -> Reply {
        replied(self.spawn(function, event).await).await
    }

    fn order_event(&self) -> Vec<u8> {
        self.buyer.order_event(KEY, &[(SKU, QUANTITY)])
    }

    async fn order(&self) -> Reply {
        self.invoke("create-order", self.order_event()).await
    }

    async fn ordered(&self) -> String {
        let reply = self.order().await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        number(&reply).to_owned()
    }

    async fn query(&self, number: &str) -> Reply {
        let reply = self.invoke("query-order", self.buyer.query_event(number)).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        reply
    }

    async fn notification(&self, number: &str) -> Vec<u8> {
        self.world.notification(json!({ "outTradeNo": number })).await
    }

    async fn ledger(&self) -> Ledger {
        Ledger::read(&self.world).await
    }

    /// An order that is paid, as everybody knows.
    async fn paid(&self) -> String {
        let number = self.ordered().await;
        self.at_wechat_pay("/pay", &number).await;
        let event = self.notification(&number).await;
        assert_eq!(self.invoke("pay-notify", event).await.status, 204);
        number
    }

    /// Checks that there is one refund of an order, of [`PART`], that it has succeeded, and that all adds up.
    async fn assert_refunded_once(&self, number: &str, when: &str) {
        let row = self.world.refund_row(number).await;
        assert_eq!((row.fen, row.state.as_str()), (PART, "SUCCESS"), "{when}: {}", row.story);
        assert_eq!(self.world.amounts(number).await, (PART, PART), "{when}");
        assert_eq!(self.world.refunds_at_wechat(number).await.len(), 1, "{when}");
        self.assert_adds_up(STOCK - QUANTITY, 0, when).await;
    }

    /// What a control makes of an order at WeChat Pay.
    async fn at_wechat_pay(&self, path: &str, number: &str) {
        let mut wish = json!({ "outTradeNo": number });
        if path == "/pay" {
            wish["notify"] = false.into();
        }
        self.world.sandbox("POST", path, wish).await;
    }

    /// Checks that all adds up: there is so much left, and so many orders are open.
    async fn assert_adds_up(&self, stock: u64, open: i64, when: &str) {
        let ledger = self.world.assert_adds_up(&[(SKU, STOCK)], when).await;
        assert_eq!(ledger.stock(SKU), i64::try_from(stock).ok(), "{when}");
        assert_eq!(ledger.open_orders(&self.buyer.id), open, "{when}");
    }
}

/// A request for a refund of a part of an order.
fn part_event(number: &str) -> Vec<u8> {
    refund_event(number, PART, REQUEST).to_string().into_bytes()
}

async fn replied(invocation: JoinHandle<InvocationResult>) -> Reply {
    reply(&invocation.await.unwrap().unwrap())
}

fn number(reply: &Reply) -> &str {
    reply.json["outTradeNo"].as_str().unwrap()
}

/// Where an invocation dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Before a call of DynamoDB, so many of the same kind after the first.
    Before(&'static str, u32),
    /// After one, without having heard of it.
    After(&'static str, u32),
    BeforeWechatPayHasHeard(&'static str),
    BeforeWechatPayHasAnswered(&'static str),
}

impl Scene {
    /// Lets an invocation die.
    async fn kill(&self, function: &str, event: Vec<u8>, death: Death) {
        match death {
            Death::Before(operation, after) => self.proxy.inject_after(operation, after, 1, Kind::Hang),
            Death::After(operation, after) => self.proxy.inject_after(operation, after, 1, Kind::HangAfter),
            Death::BeforeWechatPayHasHeard(path) => self.world.fault_too(path, json!({ "latencyMs": 60_000 })).await,
            Death::BeforeWechatPayHasAnswered(path) => {
                self.world.fault_too(path, json!({ "answerLatencyMs": 60_000 })).await
            }
        }
        let calls = match death {
            Death::BeforeWechatPayHasHeard(path) | Death::BeforeWechatPayHasAnswered(path) => {
                Some((path, self.world.count_of(path).await))
            }
            Death::Before(..) | Death::After(..) => None,
        };
        let dying = self.spawn(function, event).await;
        match calls {
            None => self.proxy.hanging().await,
            Some((path, before)) => {
                until(path, async || self.world.count_of(path).await > before).await;
                if let Death::BeforeWechatPayHasAnswered(path) = death {
                    until(path, async || self.is_done(path).await).await;
                }
            }
        }
        assert!(!dying.is_finished(), "{death:?}");
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        self.world.sandbox("DELETE", "/faults", Value::Null).await;
    }

    /// Whether WeChat Pay has done what it was asked for, of what it does.
    async fn is_done(&self, path: &str) -> bool {
        let there = self.world.orders_at_wechat_pay().await;
        match path {
            PREPAY => !there.is_empty(),
            REFUND => there.iter().any(|order| order["refunds"] != json!([])),
            CLOSE => there.iter().any(|order| order["state"] == "CLOSED"),
            _ => true,
        }
    }
}
