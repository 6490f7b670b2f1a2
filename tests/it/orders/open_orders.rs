//! How many unpaid orders a user may have.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tests::orders::{cart, number};
use tests::world::World;

#[tokio::test]
async fn one_more_than_a_user_may_have_is_rate_limited() {
    let world = World::start().await;
    let (caller, other) = (world.caller().await, world.caller().await);
    world.put_product("tea", 1, Some(10)).await;
    for _ in 0..5 {
        caller.buy(&world, "tea").await;
    }
    let reply = caller.create_order(&world, "sixth", &cart(&[("tea", 1)])).await;
    assert_eq!((reply.status, reply.code()), (429, "rate_limited"));
    assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!((world.stock("tea").await, world.open_orders(&caller).await), (Some(5), 5));
    assert_eq!((world.claims().await, world.order_rows().await.len()), (5, 5));
    // Everybody has their own.
    other.buy(&world, "tea").await;
    // A session of another login is no other user.
    let again = world.log_in(&caller.person, &caller.app_id).await;
    assert_eq!(again.create_order(&world, "sixth", &cart(&[("tea", 1)])).await.code(), "rate_limited");
}

#[tokio::test]
async fn a_payment_and_a_close_make_room() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "1")]).await;
    let caller = world.caller().await;
    let paid = caller.buy(&world, "demo-sticker").await;
    let body = cart(&[("demo-sticker", 1)]);
    assert_eq!(caller.create_order(&world, "next", &body).await.code(), "rate_limited");
    world.pay_silently(&paid).await;
    assert_eq!(world.resend(&paid).await, 204);
    // The same key: nothing stood for it.
    let closed = number(&caller.order(&world, "next", &body).await);
    assert_eq!(caller.create_order(&world, "last", &body).await.code(), "rate_limited");
    world.close_at_wechat(&closed).await;
    assert_eq!(caller.create_order(&world, "last", &body).await.code(), "rate_limited", "nobody has asked yet");
    assert_eq!(caller.status_of(&world, &closed).await, "CLOSED");
    caller.order(&world, "last", &body).await;
    assert_eq!(world.open_orders(&caller).await, 1);
}

#[tokio::test]
async fn twenty_at_once_do_not_get_past_the_limit() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "3")]).await;
    let caller = world.caller().await;
    world.put_product("tea", 1, Some(100)).await;
    let body = cart(&[("tea", 1)]);
    let keys: Vec<_> = (0..20).map(|at| format!("key-{at}")).collect();
    let replies = join_all(keys.iter().map(|key| caller.create_order(&world, key, &body))).await;
    let made: HashSet<_> =
        replies.iter().filter(|reply| reply.status == 200).map(|reply| number(&reply.json)).collect();
    assert!(made.len() <= 3, "{made:?}");
    for reply in &replies {
        assert!(["", "rate_limited", "busy"].contains(&reply.code()), "{:?}", reply.json);
    }
    assert_eq!(world.open_orders(&caller).await, u64::try_from(made.len()).unwrap());
    assert_eq!(world.stock("tea").await, Some(100 - u64::try_from(made.len()).unwrap()));
    assert_eq!(world.order_rows().await.len(), made.len());
}

#[tokio::test]
async fn a_payment_that_is_told_ten_times_makes_room_once() {
    let world = World::start().await;
    let caller = world.caller().await;
    let numbers = [caller.buy(&world, "demo-sticker").await, caller.buy(&world, "demo-sticker").await];
    world.pay_silently(&numbers[0]).await;
    for _ in 0..10 {
        assert_eq!(world.resend(&numbers[0]).await, 204);
    }
    assert_eq!(world.open_orders(&caller).await, 1);
    world.sandbox("PUT", "/notifications", json!({ "duplicates": 9 })).await;
    world.sandbox("POST", "/pay", json!({ "outTradeNo": numbers[1] })).await;
    let tries = async || {
        let order = world.sandbox("GET", &format!("/orders/{}", numbers[1]), Value::Null).await;
        order["notifications"].as_array().unwrap().len()
    };
    while tries().await < 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.open_orders(&caller).await, 0);
    assert_eq!(world.order_row(&numbers[1]).await.story(), "NOTPAY create, SUCCESS notify");
}
