//! What `create-order` refuses, and that nothing is left of it.

use axum::http::Request;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::http::{Client, Reply};
use tests::orders::cart;
use tests::world::World;

/// As a client sends it: the body may be any text, and the key any bytes or none.
async fn send(world: &World, caller: &Caller, keys: &[&str], body: &str) -> Reply {
    let authorization = format!("Bearer {}", caller.token);
    let mut headers = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
    headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
    world.send("POST", "/create-order", &headers, body).await
}

/// A request that was refused leaves the key free and the table as it was.
async fn assert_nothing_is_left(world: &World, caller: &Caller) {
    assert_eq!((world.claims().await, world.order_rows().await.len()), (0, 0));
    assert_eq!((world.open_orders(caller).await, world.prepaid_numbers().await.len()), (0, 0));
}

#[tokio::test]
async fn a_request_that_has_not_the_form_of_one_names_the_field() {
    let world = World::start().await;
    let caller = world.caller().await;
    let item = r#"{"sku":"demo-sticker","quantity":1}"#;
    let fifty_one: Vec<_> = (0..51).map(|at| format!(r#"{{"sku":"p{at}","quantity":1}}"#)).collect();
    let long_sku = "x".repeat(65);
    for (body, field) in [
        ("{}".to_owned(), "items"),
        (r#"{"items":null}"#.to_owned(), "items"),
        (r#"{"items":{}}"#.to_owned(), "items"),
        (r#"{"items":[]}"#.to_owned(), "items"),
        (format!(r#"{{"items":[{}]}}"#, fifty_one.join(",")), "items"),
        (format!(r#"{{"items":[{item},{item}]}}"#), "items"),
        (format!(r#"{{"items":[{item}],"items":[{item}]}}"#), "items"),
        (format!(r#"{{"items":[{item}],"totalFen":1}}"#), "totalFen"),
        (format!(r#"{{"items":[{item}],"openid":"o"}}"#), "openid"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":1,"priceFen":1}]}"#.to_owned(), "items"),
        (r#"{"items":[["demo-sticker",1]]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker"}]}"#.to_owned(), "items"),
        (r#"{"items":[{"quantity":1}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"","quantity":1}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":7,"quantity":1}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"a\tb","quantity":1}]}"#.to_owned(), "items"),
        (format!(r#"{{"items":[{{"sku":"{long_sku}","quantity":1}}]}}"#), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":1.5}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":1.0}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":1e0}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":"1"}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":null}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":true}]}"#.to_owned(), "items"),
        (r#"{"items":[{"sku":"demo-sticker","quantity":1,"quantity":2}]}"#.to_owned(), "items"),
        (format!("[{item}]"), "object"),
        ("".to_owned(), ""),
        ("{".to_owned(), ""),
    ] {
        let reply = send(&world, &caller, &["key"], &body).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid_request"), "{body}");
        assert!(reply.json["message"].as_str().unwrap().contains(field), "{body}: {:?}", reply.json);
    }
    assert_nothing_is_left(&world, &caller).await;
}

#[tokio::test]
async fn a_whole_number_that_is_no_quantity_is_quantity_invalid() {
    let world = World::start().await;
    let caller = world.caller().await;
    for quantity in ["0", "-0", "-1", "10000", "9223372036854775808", "18446744073709551616", &*"9".repeat(400)] {
        let body = format!(r#"{{"items":[{{"sku":"demo-sticker","quantity":{quantity}}}]}}"#);
        let reply = send(&world, &caller, &["key"], &body).await;
        let message = "the quantity of `demo-sticker` is not from 1 to 9999";
        let expected = json!({ "code": "quantity_invalid", "message": message });
        assert_eq!(reply.without_id(), (400, expected), "{quantity}");
    }
    // Of several, the one that is meant.
    let reply = caller.create_order(&world, "key", &cart(&[("demo-mug", 1), ("demo-sticker", 10_000)])).await;
    assert_eq!(reply.json["message"], "the quantity of `demo-sticker` is not from 1 to 9999");
    assert_nothing_is_left(&world, &caller).await;
    let body = r#"{"items":[{"sku":"demo-sticker","quantity":9999}]}"#;
    assert_eq!(send(&world, &caller, &["key"], body).await.json["totalFen"], 999_900);
}

#[tokio::test]
async fn a_total_that_cannot_be_paid_is_refused() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (sku, price) in [("free", 0), ("most", 2_147_483_647), ("endless", u64::MAX)] {
        world.put_product(sku, price, Some(9999)).await;
    }
    // The sku is the one with which the total becomes too large.
    for (lines, code, named) in [
        (&[("free", 9999)][..], "invalid_request", "nothing to pay"),
        (&[("most", 1), ("demo-sticker", 1)], "quantity_invalid", "`demo-sticker`"),
        (&[("most", 2)], "quantity_invalid", "`most`"),
        (&[("demo-sticker", 1), ("most", 1), ("free", 1)], "quantity_invalid", "`most`"),
        (&[("endless", 1)], "quantity_invalid", "`endless`"),
        (&[("endless", 9999), ("demo-sticker", 1)], "quantity_invalid", "`endless`"),
    ] {
        let reply = caller.create_order(&world, "key", &cart(lines)).await;
        assert_eq!((reply.status, reply.code()), (400, code), "{lines:?}");
        assert!(reply.json["message"].as_str().unwrap().contains(named), "{lines:?}: {:?}", reply.json);
        assert_nothing_is_left(&world, &caller).await;
    }
    // The largest can be, and so can what has something free in it.
    let order = caller.order(&world, "key", &cart(&[("most", 1), ("free", 1)])).await;
    assert_eq!(order["totalFen"], 2_147_483_647);
}

#[tokio::test]
async fn a_key_is_one_of_1_to_64_visible_ascii_characters() {
    let world = World::start().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    for keys in [&[][..], &[""], &[" "], &["a b"], &["a\tb"], &[&*"k".repeat(65)]] {
        let reply = send(&world, &caller, keys, &body.to_string()).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid_request"), "{keys:?}");
        assert!(reply.json["message"].as_str().unwrap().contains("`Idempotency-Key`"), "{:?}", reply.json);
    }
    // What a header may hold, and no text may.
    for bytes in ["é".as_bytes(), &b"\xff\xfe"[..]] {
        let request = Request::post(format!("{}/create-order", world.machine.gateway_url()))
            .header("authorization", format!("Bearer {}", caller.token))
            .header("content-type", "application/json")
            .header("idempotency-key", axum::http::HeaderValue::from_bytes(bytes).unwrap());
        let request = request.body(body.to_string().into_bytes()).unwrap();
        let (status, _, reply) = Client::default().forward(request).await;
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!((status.as_u16(), &reply["code"]), (400, &json!("invalid_request")), "{bytes:?}");
    }
    assert_nothing_is_left(&world, &caller).await;
    for key in ["!", "~", "a,b", "%C3%A9", &*"k".repeat(64)] {
        let reply = send(&world, &caller, &[key], &body.to_string()).await;
        assert_eq!(reply.status, 200, "{key}: {:?}", reply.json);
    }
}

#[tokio::test]
async fn only_posted_json_is_looked_at() {
    let world = World::start().await;
    let caller = world.caller().await;
    let authorization = format!("Bearer {}", caller.token);
    let headers =
        [("authorization", authorization.as_str()), ("idempotency-key", "key"), ("content-type", "text/plain")];
    for function in ["create-order", "query-order"] {
        let path = format!("/{function}");
        assert_eq!(world.send("GET", &path, &headers, "").await.status, 404, "{function}");
        let reply = world.send("POST", &path, &headers, cart(&[("demo-sticker", 1)]).to_string()).await;
        assert_eq!((reply.status, reply.code()), (415, "unsupported_media_type"), "{function}");
        let long = " ".repeat(64 * 1024 + 1);
        let reply = world.send("POST", &path, &headers, long).await;
        assert_eq!((reply.status, reply.code()), (413, "body_too_large"), "{function}");
    }
    assert_nothing_is_left(&world, &caller).await;
}
