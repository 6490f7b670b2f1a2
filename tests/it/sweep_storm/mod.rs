//! A thousand orders in bad weather: notifications are dropped, doubled and told in the wrong order, calls of WeChat Pay
//! get lost on the way there or back, sweepers die. Then the weather clears, and so many sweeps bring all to their ends.
//!
//! What is ordered, and who asks again, is the same in every run. Whose calls get lost depends on which come first, and
//! with it what happens later: each run is another one.

mod count;
mod weather;

use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tests::callers::Caller;
use tests::dice::Dice;
use tests::ledger::{Facts, Ledger};
use tests::orders::cart;
use tests::pay_proxy::PayProxy;
use tests::world::World;

use count::Counts;

const SEED: u64 = 20_260_930;
const ORDERS: usize = 1000;
const USERS: usize = 10;
const STOCK: u64 = 5000;
const PRICE: u64 = 700;
/// Calls under way at the same time.
const AT_ONCE: usize = 8;
/// Of a hundred calls of WeChat Pay, how many get lost.
const LOST: u64 = 15;
/// How often the weather changes.
const ROUNDS: usize = 8;
/// Sweeps by the schedule after which all have ended, once nothing gets lost any more.
const SWEEPS: usize = 2;

struct Storm {
    world: World,
    proxy: PayProxy,
    callers: Vec<Caller>,
    dice: Dice,
    counts: Counts,
    /// What staff has asked for: the order, how much, and the request id.
    wishes: Vec<(String, u64, String)>,
}

impl Storm {
    /// Everybody orders, some twice because there was no answer.
    async fn begin() -> Self {
        let proxy = PayProxy::start().await;
        let world = World::start_with([("MAX_OPEN_ORDERS", "1000"), ("WECHATPAY_API_URLS", &proxy.url)]).await;
        proxy.stand_before(&world);
        world.put_product("tea", PRICE, Some(STOCK)).await;
        let callers: Vec<_> = stream::iter(0..USERS).then(|_| world.caller()).collect().await;
        proxy.lose(SEED, LOST);
        let (mut dice, wishes) = (Dice::new(SEED), Vec::new());
        let orders: Vec<_> = (0..ORDERS).map(|at| (at, 1 + dice.below(5), dice.is_of(50))).collect();
        let make = |(at, quantity, is_patient): (usize, u64, bool)| {
            let (world, caller) = (&world, &callers[at % USERS]);
            async move {
                let (key, body) = (format!("key-{at}"), cart(&[("tea", quantity), ("demo-sticker", 1)]));
                loop {
                    let reply = caller.create_order(world, &key, &body).await;
                    match reply.code() {
                        "busy" => {}
                        "wechat_unavailable" if is_patient => {}
                        "wechat_unavailable" => return false,
                        _ => {
                            assert_eq!(reply.status, 200, "{:?}", reply.json);
                            return true;
                        }
                    }
                }
            }
        };
        let made: Vec<_> = stream::iter(orders).map(make).buffer_unordered(AT_ONCE).collect().await;
        let counts = Counts::of(made.iter().filter(|is_made| !**is_made).count());
        Self { world, proxy, callers, dice, counts, wishes }
    }

    /// What WeChat Pay has of the orders.
    async fn there(&self) -> Vec<Value> {
        self.world.orders_at_wechat_pay().await
    }

    /// Whether anything is still to be asked about.
    async fn is_open(&self) -> bool {
        let rows = self.world.rows_at("ORDER#", "").await;
        rows.iter().any(|row| row.contains_key("sweepAtMs"))
    }

    /// A sweep by the schedule. One that its own time has cut short goes on where it was, and is one all the same.
    async fn sweep(&mut self) {
        loop {
            let swept = self.world.sweep_due().await;
            if swept["checked"] == 0 {
                return;
            }
            self.counts.sweep(&swept);
        }
    }

    /// Checks that all has come to its end, and that money and goods add up to the fen and the piece.
    async fn assert_ended(&mut self) {
        let (ledger, there) = (Ledger::read(&self.world).await, self.there().await);
        let stock = [("tea", STOCK)];
        let facts = Facts { stock: &stock, max_open: 0, wechat_pay: &there, told: &[] };
        ledger.audit(&facts).unwrap();
        assert_eq!(ledger.orders().count(), ORDERS);
        for order in ledger.orders() {
            let number = order["outTradeNo"].as_str().unwrap();
            let there = there.iter().find(|there| there["outTradeNo"] == number);
            // What nobody has ever heard of at WeChat Pay is closed here, and cannot be made there any more.
            let state = there.map_or("CLOSED", |there| there["state"].as_str().unwrap());
            assert_eq!(order["tradeState"], state, "{order} {there:?}");
            assert!(order["paidAfterClosed"].is_null(), "{order}");
            self.assert_refunded(&ledger, order, there);
            self.counts.end(order);
        }
        for caller in &self.callers {
            assert_eq!(ledger.open_orders(&caller.id), 0);
        }
        let sum = |name: &str| -> u64 { there.iter().filter_map(|there| there[name].as_u64()).sum() };
        let taken: u64 =
            there.iter().filter(|there| there["timesPaid"] == 1).filter_map(|it| it["total"].as_u64()).sum();
        assert_eq!((self.counts.taken_fen, self.counts.refunded_fen), (taken, sum("refunded")));
        assert_eq!(self.world.quarantine().await, []);
    }

    /// Each refund is here as it is there, and those that staff has asked for are there once.
    fn assert_refunded(&mut self, ledger: &Ledger, order: &Value, there: Option<&Value>) {
        let number = order["outTradeNo"].as_str().unwrap();
        let there = there.map_or(&[] as &[Value], |there| there["refunds"].as_array().unwrap());
        for refund in there {
            let here = ledger.refund(refund["outRefundNo"].as_str().unwrap()).unwrap();
            assert_eq!(here["refundStatus"], refund["status"], "{here}");
            self.counts.refunded(here);
        }
        assert_eq!(ledger.refunds(number).count(), there.len(), "{order}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_orders_in_bad_weather_come_to_their_ends() {
    let mut storm = Storm::begin().await;
    for round in 0..ROUNDS {
        storm.blow(round).await;
    }
    storm.clear().boxed().await;
    let mut sweeps = 0;
    while storm.is_open().await {
        assert!(sweeps < SWEEPS, "something is still open after {sweeps} sweeps");
        storm.world.advance(weather::LONGEST_PAUSE);
        storm.sweep().await;
        sweeps += 1;
    }
    storm.assert_ended().await;
    storm.report(sweeps).await;
    storm.assert_stormy().await;
}
