//! Sweeps at once, and beside others who ask and pay.

use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::orders::{QUERY, cart, number};
use tests::refunds::CLOSE;
use tests::world::World;

const ORDER_TTL: Duration = Duration::from_secs(1800);
const STOCK: u64 = 100;

async fn shop(orders: usize) -> (World, Caller, Vec<String>) {
    let world = World::start_with([("MAX_OPEN_ORDERS", "100")]).await;
    let buyer = world.untold().await;
    world.put_product("mug", 3900, Some(STOCK)).await;
    let mut numbers = Vec::new();
    for _ in 0..orders {
        numbers.push(buyer.buy(&world, "mug").await);
    }
    (world, buyer, numbers)
}

fn sum(swept: &[Value], count: &str) -> u64 {
    swept.iter().map(|swept| swept[count].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn of_sweeps_at_once_one_asks_about_each_order() {
    let (world, buyer, numbers) = shop(30).await;
    for number in &numbers[..10] {
        world.pay_silently(number).await;
    }
    world.advance(ORDER_TTL);
    let swept = join_all((0..4).map(|_| world.sweep_due())).await;
    let counts = ["checked", "healed", "closed", "failures"].map(|count| sum(&swept, count));
    assert_eq!(counts, [30, 10, 20, 0]);
    assert_eq!((world.count_of(QUERY).await, world.count_of(CLOSE).await), (30, 20));
    assert_eq!((world.stock("mug").await, world.open_orders(&buyer).await), (Some(STOCK - 10), 0));
    world.assert_adds_up(&[("mug", STOCK)], "together").await;
}

#[tokio::test]
async fn sweeps_of_everything_at_once_do_no_harm() {
    let (world, buyer, numbers) = shop(30).await;
    for number in &numbers[..10] {
        world.pay_silently(number).await;
    }
    for _ in 0..2 {
        let swept = join_all((0..4).map(|_| world.sweep_all())).await;
        assert_eq!(sum(&swept, "failures"), 0, "{swept:?}");
        world.advance(ORDER_TTL);
    }
    let states = join_all(numbers.iter().map(|number| world.order_row(number))).await;
    let (paid, closed) = states.split_at(10);
    assert!(paid.iter().all(|row| row.story() == "NOTPAY create, SUCCESS sweep"), "{paid:?}");
    assert!(closed.iter().all(|row| row.story() == "NOTPAY create, CLOSED sweep"), "{closed:?}");
    assert_eq!((world.stock("mug").await, world.open_orders(&buyer).await), (Some(STOCK - 10), 0));
    world.assert_adds_up(&[("mug", STOCK)], "together").await;
}

#[tokio::test]
async fn a_sweep_beside_buyers_who_ask_and_payments_that_are_told() {
    let (world, buyer, numbers) = shop(24).await;
    for number in &numbers[..12] {
        world.pay_silently(number).await;
    }
    world.advance(ORDER_TTL);
    let asked = join_all(numbers.iter().map(|number| buyer.query_order(&world, number)));
    let told = join_all(numbers[..12].iter().map(|number| world.resend(number)));
    let swept = join_all((0..2).map(|_| world.sweep_all()));
    let (swept, (asked, told)) = join(swept, join(asked, told)).await;
    assert_eq!(sum(&swept, "failures"), 0, "{swept:?}");
    assert!(asked.iter().all(|reply| reply.status == 200) && told.iter().all(|status| *status == 204));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await["failures"], 0);
    assert_eq!((world.stock("mug").await, world.open_orders(&buyer).await), (Some(STOCK - 12), 0));
    world.assert_adds_up(&[("mug", STOCK)], "together").await;
}

#[tokio::test]
async fn refunds_beside_sweeps_and_results_count_once() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    for at in 0..10 {
        let id = format!("return-{at}");
        let outcome = world.refund(&order, 390, &id).await;
        assert_eq!(outcome, "PROCESSING", "{id}");
    }
    let rows = world.refunds_of(&order).await;
    let told = join_all(rows.iter().map(async |row| {
        world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": row.number })).await["status"].as_u64()
    }));
    let ids: Vec<_> = (0..10).map(|at| format!("return-{at}")).collect();
    let repeats = join_all(ids.iter().map(|id| world.refund(&order, 390, id)));
    let (swept, (told, repeats)) = join(join_all((0..2).map(|_| world.sweep_all())), join(told, repeats)).await;
    assert_eq!(sum(&swept, "failures"), 0, "{swept:?}");
    assert!(told.iter().all(|status| *status == Some(204)), "{told:?}");
    assert!(repeats.iter().all(|outcome| outcome == "SUCCESS"), "{repeats:?}");
    assert_eq!(world.amounts(&order).await, (3900, 3900));
    let rows = world.refunds_of(&order).await;
    assert!(rows.iter().all(|row| row.story.matches("SUCCESS").count() == 1 && !row.is_swept), "{rows:?}");
    world.assert_adds_up(&[], "together").await;
}

#[tokio::test]
async fn a_retry_of_an_order_beside_its_end_is_an_order_that_is_closed() {
    let (world, buyer, _) = shop(0).await;
    let order = number(&buyer.order(&world, "key", &cart(&[("mug", 2)])).await);
    world.advance(ORDER_TTL);
    let body = cart(&[("mug", 2)]);
    let retries = join_all((0..5).map(|_| buyer.create_order(&world, "key", &body)));
    let (replies, swept) = join(retries, world.sweep_due()).await;
    for reply in &replies {
        assert!(["order_closed", "wechat_unavailable", "busy"].contains(&reply.code()), "{:?}", reply.json);
    }
    assert_eq!((&swept["closed"], &swept["failures"]), (&json!(1), &json!(0)), "{swept}");
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, CLOSED sweep");
    world.assert_adds_up(&[("mug", STOCK)], "together").await;
}
