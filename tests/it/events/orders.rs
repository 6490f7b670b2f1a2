//! Orders, and what WeChat Pay tells of them.

use local::demo_order::DEMO_ORDER;
use local::sample;
use serde_json::{Value, json};
use tests::root;
use tests::world::World;

use super::{check, error, expect_every_file, unauthorized};

#[tokio::test]
async fn every_event_of_create_order_gets_its_answer() {
    let order = |total_fen: u64| json!({ "statusCode": 200, "totalFen": total_fen, "payment": { "signType": "RSA" } });
    let key = "header `Idempotency-Key` is not 1 to 64 visible ASCII characters";
    check(
        "create-order",
        &[
            ("valid", order(100)),
            ("several-items", order(4100)),
            ("key-reused", error(409, "idempotency_key_reused", "the key was used with another request")),
            ("missing-key", error(400, "invalid_request", key)),
            ("no-session", unauthorized()),
            ("unknown-product", error(400, "product_unknown", "there is no such product")),
            ("out-of-stock", error(409, "out_of_stock", "there is not enough in stock")),
            ("quantity-invalid", error(400, "quantity_invalid", "a quantity is from 1 to 9999")),
            ("quantity-not-an-integer", error(400, "invalid_request", "field `items[0].quantity` is not valid")),
            ("repeated-sku", error(400, "invalid_request", "field `items` has a sku twice")),
            ("own-price", error(400, "invalid_request", "unknown field `priceFen` of `items[0]`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_query_order_gets_its_answer() {
    let unpaid = json!({
        "statusCode": 200, "status": "NOTPAY", "outTradeNo": DEMO_ORDER, "totalFen": 100, "refundedFen": 0, "transactionId": null,
        "paidAt": null,
    });
    check(
        "query-order",
        &[
            ("valid", unpaid),
            ("not-found", error(404, "not_found", "there is no such thing")),
            ("malformed", error(400, "invalid_request", "field `outTradeNo` is not valid")),
            ("no-session", unauthorized()),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_pay_notify_gets_its_answer() {
    let world = World::start_embedded().await;
    let instance = world.instance("pay-notify").await;
    let refused = Some(json!({ "code": "FAIL", "message": "not verified" }));
    let expected = [
        ("wrong-amount", 204, None, "NOTPAY"),
        ("valid", 204, None, "SUCCESS"),
        ("unknown-order", 204, None, "SUCCESS"),
        ("refund", 204, None, "REFUND"),
        ("signtest", 401, refused.clone(), "REFUND"),
        ("stale", 401, refused.clone(), "REFUND"),
        ("tampered", 401, refused.clone(), "REFUND"),
        ("not-json", 401, refused, "REFUND"),
    ];
    let cases: Vec<_> = expected.iter().map(|(case, ..)| (*case, Value::Null)).collect();
    expect_every_file("pay-notify", &cases);
    for (case, status, body, state) in expected {
        let event = sample::fresh(&root(), "pay-notify", case, world.now()).unwrap();
        let event = sample::sign(event, world.machine.pay_keys(), world.now()).unwrap();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!(reply["statusCode"], status, "{case}: {reply}");
        let json = reply["body"]
            .as_str()
            .filter(|body| !body.is_empty())
            .map(|body| serde_json::from_str::<Value>(body).unwrap());
        assert_eq!(json, body, "{case}");
        let rows = world.rows().await;
        let key = (format!("ORDER#{DEMO_ORDER}"), "ORDER".to_owned());
        let row = rows.iter().find(|row| (row["pk"].as_s().unwrap(), row["sk"].as_s().unwrap()) == (&key.0, &key.1));
        let row = row.unwrap();
        assert_eq!(row["tradeState"].as_s().unwrap(), state, "{case}");
    }
}
