//! Functions that die between any two of their writes, and others that go on from there.

use futures::future::join;
use local::functions::InvocationResult;
use serde_json::{Value, json};
use std::time::Duration;
use tests::callers::Caller;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::http::Reply;
use tests::ledger::{Facts, Ledger};
use tests::shop::{PREPAY, QUERY};
use tests::world::{World, reply};
use tokio::task::JoinHandle;

const KEY: &str = "a-key";
const SKU: &str = "mug";
const PRICE: u64 = 3_900;
const STOCK: u64 = 10;
const QUANTITY: u64 = 2;

/// By then whoever was at it is taken for dead.
const TAKEN_FOR_DEAD: Duration = Duration::from_secs(3);

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
        let wechat_pay = self.world.orders_at_wechat_pay().await;
        let facts = Facts { stock: &[(SKU, STOCK)], max_open: 5, wechat_pay: &wechat_pay, told: &[] };
        let ledger = self.ledger().await;
        ledger.audit(&facts).unwrap_or_else(|problem| panic!("{when}: {problem}"));
        assert_eq!(ledger.stock(SKU), i64::try_from(stock).ok(), "{when}");
        assert_eq!(ledger.open_orders(&self.buyer.id), open, "{when}");
    }
}

async fn replied(invocation: JoinHandle<InvocationResult>) -> Reply {
    reply(&invocation.await.unwrap().expect("a reply"))
}

fn number(reply: &Reply) -> &str {
    reply.json["outTradeNo"].as_str().unwrap()
}

/// Where an invocation dies.
#[derive(Clone, Copy, Debug)]
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
            Death::BeforeWechatPayHasHeard(path) => self.world.fault(path, json!({ "latencyMs": 60_000 })).await,
            Death::BeforeWechatPayHasAnswered(path) => {
                self.world.fault(path, json!({ "answerLatencyMs": 60_000 })).await;
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
                while self.world.count_of(path).await == before {
                    tokio::task::yield_now().await;
                }
                if let Death::BeforeWechatPayHasAnswered(PREPAY) = death {
                    while self.world.orders_at_wechat_pay().await.is_empty() {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        assert!(!dying.is_finished(), "{death:?}");
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        self.world.sandbox("DELETE", "/faults", Value::Null).await;
    }
}

/// Between every two steps of `create-order`.
const CREATE_DEATHS: [Death; 10] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::Before("BatchGetItem", 0),
    Death::After("BatchGetItem", 0),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
    Death::BeforeWechatPayHasHeard(PREPAY),
    Death::BeforeWechatPayHasAnswered(PREPAY),
    Death::Before("UpdateItem", 1),
    Death::After("UpdateItem", 1),
];

#[tokio::test]
async fn whoever_dies_while_an_order_is_made_a_retry_makes_the_same_order() {
    for death in CREATE_DEATHS {
        let scene = Scene::start().await;
        scene.kill("create-order", scene.order_event(), death).await;
        let left = scene.ledger().await;
        scene.world.advance(TAKEN_FOR_DEAD);
        let reply = scene.order().await;
        assert_eq!(reply.status, 200, "{death:?}: {:?}", reply.json);
        assert_goes_on(&scene, &left, &reply, death).await;
        // And once more: nothing happens but an answer.
        let (ledger, calls) = (scene.ledger().await, scene.world.count_of(PREPAY).await);
        assert_eq!(scene.ordered().await, number(&reply), "{death:?}");
        assert_eq!((scene.ledger().await, scene.world.count_of(PREPAY).await), (ledger, calls), "{death:?}");
    }
}

/// Checks that a retry has gone on from what somebody has left.
async fn assert_goes_on(scene: &Scene, left: &Ledger, reply: &Reply, death: Death) {
    scene.assert_adds_up(STOCK - QUANTITY, 1, &format!("{death:?}")).await;
    let ledger = scene.ledger().await;
    let order = ledger.order(number(reply)).unwrap();
    assert_eq!(ledger.orders().count(), 1, "{death:?}");
    assert_eq!(Ledger::history(order), [("NOTPAY", "create")], "{death:?}");
    let claim = left.claim(&scene.buyer.id, KEY);
    assert_eq!(claim.is_none(), matches!(death, Death::Before("UpdateItem", 0)), "{death:?}");
    assert!(claim.is_none_or(|claim| claim["outTradeNo"] == number(reply)), "{death:?}");
    let after_order = CREATE_DEATHS.iter().skip_while(|known| !matches!(known, Death::After("TransactWriteItems", _)));
    let after_order = after_order.skip(0).any(|known| format!("{known:?}") == format!("{death:?}"));
    assert_eq!(left.orders().count(), usize::from(after_order), "{death:?}");
    for before in left.orders() {
        for name in ["outTradeNo", "prepayBody", "timeExpire", "createdAt", "history", "lines", "totalFen"] {
            assert_eq!(before[name], order[name], "{death:?} {name}");
        }
    }
    // WeChat Pay has one order, and takes the payment that was replied for the one of that order.
    let there = scene.world.orders_at_wechat_pay().await;
    assert!(there.len() == 1 && there[0]["outTradeNo"] == number(reply), "{death:?}: {there:?}");
    assert_eq!(reply.json["payment"]["package"], format!("prepay_id={}", order["prepayId"].as_str().unwrap()));
    let wish = json!({ "payment": reply.json["payment"], "user": scene.buyer.person, "outcome": "cancel" });
    let errmsg = scene.world.sandbox("POST", "/requestPayment", wish).await;
    assert_eq!(errmsg["errMsg"], "requestPayment:fail cancel", "{death:?}");
}

#[tokio::test]
async fn a_retry_that_comes_at_once_waits_for_the_dead_and_makes_the_same_order() {
    // The clock stands still: who is watched for so long is taken for dead all the same.
    let cases = [Death::After("UpdateItem", 0), Death::BeforeWechatPayHasAnswered(PREPAY)].map(async |death| {
        let scene = Scene::start().await;
        scene.kill("create-order", scene.order_event(), death).await;
        let left = scene.ledger().await;
        let reply = scene.order().await;
        assert_eq!(reply.status, 200, "{death:?}: {:?}", reply.json);
        assert_goes_on(&scene, &left, &reply, death).await;
    });
    let [claimed, prepared] = cases;
    join(claimed, prepared).await;
}

#[tokio::test]
async fn whoever_dies_while_a_key_is_freed_the_key_serves_the_next_order() {
    for death in [Death::Before("TransactWriteItems", 0), Death::After("TransactWriteItems", 0)] {
        let scene = Scene::start().await;
        scene.world.put_product(SKU, PRICE, Some(QUANTITY - 1)).await;
        scene.kill("create-order", scene.order_event(), death).await;
        let is_claimed = scene.ledger().await.claim(&scene.buyer.id, KEY).is_some();
        assert_eq!(is_claimed, matches!(death, Death::Before(..)), "{death:?}");
        scene.world.advance(TAKEN_FOR_DEAD);
        // Still refused, and then free.
        assert_eq!(scene.order().await.code(), "out_of_stock", "{death:?}");
        assert!(scene.ledger().await.claim(&scene.buyer.id, KEY).is_none(), "{death:?}");
        scene.world.put_product(SKU, PRICE, Some(STOCK)).await;
        let other = scene.buyer.order_event(KEY, &[(SKU, QUANTITY + 1)]);
        assert_eq!(scene.invoke("create-order", other).await.status, 200, "{death:?}");
        scene.assert_adds_up(STOCK - QUANTITY - 1, 1, &format!("{death:?}")).await;
    }
}

#[tokio::test]
async fn a_slow_request_makes_no_second_order_beside_who_took_over_its_claim() {
    let scene = Scene::start().await;
    let slow = hold_order(&scene).await;
    scene.world.advance(TAKEN_FOR_DEAD);
    let made = scene.ordered().await;
    let ledger = scene.ledger().await;
    scene.proxy.release();
    assert_eq!(number(&replied(slow).await), made);
    assert_eq!(scene.ledger().await, ledger);
    scene.assert_adds_up(STOCK - QUANTITY, 1, "taken over").await;
}

#[tokio::test]
async fn a_slow_request_makes_no_second_order_for_a_key_that_was_freed_and_serves_again() {
    for quantity in [QUANTITY, QUANTITY + 1] {
        let scene = Scene::start().await;
        let slow = hold_order(&scene).await;
        free_key(&scene).await;
        let other = scene.buyer.order_event(KEY, &[(SKU, quantity)]);
        let made = scene.invoke("create-order", other).await;
        assert_eq!(made.status, 200, "{:?}", made.json);
        let ledger = scene.ledger().await;
        scene.proxy.release();
        let slow = replied(slow).await;
        if quantity == QUANTITY {
            assert_eq!(number(&slow), number(&made));
        } else {
            assert_eq!(slow.code(), "idempotency_key_reused");
        }
        assert_eq!(scene.ledger().await, ledger);
        scene.assert_adds_up(STOCK - quantity, 1, "freed and used").await;
    }
}

#[tokio::test]
async fn a_slow_request_whose_key_was_freed_begins_anew() {
    let scene = Scene::start().await;
    let slow = hold_order(&scene).await;
    let first = scene.ledger().await.claim(&scene.buyer.id, KEY).unwrap()["outTradeNo"].clone();
    free_key(&scene).await;
    scene.proxy.release();
    let slow = replied(slow).await;
    assert_eq!(slow.status, 200, "{:?}", slow.json);
    assert_ne!(slow.json["outTradeNo"], first);
    scene.assert_adds_up(STOCK - QUANTITY, 1, "freed").await;
}

/// An order that is about to be made.
async fn hold_order(scene: &Scene) -> JoinHandle<InvocationResult> {
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("create-order", scene.order_event()).await;
    scene.proxy.hanging().await;
    slow
}

/// Somebody else takes over the claim, is refused, and frees the key.
async fn free_key(scene: &Scene) {
    scene.world.advance(TAKEN_FOR_DEAD);
    scene.world.put_product(SKU, PRICE, Some(0)).await;
    assert_eq!(scene.order().await.code(), "out_of_stock");
    scene.world.put_product(SKU, PRICE, Some(STOCK)).await;
    assert!(scene.ledger().await.claim(&scene.buyer.id, KEY).is_none());
}

#[tokio::test]
async fn two_who_both_think_that_they_hold_the_claim_make_one_order() {
    let scene = Scene::start().await;
    let first = hold_order(&scene).await;
    scene.world.advance(TAKEN_FOR_DEAD);
    let second = hold_order(&scene).await;
    assert_eq!(scene.ledger().await.orders().count(), 0);
    scene.proxy.release();
    let (first, second) = join(replied(first), replied(second)).await;
    assert_eq!((first.status, second.status), (200, 200), "{:?} {:?}", first.json, second.json);
    assert_eq!(number(&first), number(&second));
    scene.assert_adds_up(STOCK - QUANTITY, 1, "two holders").await;
    let there = scene.world.orders_at_wechat_pay().await;
    assert_eq!(there.len(), 1);
}

/// Between every two steps of `query-order` for an order that has news.
const QUERY_DEATHS: [Death; 6] = [
    Death::Before("UpdateItem", 0),
    Death::After("UpdateItem", 0),
    Death::BeforeWechatPayHasHeard(QUERY),
    Death::BeforeWechatPayHasAnswered(QUERY),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
];

/// What has become of an order at WeChat Pay: by which control, what it is called then, and what is left in stock.
const NEWS: [(&str, &str, u64); 2] = [("/pay", "SUCCESS", STOCK - QUANTITY), ("/close", "CLOSED", STOCK)];

#[tokio::test]
async fn whoever_dies_while_an_order_is_healed_the_next_question_heals_it() {
    for (death, (control, state, stock)) in QUERY_DEATHS.iter().flat_map(|death| NEWS.map(|news| (*death, news))) {
        let when = format!("{death:?} {state}");
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay(control, &number).await;
        scene.kill("query-order", scene.buyer.query_event(&number), death).await;
        let is_moved = matches!(death, Death::After("TransactWriteItems", _));
        let is_asked = !matches!(death, Death::Before("UpdateItem", _));
        if is_asked {
            // Too early to ask again: the answer is the table's.
            let status = if is_moved { state } else { "NOTPAY" };
            assert_eq!(scene.query(&number).await.json["status"], status, "{when}");
        }
        scene.world.advance(TAKEN_FOR_DEAD);
        let calls = scene.world.count_of(QUERY).await;
        assert_eq!(scene.query(&number).await.json["status"], state, "{when}");
        assert_eq!(scene.world.count_of(QUERY).await - calls, usize::from(!is_moved), "{when}");
        scene.assert_adds_up(stock, 0, &when).await;
        let ledger = scene.ledger().await;
        let history = Ledger::history(ledger.order(&number).unwrap());
        assert_eq!(history, [("NOTPAY", "create"), (state, "query")], "{when}");
    }
}

/// Between every two steps of `pay-notify`.
const NOTIFY_DEATHS: [Death; 4] = [
    Death::Before("GetItem", 0),
    Death::After("GetItem", 0),
    Death::Before("TransactWriteItems", 0),
    Death::After("TransactWriteItems", 0),
];

#[tokio::test]
async fn whoever_dies_over_a_notification_the_next_one_has_the_order_paid_once() {
    for death in NOTIFY_DEATHS {
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay("/pay", &number).await;
        scene.kill("pay-notify", scene.notification(&number).await, death).await;
        let is_moved = matches!(death, Death::After("TransactWriteItems", _));
        let left = scene.ledger().await;
        assert_eq!(Ledger::is_settled(left.order(&number).unwrap()), is_moved, "{death:?}");
        assert_paid_once(&scene, &number, &format!("{death:?}")).await;
        if is_moved {
            assert_eq!(scene.ledger().await, left, "{death:?}");
        }
    }
}

#[tokio::test]
async fn a_notification_whose_answer_of_the_table_was_lost_is_taken_once() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/pay", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::LoseAnswer);
    assert_paid_once(&scene, &number, "a lost answer").await;
}

#[tokio::test]
async fn a_notification_that_the_table_does_not_take_is_500_and_taken_when_it_is_sent_again() {
    for operation in ["GetItem", "TransactWriteItems"] {
        let scene = Scene::start().await;
        let number = scene.ordered().await;
        scene.at_wechat_pay("/pay", &number).await;
        scene.proxy.inject(operation, 1, Kind::error("AccessDeniedException"));
        let left = scene.ledger().await;
        let event = scene.notification(&number).await;
        assert_eq!(scene.invoke("pay-notify", event).await.status, 500, "{operation}");
        assert_eq!(scene.ledger().await, left, "{operation}");
        assert_paid_once(&scene, &number, operation).await;
    }
}

/// Tells of a payment, and once more: after the first time nothing changes.
async fn assert_paid_once(scene: &Scene, number: &str, when: &str) {
    let mut before = None;
    for _ in 0..2 {
        let event = scene.notification(number).await;
        assert_eq!(scene.invoke("pay-notify", event).await.status, 204, "{when}");
        let ledger = scene.ledger().await;
        let history = Ledger::history(ledger.order(number).unwrap());
        assert_eq!(history, [("NOTPAY", "create"), ("SUCCESS", "notify")], "{when}");
        assert!(before.is_none_or(|before| before == ledger), "{when}");
        before = Some(ledger);
    }
    scene.assert_adds_up(STOCK - QUANTITY, 0, when).await;
}

#[tokio::test]
async fn an_answer_that_is_late_moves_nothing_that_a_notification_has_moved() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/pay", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("query-order", scene.buyer.query_event(&number)).await;
    scene.proxy.hanging().await;
    assert_paid_once(&scene, &number, "a notification beside a question").await;
    let ledger = scene.ledger().await;
    scene.proxy.release();
    assert_eq!(replied(slow).await.json["status"], "SUCCESS");
    assert_eq!(scene.ledger().await, ledger);
}

#[tokio::test]
async fn a_closing_that_is_late_gives_nothing_back_for_what_was_paid_meanwhile() {
    let scene = Scene::start().await;
    let number = scene.ordered().await;
    scene.at_wechat_pay("/close", &number).await;
    scene.proxy.inject("TransactWriteItems", 1, Kind::Hold);
    let slow = scene.spawn("query-order", scene.buyer.query_event(&number)).await;
    scene.proxy.hanging().await;
    // WeChat Pay has it that it was paid all the same.
    let resource = json!({
        "mchid": "1900000001",
        "appid": scene.buyer.app_id,
        "out_trade_no": number,
        "transaction_id": "4200009000000000000000000000",
        "trade_state": "SUCCESS",
        "success_time": "2026-11-21T12:00:00+08:00",
        "amount": { "total": PRICE * QUANTITY, "currency": "CNY" },
    });
    let event = scene.world.notification(json!({ "resource": resource })).await;
    assert_eq!(scene.invoke("pay-notify", event).await.status, 204);
    let ledger = scene.ledger().await;
    scene.proxy.release();
    assert_eq!(replied(slow).await.json["status"], "SUCCESS");
    let after = scene.ledger().await;
    assert_eq!(after, ledger);
    let history = Ledger::history(after.order(&number).unwrap());
    assert_eq!(history, [("NOTPAY", "create"), ("SUCCESS", "notify")]);
    assert_eq!(after.stock(SKU), i64::try_from(STOCK - QUANTITY).ok());
}
