//! The index: its pages, rows that nobody can read, and a table that has none or gives no answer.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::dynamodb_proxy::Kind;
use tests::logs;
use tests::refund_rows::number_of;
use tests::world::{Row, World};

async fn put(world: &World, row: Row) {
    let table = world.table();
    table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn a_shard_of_several_pages_is_gone_through_to_its_end() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    world.pay_silently(&order).await;
    let last = world.row(&format!("ORDER#{order}"), "ORDER").await.unwrap();
    // Orders of another merchant, about whom nobody can be asked, all before ours in its shard.
    for at in 0..250_u64 {
        let (mut row, number) = (last.clone(), format!("FormerOrder{at:04}"));
        row.insert("pk".to_owned(), text(&format!("ORDER#{number}")));
        row.insert("outTradeNo".to_owned(), text(&number));
        row.insert("mchId".to_owned(), text("1900000099"));
        let before = number_of(&last, "sweepAtMs") - 250 + at;
        row.insert("sweepAtMs".to_owned(), AttributeValue::N(before.to_string()));
        put(&world, row).await;
    }
    world.advance(Duration::from_secs(60));
    assert_eq!(world.sweep_due().await, json!({ "checked": 251, "healed": 1, "closed": 0, "failures": 250 }));
    assert_eq!(world.order_row(&order).await.state, "SUCCESS");
    // Each has been moved on.
    assert_eq!(world.sweep_due().await["checked"], 0);
    world.advance(Duration::from_secs(120));
    assert_eq!(world.sweep_due().await["checked"], 250);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_stands_in_nobodys_way() {
    let (world, buyer) = World::start_untold().await;
    let order = buyer.buy(&world, "demo-mug").await;
    let paid = world.paid_order(&buyer).await;
    world.pay_silently(&order).await;
    let row = world.row(&format!("ORDER#{order}"), "ORDER").await.unwrap();
    let (shard, at) = (number_of(&row, "sweepShard"), number_of(&row, "sweepAtMs") - 1);
    let created = number_of(&row, "createdAt");
    for odd in [
        json!({ "pk": "USER#x", "sk": "ORDER", "createdAt": created, "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#x", "sk": "ORDER", "createdAt": created, "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#OddOrder1", "sk": "SOMETHING", "createdAt": created, "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#OddOrder2", "sk": "ORDER", "createdAt": "then", "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#OddOrder3", "sk": "ORDER", "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#OddOrder4", "sk": "REFUND#a b", "createdAt": created }),
        // These can be found, and are no orders and refunds.
        json!({ "pk": "ORDER#OddOrder5", "sk": "ORDER", "createdAt": created, "timeExpire": created + 60 }),
        json!({ "pk": "ORDER#OddOrder6", "sk": "ORDER", "createdAt": created }),
        json!({ "pk": "ORDER#OddOrder7", "sk": "REFUND#r", "createdAt": created }),
        json!({ "pk": format!("ORDER#{paid}"), "sk": "REFUND#r", "createdAt": created }),
    ] {
        let mut row = odd;
        (row["sweepShard"], row["sweepAtMs"], row["tradeState"]) = (shard.into(), at.into(), "NOTPAY".into());
        world.put(row).await;
    }
    world.advance(Duration::from_secs(60));
    let swept = world.sweep_due().await;
    assert_eq!((&swept["healed"], &swept["closed"], &swept["failures"]), (&json!(1), &json!(0), &json!(10)), "{swept}");
    assert_eq!(world.order_row(&order).await.state, "SUCCESS");
    assert_eq!(logs::count_of("SweepFailed", "OddOrder5"), 1);
}

#[tokio::test]
async fn a_table_without_the_index_is_misconfigured_and_says_so() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject("Query", 99, Kind::error("ValidationException"));
    let reply = world.invoke("order-sweeper", &json!({})).await.json;
    assert_eq!(reply["errorType"], "misconfigured", "{reply}");
    assert!(logs::all().contains("is there the index sweep?"));
}

#[tokio::test]
async fn a_table_that_gives_no_answer_is_busy() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    for kind in [
        Kind::error("ProvisionedThroughputExceededException"),
        Kind::error("ThrottlingException"),
        Kind::Refuse(StatusCode::INTERNAL_SERVER_ERROR, json!({})),
        Kind::Hang,
    ] {
        proxy.inject("Query", 9999, kind.clone());
        let (instance, now) = (world.instance("order-sweeper").await, world.now());
        let result = instance.invoke_within(b"{}".to_vec(), now, Duration::from_millis(1500)).await;
        assert_eq!(result.unwrap_err().error_type, "busy", "{kind:?}");
        proxy.heal();
    }
    assert_eq!(world.sweep_due().await["failures"], 0);
}

#[tokio::test]
async fn a_part_of_the_index_that_cannot_be_read_is_a_failure_and_the_rest_is_swept() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let buyer = world.untold().await;
    let paid = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&paid, 900, "return").await, "PROCESSING");
    proxy.inject("Query", 1, Kind::error("AccessDeniedException"));
    let swept = world.sweep_all().await;
    assert_eq!(swept["failures"], 1, "{swept}");
    assert_eq!(world.sweep_all().await["failures"], 0);
    assert_eq!(world.refund_row(&paid).await.state, "SUCCESS");
}

#[tokio::test]
async fn a_throttle_and_a_conflict_are_waited_out() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let buyer = world.untold().await;
    // So that the writes that get lost are turns, and not about certificates.
    assert_eq!(world.sweep_due().await["checked"], 0);
    let [paid, open] = [buyer.buy(&world, "demo-mug").await, buyer.buy(&world, "demo-mug").await];
    world.pay_silently(&paid).await;
    world.advance(Duration::from_secs(1800));
    proxy.inject("Query", 3, Kind::error("ProvisionedThroughputExceededException"));
    proxy.inject("UpdateItem", 2, Kind::LoseAnswer);
    proxy.inject("TransactWriteItems", 2, Kind::cancelled(&["TransactionConflict", "None"]));
    proxy.inject("TransactWriteItems", 1, Kind::LoseAnswer);
    // Who took a turn and did not hear of it meets himself when he asks again.
    assert_eq!(world.sweep_due().await, json!({ "checked": 2, "healed": 1, "closed": 1, "failures": 0 }));
    proxy.heal();
    world.advance(Duration::from_secs(3600));
    assert_eq!(world.sweep_due().await["checked"], 0);
    assert_eq!(
        (world.order_row(&paid).await.state.as_str(), world.order_row(&open).await.state.as_str()),
        ("SUCCESS", "CLOSED")
    );
    assert_eq!((world.stock("demo-mug").await, world.open_orders(&buyer).await), (Some(199), 0));
}

#[tokio::test]
async fn a_refund_s_turn_whose_answer_is_lost_is_the_own_one() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let buyer = world.untold().await;
    assert_eq!(world.sweep_due().await["checked"], 0);
    let order = world.paid_order(&buyer).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    world.advance(Duration::from_secs(60));
    proxy.inject("UpdateItem", 2, Kind::LoseAnswer);
    proxy.inject("TransactWriteItems", 1, Kind::LoseAnswer);
    proxy.take_calls();
    assert_eq!(world.sweep_due().await, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    let turns = proxy.take_calls().iter().filter(|call| *call == "UpdateItem").count();
    assert_eq!(turns, 3, "the turn, twice again");
    assert_eq!(world.refund_row(&order).await.story, "RESERVED refund, PROCESSING refund, SUCCESS sweep");
    assert_eq!(world.amounts(&order).await, (900, 900));
    world.advance(Duration::from_secs(3600));
    assert_eq!(world.sweep_due().await["checked"], 0);
}

#[tokio::test]
async fn a_run_that_is_cut_short_says_so_and_the_next_one_goes_on() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let buyer = world.untold().await;
    for _ in 0..5 {
        buyer.buy(&world, "demo-mug").await;
    }
    let orders = world.order_rows().await;
    for mut row in orders {
        // All in one shard, one behind the other.
        row.insert("sweepShard".to_owned(), AttributeValue::N("3".to_owned()));
        put(&world, row).await;
    }
    world.advance(Duration::from_secs(60));
    // WeChat Pay gives no answer to the first question, which takes what time there is.
    proxy.hang();
    let (instance, now, id) = (world.instance("order-sweeper").await, world.now(), "a-run-that-is-cut-short");
    let result = instance.invoke_as(id.to_owned(), b"{}".to_vec(), now, Duration::from_secs(8)).await.unwrap();
    // Nor to the one for its certificates.
    assert_eq!(result, br#"{"checked":1,"healed":0,"closed":0,"failures":2}"#);
    let lines = logs::of_request(id);
    let is_said = |line: &Value| line["message"] == "swept" && line["checked"] == 1 && line["complete"] == false;
    assert_eq!(lines.iter().filter(|line| is_said(line)).count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["SweepIncomplete"] == 1).count(), 1, "{lines:?}");
    proxy.stand_before(&world);
    assert_eq!(world.sweep_due().await, json!({ "checked": 4, "healed": 0, "closed": 0, "failures": 0 }));
}
