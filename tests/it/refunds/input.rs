//! What is no request for a refund is refused before anybody is asked.

use serde_json::{Value, json};
use tests::orders::show;
use tests::refunds::REFUND;
use tests::world::World;

/// What each field may not be.
fn bad_values() -> [(&'static str, Vec<Value>); 4] {
    let (long, emoji) = ("x".repeat(65), "🍵");
    [
        (
            "outTradeNo",
            vec![
                json!(""),
                json!(7),
                Value::Null,
                json!("short"),
                json!("x".repeat(33)),
                json!("a|b*cdefg"),
                json!("号号号号号号"),
            ],
        ),
        (
            "refundFen",
            vec![json!(0), json!(-1), json!(1.5), json!(1.0), json!("100"), json!(true), Value::Null, json!([100])],
        ),
        ("requestId", vec![json!(""), json!(long), json!(7), Value::Null, json!("a\nb"), json!(emoji), json!("退货")]),
        (
            "reason",
            vec![
                json!(""),
                json!(" "),
                json!(emoji),
                json!("a\nb"),
                json!("x".repeat(81)),
                json!("茶".repeat(27)),
                json!(7),
            ],
        ),
    ]
}

#[tokio::test]
async fn each_field_is_looked_at_and_named() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let good = json!({ "outTradeNo": order, "refundFen": 100, "requestId": "return", "reason": "why" });
    for (field, values) in bad_values() {
        for value in values {
            let mut input = good.clone();
            input[field] = value.clone();
            let reply = world.invoke("refund-order", &input).await.json;
            assert_eq!(reply["errorType"], "invalid_request", "{field}: {value}: {reply}");
            assert!(reply["errorMessage"].as_str().unwrap().contains(field), "{field}: {value}: {reply}");
            show(&format!("refund, {field} {value}"), "invalid_request");
        }
    }
    assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (0, (0, 0)));
    world.direct("refund-order", &good).await.unwrap();
}

#[tokio::test]
async fn no_field_is_missing_and_none_is_unknown() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let good = json!({ "outTradeNo": order, "refundFen": 100, "requestId": "return" });
    for field in ["outTradeNo", "refundFen", "requestId"] {
        let mut input = good.clone();
        input.as_object_mut().unwrap().remove(field);
        let reply = world.invoke("refund-order", &input).await.json;
        assert_eq!(reply["errorType"], "invalid_request", "{field}: {reply}");
        assert!(reply["errorMessage"].as_str().unwrap().contains(field), "{field}: {reply}");
    }
    for field in ["openid", "openId", "totalFen", "outRefundNo", "notifyUrl"] {
        let mut input = good.clone();
        input[field] = "x".into();
        assert_eq!(world.direct("refund-order", &input).await, Err("invalid_request".to_owned()), "{field}");
    }
    for input in [json!([]), json!("x"), Value::Null, json!([order, 100, "return"]), json!({})] {
        assert_eq!(world.direct("refund-order", &input).await, Err("invalid_request".to_owned()), "{input}");
    }
    assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (0, (0, 0)));
    assert_eq!(world.refunds_of(&order).await, []);
    world.direct("refund-order", &good).await.unwrap();
}

#[tokio::test]
async fn the_longest_of_everything_is_taken() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    for (request_id, reason) in [
        ("!".repeat(64), json!("x".repeat(80))),
        ("~".to_owned(), json!("茶".repeat(26))),
        ("#|*@".to_owned(), Value::Null),
    ] {
        let input = json!({ "outTradeNo": order, "refundFen": 100, "requestId": request_id, "reason": reason });
        let reply = world.direct("refund-order", &input).await.unwrap();
        assert_eq!(reply["status"], "PROCESSING", "{request_id}");
    }
    assert_eq!(world.amounts(&order).await, (300, 0));
}

#[tokio::test]
async fn what_eventbridge_sends_by_itself_is_no_request() {
    let world = World::start().await;
    let event = json!({ "source": "aws.events", "detail": {} });
    assert_eq!(world.direct("refund-order", &event).await, Err("invalid_request".to_owned()));
}

#[tokio::test]
async fn there_is_no_way_to_it_through_the_gateway() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let input = json!({ "outTradeNo": order, "refundFen": 100, "requestId": "return" });
    for (function, input) in [("refund-order", input), ("order-sweeper", json!({ "minAgeSecs": 0 }))] {
        assert_eq!(buyer.call(&world, function, input).await.status, 404, "{function}");
    }
    assert_eq!(world.refunds_of(&order).await, []);
}
