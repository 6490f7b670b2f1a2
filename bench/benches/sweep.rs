//! What it costs to sweep many open orders: requests, seconds, and what DynamoDB bills. `bench/README.md` says more.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is run for")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bench::open_orders::{self, Sizes};
use bench::table;
use clap::Parser;
use lambda_http::{Context, LambdaEvent};
use order_sweeper::OrderSweeper;
use serde_json::{Value, json};
use shared::clock::{Moment, Timestamp};
use shared::direct::{App, DirectFunction as _};
use tests::dynamodb_proxy::DynamoDbProxy;
use tests::orders::QUERY;
use tests::refunds::CLOSE;
use tests::world::World;

/// What Lambda gives a run, and longer than the function takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// DynamoDB on demand in us-east-1, in US dollars for a million units. Source: "Amazon DynamoDB pricing", 2025.
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;

#[derive(Parser)]
struct Options {
    /// How many orders are open.
    #[arg(long, default_value_t = 10_000)]
    orders: usize,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A sweeper, and all that it calls.
struct Bench {
    world: World,
    dynamodb: DynamoDbProxy,
    sweeper: App<OrderSweeper>,
    orders: usize,
}

/// What all runs took that it takes to go through all orders once.
struct Cost {
    runs: usize,
    time: Duration,
    replies: BTreeMap<&'static str, u64>,
    dynamodb: BTreeMap<String, usize>,
    wechat_pay: [usize; 2],
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let options = Options::parse();
    let world = World::start().await;
    let started = Instant::now();
    let sizes = open_orders::fill(&world, options.orders).await;
    println!("{} open orders, made in {:.1} s.", options.orders, started.elapsed().as_secs_f64());
    let dynamodb = DynamoDbProxy::start(world.machine.dynamodb_url()).await;
    let setup = world.setup([("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.url)]);
    let sweeper = App::<OrderSweeper>::start(&setup).await.unwrap();
    let bench = Bench { world, dynamodb, sweeper, orders: options.orders };
    // The keys of WeChat Pay are looked after in the first run, which finds nothing due.
    bench.run(&json!({})).await;
    bench.world.advance(Duration::from_secs(60));
    print("All are asked about, and stay open: a minute has passed.", sizes, &bench.sweep(&json!({})).await);
    bench.world.advance(Duration::from_secs(1800));
    print("All are asked about and closed: their time is over.", sizes, &bench.sweep(&json!({})).await);
}

impl Bench {
    /// As many runs as it takes.
    async fn sweep(&self, event: &Value) -> Cost {
        self.dynamodb.take_calls();
        self.world.sandbox("DELETE", "/calls", Value::Null).await;
        let (mut runs, mut replies, started) = (0, BTreeMap::new(), Instant::now());
        while replies.get("checked").is_none_or(|checked| *checked < self.orders as u64) {
            let reply = self.run(event).await;
            for name in ["checked", "closed", "failures", "healed"] {
                *replies.entry(name).or_insert(0) += reply[name].as_u64().unwrap();
            }
            runs += 1;
        }
        let time = started.elapsed();
        let mut dynamodb = BTreeMap::new();
        self.dynamodb.take_calls().into_iter().for_each(|call| *dynamodb.entry(call).or_default() += 1);
        let wechat_pay = [self.world.count_of(QUERY).await, self.world.count_of(CLOSE).await];
        Cost { runs, time, replies, dynamodb, wechat_pay }
    }

    async fn run(&self, event: &Value) -> Value {
        let mut context = Context::default();
        context.request_id = OrderSweeper::NAME.to_owned();
        context.deadline = Moment::from(Timestamp::from(self.world.now()) + TIMEOUT).as_millis();
        let reply =
            self.sweeper.invoke(LambdaEvent::new(serde_json::value::to_raw_value(event).unwrap(), context)).await;
        serde_json::to_value(reply.expect("the sweeper replies")).unwrap()
    }
}

fn print(what: &str, sizes: Sizes, cost: &Cost) {
    let orders = cost.replies["checked"] as f64;
    println!("\n{what}");
    println!("{:?}; runs: {}; {:.1} s\n", cost.replies, cost.runs, cost.time.as_secs_f64());
    let queries = cost.dynamodb.get("Query").copied().unwrap_or_default().max(1) as f64;
    let units = |name: &str| sizes.units(name, orders / queries);
    let row = |name: &str, count: usize, [writes, reads]: [f64; 2]| {
        let (each, count) = (count as f64 / orders, count as f64);
        let unit = |units: f64| if units == 0.0 { String::new() } else { format!("{:.0}", count * units) };
        vec![name.to_owned(), format!("{count:.0}"), format!("{each:.2}"), unit(writes), unit(reads)]
    };
    let mut rows: Vec<_> = cost.dynamodb.iter().map(|(name, count)| row(name, *count, units(name))).collect();
    rows.push(row("WeChat Pay: query", cost.wechat_pay[0], [0.0; 2]));
    rows.push(row("WeChat Pay: close", cost.wechat_pay[1], [0.0; 2]));
    table::print(&["requests", "all", "an order", "write units", "read units"], &rows);
    let dollars = |(name, count): (&String, &usize)| {
        let [writes, reads] = units(name);
        *count as f64 * (writes * WRITE_UNITS + reads * READ_UNITS) / 1e6
    };
    println!("\nDynamoDB bills ${:.4} for it.", cost.dynamodb.iter().map(dollars).sum::<f64>());
}
