//! An `Idempotency-Key` stands for one order.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tests::logs;
use tests::orders::{cart, number};
use tests::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clicks_at_once_are_one_order() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 100, Some(100)).await;
    let body = cart(&[("tea", 2)]);
    // As many instances, each with its own clients.
    let replies = join_all((0..50).map(|_| caller.create_order(&world, "key", &body))).await;
    let numbers: HashSet<_> =
        replies.iter().filter(|reply| reply.status == 200).map(|reply| number(&reply.json)).collect();
    assert!(replies.iter().all(|reply| ["", "busy"].contains(&reply.code())), "{replies:?}");
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    assert_eq!((world.order_rows().await.len(), world.claims().await), (1, 1));
    assert_eq!((world.stock("tea").await, world.open_orders(&caller).await), (Some(98), 1));
    assert_eq!(world.prepaid_numbers().await.into_iter().collect::<HashSet<_>>(), numbers);
    // Each of them can pay, but there is one payment.
    let mut outcomes = Vec::new();
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        outcomes.push(world.request_payment(&reply.json["payment"]).await == "requestPayment:ok");
    }
    assert_eq!(outcomes.iter().filter(|paid| **paid).count(), 1);
}

#[tokio::test]
async fn a_repeat_gets_the_same_order_without_asking_wechat_pay() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1), ("demo-mug", 2)]);
    let first = caller.order(&world, "key", &body).await;
    let other_order = cart(&[("demo-mug", 2), ("demo-sticker", 1)]);
    let again = world.log_in(&caller.person, &caller.app_id).await;
    for (caller, body) in [(&caller, &body), (&caller, &other_order), (&again, &body)] {
        let repeat = caller.order(&world, "key", body).await;
        assert_eq!((&repeat["outTradeNo"], &repeat["totalFen"]), (&first["outTradeNo"], &first["totalFen"]));
        assert_eq!(repeat["payment"]["package"], first["payment"]["package"]);
    }
    assert_eq!((world.prepaid_numbers().await.len(), world.stock("demo-mug").await), (1, Some(198)));
}

#[tokio::test]
async fn a_repeat_signs_a_payment_of_its_own_time() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    let first = caller.order(&world, "key", &body).await;
    world.advance(Duration::from_secs(1700));
    let repeat = caller.order(&world, "key", &body).await;
    assert_ne!(repeat["payment"]["paySign"], first["payment"]["paySign"]);
    assert_eq!(world.request_payment(&repeat["payment"]).await, "requestPayment:ok");
}

#[tokio::test]
async fn a_key_with_another_request_is_refused() {
    let world = World::start().await;
    let caller = world.caller().await;
    let first = caller.order(&world, "key", &cart(&[("demo-sticker", 1)])).await;
    for lines in
        [&[("demo-sticker", 2)][..], &[("demo-mug", 1)], &[("demo-sticker", 1), ("demo-mug", 1)], &[("gone", 1)]]
    {
        let reply = caller.create_order(&world, "key", &cart(lines)).await;
        assert_eq!((reply.status, reply.code()), (409, "idempotency_key_reused"), "{lines:?}");
    }
    assert_eq!(caller.order(&world, "key", &cart(&[("demo-sticker", 1)])).await["outTradeNo"], first["outTradeNo"]);
    assert_eq!((world.order_rows().await.len(), world.stock("demo-mug").await), (1, Some(200)));
}

#[tokio::test]
async fn two_requests_with_one_key_at_once_are_one_order() {
    let world = World::start().await;
    let caller = world.caller().await;
    let bodies = [cart(&[("demo-sticker", 1)]), cart(&[("demo-mug", 1)])];
    let replies = join_all((0..20).map(|at: usize| caller.create_order(&world, "key", &bodies[at % 2]))).await;
    let made: HashSet<_> =
        replies.iter().filter(|reply| reply.status == 200).map(|reply| number(&reply.json)).collect();
    assert_eq!((made.len(), world.order_rows().await.len()), (1, 1));
    let mut refused = replies.iter().filter(|reply| reply.status != 200);
    assert!(refused.all(|reply| ["busy", "idempotency_key_reused"].contains(&reply.code())), "{replies:?}");
}

#[tokio::test]
async fn everybody_has_keys_of_their_own() {
    let world = World::start().await;
    let body = cart(&[("demo-sticker", 1)]);
    let mut numbers = HashSet::new();
    for caller in [world.caller().await, world.caller().await, world.caller().await] {
        numbers.insert(number(&caller.order(&world, "key", &body).await));
    }
    assert_eq!(numbers.len(), 3);
    // What is written in a key is no key of somebody else's.
    let caller = world.caller().await;
    for key in ["key#", "KEY", "IDEMPOTENCY#key", "../key"] {
        numbers.insert(number(&caller.order(&world, key, &body).await));
    }
    assert_eq!(numbers.len(), 7);
}

#[tokio::test]
async fn a_refusal_before_there_is_an_order_frees_the_key() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "1")]).await;
    let caller = world.caller().await;
    world.put_product("tea", 100, Some(0)).await;
    assert_eq!(caller.create_order(&world, "stock", &cart(&[("tea", 1)])).await.code(), "out_of_stock");
    assert_eq!(caller.create_order(&world, "product", &cart(&[("cup", 1)])).await.code(), "product_unknown");
    assert_eq!(world.claims().await, 0);
    world.put_product("tea", 100, Some(1)).await;
    world.put_product("cup", 100, None).await;
    // Even for another request.
    let first = number(&caller.order(&world, "stock", &cart(&[("cup", 1)])).await);
    assert_eq!(caller.create_order(&world, "product", &cart(&[("tea", 1)])).await.code(), "rate_limited");
    assert_eq!((world.claims().await, world.stock("tea").await), (1, Some(1)));
    world.pay_silently(&first).await;
    assert_eq!(world.resend(&first).await, 204);
    caller.order(&world, "product", &cart(&[("tea", 1)])).await;
    assert_eq!((world.claims().await, world.stock("tea").await), (2, Some(0)));
}

#[tokio::test]
async fn an_unknown_product_is_named_as_such() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (lines, sku) in [
        (&[("gone", 1)][..], "gone"),
        (&[("demo-sticker", 1), ("gone", 1)], "gone"),
        (&[("demo-sticker#", 1)], "demo-sticker#"),
        (&[("DEMO-STICKER", 1)], "DEMO-STICKER"),
    ] {
        let reply = caller.create_order(&world, "key", &cart(lines)).await;
        let message = format!("there is no product `{sku}`");
        let expected = json!({ "code": "product_unknown", "message": message });
        assert_eq!(reply.without_id(), (400, expected), "{lines:?}");
        // What is not of the table may be anything, and is not logged.
        assert_eq!(logs::of_request(reply.json["requestId"].as_str().unwrap()).pop().unwrap().get("cause"), None);
    }
    assert_eq!(world.claims().await, 0);
}

#[tokio::test]
async fn a_key_is_free_after_a_day_and_not_before() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    let first = number(&caller.order(&world, "key", &body).await);
    world.pay_silently(&first).await;
    assert_eq!(world.resend(&first).await, 204);
    world.advance(DAY - Duration::from_secs(1));
    assert_eq!(caller.create_order(&world, "key", &body).await.code(), "order_paid");
    assert_eq!(caller.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await.code(), "idempotency_key_reused");
    world.advance(Duration::from_secs(1));
    let second = number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await);
    assert_ne!(first, second);
    assert_eq!(number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await), second);
    assert_eq!((caller.status_of(&world, &first).await, world.order_rows().await.len()), ("SUCCESS".to_owned(), 2));
}

#[tokio::test]
async fn ten_at_once_after_a_day_are_one_new_order() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    let first = number(&caller.order(&world, "key", &body).await);
    world.advance(DAY);
    let replies = join_all((0..10).map(|_| caller.create_order(&world, "key", &body))).await;
    let numbers: HashSet<_> =
        replies.iter().filter(|reply| reply.status == 200).map(|reply| number(&reply.json)).collect();
    assert_eq!((numbers.len(), world.order_rows().await.len()), (1, 2));
    assert!(!numbers.contains(&first));
}
