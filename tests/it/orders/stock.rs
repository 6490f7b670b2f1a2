//! Stock: taken when an order is made, given back when it closes, and never below zero.

use aws_sdk_dynamodb::types::AttributeValue;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tests::callers::Caller;
use tests::http::Reply;
use tests::logs;
use tests::orders::{cart, number};
use tests::world::World;

#[tokio::test]
async fn of_three_times_as_many_buyers_as_there_are_things_each_thing_goes_to_one() {
    const STOCK: usize = 6;
    let world = World::start().await;
    world.put_product("tea", 100, Some(6)).await;
    let callers = join_all((0..3 * STOCK).map(|_| world.caller())).await;
    let body = cart(&[("tea", 1)]);
    let mut replies = join_all(callers.iter().map(|caller| caller.create_order(&world, "key", &body))).await;
    // Who was told to try again does.
    while replies.iter().any(|reply| reply.code() == "busy") {
        for (caller, reply) in callers.iter().zip(&mut replies).filter(|(_, reply)| reply.code() == "busy") {
            *reply = caller.create_order(&world, "key", &body).await;
        }
    }
    let count = |code: &str| replies.iter().filter(|reply| reply.code() == code).count();
    assert_eq!((count(""), count("out_of_stock")), (STOCK, 2 * STOCK));
    assert_eq!((world.stock("tea").await, world.order_rows().await.len()), (Some(0), STOCK));
    assert_eq!((world.claims().await, world.prepaid_numbers().await.len()), (STOCK, STOCK));
}

#[tokio::test]
async fn what_is_there_is_sold_to_the_last_and_no_further() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 100, Some(3)).await;
    world.put_product("cup", 100, Some(1)).await;
    let refused = async |lines: &[(&str, u64)]| caller.create_order(&world, "refused", &cart(lines)).await;
    let check = |reply: Reply, sku: &str| {
        let message = format!("there is not enough of `{sku}` in stock");
        assert_eq!(reply.without_id(), (409, json!({ "code": "out_of_stock", "message": message })));
        let line = logs::of_request(reply.json["requestId"].as_str().unwrap()).pop().unwrap();
        assert_eq!(line["cause"], format!("there is not enough of `{sku}` in stock"));
    };
    check(refused(&[("tea", 4)]).await, "tea");
    check(refused(&[("tea", 1), ("cup", 2)]).await, "cup");
    assert_eq!((world.stock("tea").await, world.stock("cup").await), (Some(3), Some(1)));
    caller.order(&world, "all", &cart(&[("tea", 3), ("cup", 1), ("demo-sticker", 9999)])).await;
    assert_eq!((world.stock("tea").await, world.stock("cup").await), (Some(0), Some(0)));
    check(refused(&[("tea", 1)]).await, "tea");
}

/// Makes an order of two products, and closes it at WeChat Pay.
async fn closed(world: &World, caller: &Caller) -> String {
    world.put_product("tea", 100, Some(10)).await;
    world.put_product("cup", 100, Some(10)).await;
    let body = cart(&[("tea", 2), ("cup", 3), ("demo-sticker", 1)]);
    let number = number(&caller.order(world, "key", &body).await);
    assert_eq!((world.stock("tea").await, world.stock("cup").await), (Some(8), Some(7)));
    world.close_at_wechat(&number).await;
    number
}

#[tokio::test]
async fn a_close_gives_back_what_was_taken_once() {
    let world = World::start().await;
    let (caller, number) = {
        let caller = world.caller().await;
        let number = closed(&world, &caller).await;
        (caller, number)
    };
    let replies = join_all((0..10).map(|_| caller.query_order(&world, &number))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    for _ in 0..3 {
        assert_eq!(caller.status_of(&world, &number).await, "CLOSED");
        world.advance(Duration::from_secs(3));
    }
    assert_eq!((world.stock("tea").await, world.stock("cup").await), (Some(10), Some(10)));
    assert_eq!(world.stock("demo-sticker").await, None);
    assert_eq!(world.order_row(&number).await.story(), "NOTPAY create, CLOSED query");
}

#[tokio::test]
async fn a_product_without_a_stock_any_more_blocks_no_close() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = closed(&world, &caller).await;
    world.put_product("cup", 100, None).await;
    assert_eq!(caller.status_of(&world, &number).await, "CLOSED");
    assert_eq!((world.stock("tea").await, world.stock("cup").await), (Some(10), None));
    assert_eq!(world.open_orders(&caller).await, 0);
}

#[tokio::test]
async fn a_product_whose_stock_is_no_number_any_more_blocks_no_close() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = closed(&world, &caller).await;
    let mut row = world.row("PRODUCT#cup", "PRODUCT").await.unwrap();
    row.insert("stock".to_owned(), AttributeValue::S("ten".to_owned()));
    let table = world.table();
    table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
    assert_eq!(caller.status_of(&world, &number).await, "CLOSED");
    assert_eq!((world.stock("tea").await, world.open_orders(&caller).await), (Some(10), 0));
}

#[tokio::test]
async fn a_product_that_is_gone_blocks_no_close_and_does_not_come_back() {
    let world = World::start().await;
    let caller = world.caller().await;
    let number = closed(&world, &caller).await;
    for sku in ["tea", "cup"] {
        world.delete(&format!("PRODUCT#{sku}"), "PRODUCT").await;
    }
    assert_eq!(caller.status_of(&world, &number).await, "CLOSED");
    assert!(world.row("PRODUCT#tea", "PRODUCT").await.is_none() && world.row("PRODUCT#cup", "PRODUCT").await.is_none());
}

#[tokio::test]
async fn a_product_that_has_become_limited_gets_nothing_back_that_was_not_taken() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 100, None).await;
    let number = caller.buy(&world, "tea").await;
    world.put_product("tea", 100, Some(5)).await;
    world.close_at_wechat(&number).await;
    assert_eq!(caller.status_of(&world, &number).await, "CLOSED");
    assert_eq!(world.stock("tea").await, Some(5));
}

#[tokio::test]
async fn a_paid_order_keeps_what_it_took() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_product("tea", 100, Some(5)).await;
    let number = caller.buy(&world, "tea").await;
    world.pay_silently(&number).await;
    assert_eq!(world.resend(&number).await, 204);
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
    assert_eq!(world.stock("tea").await, Some(4));
}

#[tokio::test]
async fn a_product_whose_row_is_none_is_a_mistake_of_ours() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (sku, price) in [("text", json!("100")), ("negative", json!(-1)), ("fraction", json!(1.5))] {
        let row =
            json!({ "pk": format!("PRODUCT#{sku}"), "sk": "PRODUCT", "sku": sku, "name": "x", "priceFen": price });
        world.put(row).await;
        let reply = caller.create_order(&world, sku, &cart(&[(sku, 1)])).await;
        assert_eq!((reply.status, reply.code()), (500, "internal"), "{sku}");
    }
    assert_eq!(world.order_rows().await.len(), 0);
}
