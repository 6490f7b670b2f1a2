//! A thousand orders, of whose payments WeChat Pay tells twice, in the wrong order, not at all, and with probes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::notifications::Plan;
use tests::orders::{OrderRow, cart, number};
use tests::world::World;

const ORDERS: usize = 1000;
const USERS: usize = 10;
const STOCK: u64 = 5000;
/// Calls under way at the same time.
const AT_ONCE: usize = 8;

/// How the payments are told: the first of the thousand with copies, losses and probes, the next all at the end and the
/// last first, and the rest not at all.
const PLANS: [Plan; 3] = [
    Plan { until: 500, enabled: true, hold: false, duplicates: 2, drop_every: 7, signtest_every: 13 },
    Plan { until: 850, enabled: true, hold: true, duplicates: 1, drop_every: 11, signtest_every: 17 },
    Plan { until: 1000, enabled: false, hold: false, duplicates: 0, drop_every: 0, signtest_every: 0 },
];

struct Storm {
    world: World,
    callers: Vec<Caller>,
    /// The numbers, each with what was ordered of the limited product.
    orders: Vec<(String, u64)>,
}

impl Storm {
    async fn begin() -> Self {
        let world = World::start_with([("MAX_OPEN_ORDERS", "1000")]).await;
        world.put_product("tea", 7, Some(STOCK)).await;
        let callers: Vec<_> = stream::iter(0..USERS).then(|_| world.caller()).collect().await;
        let make = |at: usize| {
            let (world, caller) = (&world, &callers[at % USERS]);
            async move {
                let quantity = 1 + u64::try_from(at % 3).unwrap();
                let (key, body) = (format!("key-{at}"), cart(&[("tea", quantity), ("demo-sticker", 1)]));
                let mut reply = caller.create_order(world, &key, &body).await;
                while reply.code() == "busy" {
                    reply = caller.create_order(world, &key, &body).await;
                }
                assert_eq!(
                    (reply.status, &reply.json["totalFen"]),
                    (200, &json!(7 * quantity + 100)),
                    "{:?}",
                    reply.json
                );
                (number(&reply.json), quantity)
            }
        };
        let orders = stream::iter(0..ORDERS).map(make).buffered(AT_ONCE).collect().await;
        Self { world, callers, orders }
    }

    /// Pays all of them, and waits until WeChat Pay has told what it tells.
    async fn pay(&self) {
        let (mut paid, mut tries) = (0, 0);
        for plan in PLANS {
            self.world.sandbox("PUT", "/notifications", plan.settings()).await;
            for (number, _) in &self.orders[paid..plan.until] {
                self.world.sandbox("POST", "/pay", json!({ "outTradeNo": number })).await;
                paid += 1;
                tries += plan.tries_of(paid);
                // No more at the same time than there are people.
                if !plan.hold && paid.is_multiple_of(USERS) {
                    self.wait_for(tries).await;
                }
            }
            self.world.sandbox("PUT", "/notifications", Plan { hold: false, ..plan }.settings()).await;
            self.wait_for(tries).await;
        }
    }

    async fn wait_for(&self, tries: usize) {
        while self.deliveries().await.len() < tries {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn deliveries(&self) -> Vec<Value> {
        let mut all = self.world.sandbox("GET", "/notifications", Value::Null).await;
        all["notifications"].take().as_array().unwrap().clone()
    }

    async fn rows(&self) -> HashMap<String, OrderRow> {
        let rows = self.world.order_rows().await;
        rows.iter().map(|row| (row["outTradeNo"].as_s().unwrap().clone(), OrderRow::of(row))).collect()
    }

    /// Everybody asks for their orders.
    async fn ask(&self) {
        let ask = |at: usize| self.callers[at % USERS].status_of(&self.world, &self.orders[at].0);
        let statuses: Vec<_> = stream::iter(0..ORDERS).map(ask).buffered(AT_ONCE).collect().await;
        assert!(statuses.iter().all(|status| status == "SUCCESS"), "{statuses:?}");
    }
}

fn count<T: Ord>(things: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    things.fold(BTreeMap::new(), |mut counts, thing| {
        *counts.entry(thing).or_default() += 1;
        counts
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the numbers are what somebody who runs this alone wants to see")]
async fn a_thousand_orders_are_all_paid_once_whatever_was_told() {
    let storm = Storm::begin().await;
    storm.pay().await;
    println!("told:   {:?}", count(storm.rows().await.values().map(|row| row.state.clone())));
    storm.ask().await;
    let (rows, deliveries) = (storm.rows().await, storm.deliveries().await);
    println!("asked:  {:?}", count(rows.values().map(|row| row.state.clone())));
    println!("moves:  {:?}", count(rows.values().map(OrderRow::story)));
    let answers = deliveries.iter().map(|delivery| (delivery["isProbe"] == true, delivery["status"].as_u64()));
    println!("tries:  {:?} (is a probe, status)", count(answers));

    assert_eq!(rows.len(), ORDERS);
    let at_wechat = storm.world.orders_at_wechat_pay().await;
    let ids: BTreeSet<_> = rows.values().map(|row| row.transaction_id.as_deref().unwrap()).collect();
    assert_eq!(ids.len(), ORDERS, "each payment is another one");
    for order in &at_wechat {
        let row = &rows[order["outTradeNo"].as_str().unwrap()];
        let is_one_move =
            ["NOTPAY create, SUCCESS notify", "NOTPAY create, SUCCESS query"].contains(&row.story().as_str());
        assert!(is_one_move && !row.paid_after_closed, "{}", row.story());
        assert_eq!((json!(row.transaction_id), order["timesPaid"].as_u64()), (order["transactionId"].clone(), Some(1)));
    }
    for delivery in &deliveries {
        assert!(delivery["isProbe"] == false || delivery["status"] == 401, "{delivery}");
    }
    let is_by_query = |row: &&OrderRow| row.story().ends_with("query");
    let untold = ORDERS - PLANS[1].until + (1..=PLANS[0].until).filter(|nth| PLANS[0].tries_of(*nth) == 0).count();
    assert!(rows.values().filter(is_by_query).count() >= untold);
    let sold: u64 = storm.orders.iter().map(|(_, quantity)| quantity).sum();
    assert_eq!(storm.world.stock("tea").await, Some(STOCK - sold));
    println!("stock:  {} of {STOCK} sold", sold);
    for caller in &storm.callers {
        assert_eq!(storm.world.open_orders(caller).await, 0);
    }
    assert_eq!(storm.world.quarantine().await, []);
}
