//! A payment is refunded in parts, up to the whole of it.

use serde_json::{Value, json};
use tests::logs;
use tests::orders::cart;
use tests::patience::until;
use tests::refund_rows::RefundRow;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

#[tokio::test]
async fn a_refund_is_accepted_and_its_result_comes_by_notification() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    let input = json!({ "outTradeNo": order, "refundFen": 900, "requestId": "return-1", "reason": "不想要了" });
    let reply = world.direct("refund-order", &input).await.unwrap();
    let row = world.refund_row(&order).await;
    assert_eq!(reply, json!({ "outRefundNo": row.number, "status": "PROCESSING" }));
    let expected = RefundRow {
        number: row.number.clone(),
        fen: 900,
        state: "PROCESSING".to_owned(),
        story: "RESERVED refund, PROCESSING refund".to_owned(),
        request_id: Some("return-1".to_owned()),
        is_swept: true,
    };
    assert_eq!(row, expected);
    // The order has a refund from now on; nothing of it has come back yet.
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND refund");
    assert_eq!(world.amounts(&order).await, (900, 0));
    let reply = buyer.query_order(&world, &order).await.json;
    assert_eq!((&reply["status"], &reply["refundedFen"]), (&json!("REFUND"), &json!(0)));

    let told = world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": row.number })).await;
    assert_eq!(told["status"], 204);
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund, PROCESSING refund, SUCCESS notify", false));
    assert_eq!(world.amounts(&order).await, (900, 900));
    let reply = buyer.query_order(&world, &order).await.json;
    assert_eq!((&reply["status"], &reply["refundedFen"]), (&json!("REFUND"), &json!(900)));
    assert_eq!((world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await), (1, 0));
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn the_result_comes_by_itself() {
    let world = World::start().await;
    let buyer = world.caller().await;
    let order = world.paid_order(&buyer).await;
    let status = world.refund(&order, 3900, "return").await;
    assert!(["PROCESSING", "SUCCESS"].contains(&status.as_str()), "{status}");
    until("the refund's result", async || world.refund_row(&order).await.state == "SUCCESS").await;
    assert_eq!(world.amounts(&order).await, (3900, 3900));
}

#[tokio::test]
async fn the_result_comes_by_a_sweep() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let swept = world.sweep_all().await;
    assert_eq!(swept, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    let row = world.refund_row(&order).await;
    assert_eq!((row.story.as_str(), row.is_swept), ("RESERVED refund, PROCESSING refund, SUCCESS sweep", false));
    assert_eq!(world.amounts(&order).await, (900, 900));
    assert_eq!(world.sweep_all().await["checked"], 0);
}

#[tokio::test]
async fn parts_up_to_the_whole_and_no_fen_more() {
    let (world, buyer) = World::start_untold().await;
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 3901, "all-and-more").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, u64::MAX >> 1, "all").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, 1, "first").await, "PROCESSING");
    assert_eq!(world.refund(&order, 3900, "second").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, 3899, "second").await, "PROCESSING");
    assert_eq!(world.refund(&order, 1, "third").await, "refund_exceeds_paid");
    assert_eq!((world.count_of(REFUND).await, world.refunds_of(&order).await.len()), (2, 2));
    assert_eq!(world.amounts(&order).await, (3900, 0));
    assert_eq!(world.sweep_all().await["healed"], 2);
    assert_eq!(world.refund(&order, 1, "fourth").await, "refund_exceeds_paid");
    assert_eq!(world.amounts(&order).await, (3900, 3900));
    assert_eq!(world.order_at_wechat(&order).await["refunded"], 3900);
    // Goods that come back are counted by who receives them.
    assert_eq!(world.stock("demo-mug").await, Some(199));
}

#[tokio::test]
async fn the_same_request_is_the_same_refund_and_tells_how_it_stands() {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    let order = world.paid_order(&buyer).await;
    let input = json!({ "outTradeNo": order, "refundFen": 900, "requestId": "return", "reason": "one" });
    let first = world.direct("refund-order", &input).await.unwrap();
    assert_eq!(world.direct("refund-order", &input).await.unwrap(), first);
    // What the payer reads is what was said first.
    let mut other = input.clone();
    other["reason"] = "another".into();
    assert_eq!(world.direct("refund-order", &other).await.unwrap(), first);
    other["refundFen"] = 901.into();
    assert_eq!(world.direct("refund-order", &other).await, Err("idempotency_key_reused".to_owned()));
    assert_eq!(world.amounts(&order).await, (900, 0));
    assert_eq!((world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await), (1, 2));
    world.settle_silently(first["outRefundNo"].as_str().unwrap(), "SUCCESS").await;
    assert_eq!(world.refund(&order, 900, "return").await, "SUCCESS");
    assert_eq!(world.amounts(&order).await, (900, 900));
    // What has ended is told by the table.
    let asked = world.count_of(REFUND_QUERY).await;
    assert_eq!(world.refund(&order, 900, "return").await, "SUCCESS");
    assert_eq!(world.refund(&order, 901, "return").await, "idempotency_key_reused");
    assert_eq!((world.count_of(REFUND_QUERY).await, world.refunds_at_wechat(&order).await.len()), (asked, 1));
    assert_eq!(world.refunds_at_wechat(&order).await[0]["timesRequested"], 1);
}

#[tokio::test]
async fn the_same_request_id_for_another_order_is_another_refund() {
    let (world, buyer) = World::start_untold().await;
    let orders = [world.paid_order(&buyer).await, world.paid_order(&buyer).await];
    for order in &orders {
        assert_eq!(world.refund(order, 100, "return").await, "PROCESSING");
    }
    let [one, other] = [world.refund_row(&orders[0]).await, world.refund_row(&orders[1]).await];
    assert_ne!(one.number, other.number);
}

#[tokio::test]
async fn wechat_pay_is_told_where_to_tell_and_nothing_that_it_need_not_know() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let buyer = world.untold().await;
    let order = world.paid_order(&buyer).await;
    proxy.take();
    let input = json!({ "outTradeNo": order, "refundFen": 900, "requestId": "return-1", "reason": "不想要了" });
    world.direct("refund-order", &input).await.unwrap();
    let sent = proxy.take();
    assert_eq!((sent.len(), sent[0].line.as_str()), (1, "POST /v3/refund/domestic/refunds"));
    let url = world.machine.env().get("PAY_NOTIFY_URL").unwrap();
    let expected = json!({
        "out_trade_no": order, "out_refund_no": world.refund_row(&order).await.number, "reason": "不想要了",
        "notify_url": url, "amount": { "refund": 900, "total": 3900, "currency": "CNY" },
    });
    assert_eq!(sent[0].json(), expected);
    assert_eq!(sent[0].header("content-type"), "application/json");
    let mut without = input;
    (without["requestId"], without["reason"]) = ("return-2".into(), Value::Null);
    world.direct("refund-order", &without).await.unwrap();
    assert_eq!(proxy.take()[0].json()["reason"], Value::Null);
}

#[tokio::test]
async fn an_order_of_one_fen_is_refunded_once() {
    let (world, buyer) = World::start_untold().await;
    world.put_product("sweet", 1, None).await;
    let order = buyer.order(&world, "sweet", &cart(&[("sweet", 1)])).await;
    let order = tests::orders::number(&order);
    world.pay_silently(&order).await;
    assert_eq!(world.resend(&order).await, 204);
    assert_eq!(world.refund(&order, 2, "two").await, "refund_exceeds_paid");
    assert_eq!(world.refund(&order, 1, "one").await, "PROCESSING");
    assert_eq!(world.refund(&order, 1, "another").await, "refund_exceeds_paid");
    assert_eq!(world.amounts(&order).await, (1, 0));
    assert!(logs::count_of("Fault", &order) == 0);
}
