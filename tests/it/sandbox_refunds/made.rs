//! Refunds are made, and become something.

use serde_json::{Value, json};
use tests::sandbox_shop::Shop;

use super::{ORDER, ask, control, invalid, order, paid_shop, query, refund, set, settle, wish};

#[tokio::test]
async fn a_refund_is_accepted_succeeds_and_is_told() {
    let shop = paid_shop().await;
    let accepted = refund(&shop, "refund-1", 30).await;
    assert_eq!((accepted.status, shop.merchant.trusts(&accepted)), (200, true), "{:?}", accepted.json());
    let amount = json!({
        "total": 100, "refund": 30, "payer_total": 100, "payer_refund": 30, "settlement_refund": 30,
        "settlement_total": 100, "discount_refund": 0, "currency": "CNY", "from": [], "refund_fee": 0,
    });
    let accepted = accepted.json();
    assert_eq!((&accepted["funds_account"], &accepted["promotion_detail"]), (&json!("AVAILABLE"), &json!([])));
    assert_eq!((&accepted["status"], &accepted["amount"]), (&json!("PROCESSING"), &amount));
    assert_eq!((&accepted["out_trade_no"], &accepted["success_time"]), (&json!(ORDER), &Value::Null));
    assert!(accepted["create_time"].as_str().unwrap().ends_with("+08:00"));

    let done = query(&shop, "refund-1").await;
    assert!(shop.merchant.trusts(&done));
    let done = done.json();
    assert_eq!((&done["status"], &done["refund_id"]), (&json!("SUCCESS"), &accepted["refund_id"]));
    assert!(done["success_time"].is_string());

    let told = shop.inbox.wait_for(2).await.remove(1);
    assert!(shop.merchant.trusts(&told));
    let envelope = told.json();
    assert_eq!(
        (&envelope["event_type"], &envelope["resource"]["original_type"], &envelope["summary"]),
        (&json!("REFUND.SUCCESS"), &json!("refund"), &json!("退款成功"))
    );
    let expected = json!({
        "mchid": "1900000001",
        "out_trade_no": ORDER,
        "transaction_id": accepted["transaction_id"],
        "out_refund_no": "refund-1",
        "refund_id": accepted["refund_id"],
        "refund_status": "SUCCESS",
        "success_time": done["success_time"],
        "user_received_account": done["user_received_account"],
        "amount": { "total": 100, "refund": 30, "payer_total": 100, "payer_refund": 30 },
    });
    assert_eq!(shop.merchant.open(&told), Some(expected));
    let delivery = shop.deliveries(2).await.remove(1);
    assert_eq!(
        (&delivery["eventType"], &delivery["outRefundNo"], &delivery["outTradeNo"]),
        (&json!("REFUND.SUCCESS"), &json!("refund-1"), &json!(ORDER))
    );
    let order = order(&shop).await;
    assert_eq!(
        (&order["state"], &order["refunded"], &order["refunds"][0]["status"]),
        (&json!("REFUND"), &json!(30), &json!("SUCCESS"))
    );
    let path = format!("/v3/pay/transactions/out-trade-no/{ORDER}?mchid=1900000001");
    assert_eq!(shop.merchant.call(&shop.world, "GET", &path, "").await.json()["trade_state"], "REFUND");
}

#[tokio::test]
async fn the_same_number_is_the_same_refund() {
    let shop = paid_shop().await;
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    let first = refund(&shop, "refund-1", 30).await.json();
    assert_eq!(refund(&shop, "refund-1", 30).await.json(), first);
    for other in [wish(&shop, "refund-1", 31), {
        let mut other = wish(&shop, "refund-1", 30);
        other["amount"]["total"] = 101.into();
        other
    }] {
        assert_eq!(ask(&shop, &other).await.refusal(), invalid());
    }
    let mut by_id = wish(&shop, "refund-1", 30);
    by_id.as_object_mut().unwrap().remove("out_trade_no");
    by_id["transaction_id"] = first["transaction_id"].clone();
    assert_eq!(ask(&shop, &by_id).await.json(), first);
    shop.order("order-000002").await;
    shop.pay("order-000002").await;
    let mut other = wish(&shop, "refund-1", 30);
    other["out_trade_no"] = "order-000002".into();
    assert_eq!(ask(&shop, &other).await.refusal(), invalid());
    let all = shop.world.sandbox("GET", "/refunds", Value::Null).await;
    let view = json!([{
        "outRefundNo": "refund-1", "outTradeNo": ORDER, "refundId": first["refund_id"], "refund": 30, "total": 100,
        "status": "PROCESSING", "byStaff": false, "timesRequested": 3,
    }]);
    assert_eq!((&all["refunds"], &all["settings"]["outcome"]), (&view, &json!("PROCESSING")));
}

#[tokio::test]
async fn no_more_than_the_payment_is_refunded() {
    let shop = paid_shop().await;
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    for (number, fen, status) in
        [("refund-1", 60, 200), ("refund-2", 41, 400), ("refund-3", 40, 200), ("refund-4", 1, 400)]
    {
        assert_eq!(refund(&shop, number, fen).await.status, status, "{number}");
    }
    assert_eq!(settle(&shop, "refund-1", "CLOSED").await["status"], "CLOSED");
    assert_eq!(shop.inbox.wait_for(2).await[1].json()["event_type"], "REFUND.CLOSED");
    assert_eq!(refund(&shop, "refund-1", 60).await.json()["status"], "CLOSED", "the number is used up");
    assert_eq!(refund(&shop, "refund-5", 60).await.status, 200);
    settle(&shop, "refund-3", "ABNORMAL").await;
    assert_eq!(shop.inbox.wait_for(3).await[2].json()["event_type"], "REFUND.ABNORMAL");
    assert_eq!(refund(&shop, "refund-6", 1).await.refusal(), invalid(), "what is abnormal is held");
    settle(&shop, "refund-3", "SUCCESS").await;
    assert_eq!(order(&shop).await["refunded"], 40);
    for (number, status, answer) in
        [("refund-3", "CLOSED", 400), ("refund-1", "SUCCESS", 400), ("none", "SUCCESS", 404)]
    {
        let settled = control(&shop, "/refunds/settle", &json!({ "outRefundNo": number, "status": status })).await;
        assert_eq!(settled.status, answer, "{number}");
    }
}

#[tokio::test]
async fn of_refunds_at_the_same_time_no_more_is_accepted_than_was_paid() {
    let shop = paid_shop().await;
    let numbers: Vec<_> = (0..10).map(|number| format!("refund-{number}")).collect();
    let refunds = numbers.iter().map(|number| refund(&shop, number, 99));
    let answers = futures::future::join_all(refunds).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(order(&shop).await["refunded"], 99);
}

#[tokio::test]
async fn a_coupon_has_its_part_of_a_refund() {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    shop.world.sandbox("POST", "/pay", json!({ "outTradeNo": ORDER, "payerTotal": 90 })).await;
    let amount = refund(&shop, "refund-1", 50).await.json()["amount"].clone();
    assert_eq!(
        (&amount["payer_total"], &amount["payer_refund"], &amount["discount_refund"]),
        (&json!(90), &json!(45), &json!(5))
    );
}
