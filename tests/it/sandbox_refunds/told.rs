//! How the merchant is told of refunds, its own and those of its staff.

use serde_json::{Value, json};
use tests::sandbox_shop::Shop;

use super::{ORDER, control, order, paid_shop, query, refund, set, settle};

#[tokio::test]
async fn staff_refunds_and_the_merchant_is_told_or_not() {
    let shop = paid_shop().await;
    let staff = async |wish: Value| {
        let mut wish = wish;
        wish["outTradeNo"] = ORDER.into();
        shop.world.sandbox("POST", "/refunds", wish).await
    };
    let made = staff(json!({ "refundFen": 10 })).await;
    assert_eq!(
        (&made["byStaff"], &made["status"], &made["timesRequested"]),
        (&json!(true), &json!("SUCCESS"), &json!(0))
    );
    let told = shop.inbox.wait_for(2).await.remove(1);
    assert_eq!(shop.merchant.open(&told).unwrap()["out_refund_no"], made["outRefundNo"]);
    assert_eq!(query(&shop, made["outRefundNo"].as_str().unwrap()).await.json()["status"], "SUCCESS");

    staff(json!({ "refundFen": 10, "outRefundNo": "staff-1", "notify": "v2" })).await;
    let notice = shop.inbox.wait_for(3).await.remove(2);
    assert_eq!((notice.header("content-type"), notice.header("wechatpay-signature")), ("text/xml", ""));
    let xml = String::from_utf8(notice.body.clone()).unwrap();
    assert!(xml.starts_with("<xml><return_code>SUCCESS</return_code><appid>") && xml.contains("<req_info>"), "{xml}");
    let delivery = shop.deliveries(3).await.remove(2);
    assert_eq!((&delivery["eventType"], &delivery["outRefundNo"]), (&Value::Null, &json!("staff-1")));

    staff(json!({ "refundFen": 10, "outRefundNo": "staff-2", "status": "PROCESSING", "notify": "none" })).await;
    assert_eq!(settle(&shop, "staff-2", "SUCCESS").await["status"], "SUCCESS");
    assert_eq!(order(&shop).await["refunded"], 30);
    for (bad, status) in [
        (json!({ "outTradeNo": ORDER, "refundFen": 71 }), 400),
        (json!({ "outTradeNo": ORDER, "refundFen": 0 }), 400),
        (json!({ "outTradeNo": ORDER, "refundFen": 1, "outRefundNo": "staff-1" }), 400),
        (json!({ "outTradeNo": "order-000009", "refundFen": 1 }), 404),
    ] {
        assert_eq!(control(&shop, "/refunds", &bad).await.status, status, "{bad}");
    }
    assert_eq!(shop.inbox.messages().len(), 3);
}

#[tokio::test]
async fn notifications_of_refunds_are_retried_held_resent_and_forged() {
    let shop = Shop::open([204, 500, 401, 200]).await;
    shop.order(ORDER).await;
    shop.pay(ORDER).await;
    shop.inbox.wait_for(1).await;
    refund(&shop, "refund-1", 10).await;
    let messages = shop.inbox.wait_for(4).await;
    assert!(messages[1..].iter().all(|message| message.json()["id"] == messages[1].json()["id"]));

    shop.set(json!({ "hold": true, "duplicates": 1 })).await;
    refund(&shop, "refund-2", 10).await;
    refund(&shop, "refund-3", 10).await;
    assert_eq!(shop.inbox.messages().len(), 4);
    shop.set(json!({ "enabled": false })).await;
    let held = shop.inbox.messages().split_off(4);
    let number = |message| shop.merchant.open(message).unwrap()["out_refund_no"].clone();
    assert_eq!(held.iter().map(number).collect::<Vec<_>>(), ["refund-3", "refund-2"]);
    refund(&shop, "refund-4", 10).await;
    assert_eq!(shop.inbox.messages().len(), 6);
    let resent = shop.world.sandbox("POST", "/notifications/resend", json!({ "outRefundNo": "refund-4" })).await;
    assert_eq!((&resent["status"], shop.inbox.messages().len()), (&json!(204), 7));

    let forged = json!({ "outRefundNo": "refund-4", "tamper": "refund" });
    let forged = shop.world.sandbox("POST", "/notifications/forge", forged).await;
    let body: Value = serde_json::from_str(forged["body"].as_str().unwrap()).unwrap();
    let resource = tests::merchant::open(shop.merchant.text("apiV3Key"), &body["resource"]).unwrap();
    assert_eq!((&body["event_type"], &resource["amount"]["refund"]), (&json!("REFUND.SUCCESS"), &json!(11)));
    set(&shop, json!({ "outcome": "PROCESSING" })).await;
    refund(&shop, "refund-5", 10).await;
    for path in ["/notifications/forge", "/notifications/resend"] {
        assert_eq!(
            control(&shop, path, &json!({ "outRefundNo": "refund-5" })).await.status,
            400,
            "nothing to tell yet"
        );
        let two = json!({ "outRefundNo": "refund-4", "outTradeNo": ORDER });
        assert_eq!(control(&shop, path, &two).await.status, 400);
    }
}
