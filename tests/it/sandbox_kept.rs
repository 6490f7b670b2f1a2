//! The sandbox after a restart, with a table that was kept.

use std::path::PathBuf;

use aws_sdk_dynamodb::types::AttributeValue;
use local::machine::{Machine, Options};
use local::sdk::SdkTable;
use serde_json::{Value, json};
use tests::http::Client;

/// A machine, and what it keeps.
struct Kept {
    machine: Machine,
    options: Options,
    directory: PathBuf,
}

impl Kept {
    async fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
        let options = Options { data: Some(directory.clone()), ..Options::default() };
        Self { machine: Machine::start(options.clone()).await.unwrap(), options, directory }
    }

    async fn restart(self) -> Self {
        self.machine.stop().await;
        Self { machine: Machine::start(self.options.clone()).await.unwrap(), ..self }
    }

    async fn call(&self, function: &str, token: &str, key: &str, body: &Value) -> Value {
        let url = format!("{}/{function}", self.machine.gateway_url());
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
        let reply = Client::default().post(&url, &headers, body).await;
        assert_eq!(reply.status, 200, "{function}: {:?}", reply.json);
        reply.json
    }

    async fn sandbox(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/sandbox{path}", self.machine.wechat_url());
        let reply = Client::default().post(&url, &[], body).await;
        assert_eq!(reply.status, 200, "{path}: {:?}", reply.json);
        reply.json
    }

    async fn order_at_wechat(&self, order: &Value) -> Value {
        let number = order["outTradeNo"].as_str().unwrap();
        let url = format!("{}/sandbox/orders/{number}", self.machine.wechat_url());
        Client::default().send("GET", &url, &[], Vec::new()).await.json
    }
}

#[tokio::test]
async fn orders_and_sessions_of_the_sandbox_before_are_good() {
    let kept = Kept::start().await;
    let user = kept.sandbox("/users", &json!({})).await;
    let code = kept.sandbox("/wx.login", &json!({ "user": user["user"] })).await;
    let login = kept.call("login", "none", "", &json!({ "code": code["code"] })).await;
    let token = login["token"].as_str().unwrap();
    let cart = json!({ "items": [{ "sku": "demo-mug", "quantity": 1 }] });
    let unpaid = kept.call("create-order", token, "key-1", &cart).await;
    let paid = kept.call("create-order", token, "key-2", &cart).await;
    let number = |order: &Value| json!({ "outTradeNo": order["outTradeNo"] });
    kept.sandbox("/requestPayment", &paid).await;
    let status = kept.call("query-order", token, "", &number(&paid)).await;
    assert_eq!(status["status"], "SUCCESS");

    let kept = kept.restart().await;
    let known = kept.order_at_wechat(&paid).await;
    assert_eq!(
        (&known["state"], &known["transactionId"], &known["timesPaid"]),
        (&json!("SUCCESS"), &status["transactionId"], &json!(1))
    );
    assert_eq!(kept.call("create-order", token, "key-1", &cart).await["outTradeNo"], unpaid["outTradeNo"]);
    assert_eq!(kept.sandbox("/requestPayment", &unpaid).await["errMsg"], "requestPayment:ok");
    let status = kept.call("query-order", token, "", &number(&unpaid)).await;
    assert_eq!(status["status"], "SUCCESS");
    assert_ne!(known["transactionId"], status["transactionId"]);
    // Nobody at the new sandbox has this openid.
    let new = kept.call("create-order", token, "key-3", &cart).await;
    assert_eq!(kept.sandbox("/requestPayment", &new).await["errMsg"], "requestPayment:ok");
    kept.machine.stop().await;
    std::fs::remove_dir_all(kept.directory).unwrap();
}

/// The row of a refund of ten fen, as the functions write it.
async fn write_refund(kept: &Kept, order: &str, refund: &str, status: &str, refund_id: Option<&str>) {
    let table = SdkTable::from_env(kept.machine.env()).unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut put = table.client().put_item().table_name(table.name());
    for (name, value) in [
        ("pk", format!("ORDER#{order}")),
        ("sk", format!("REFUND#{refund}")),
        ("outTradeNo", order.to_owned()),
        ("outRefundNo", refund.to_owned()),
        ("refundStatus", status.to_owned()),
    ] {
        put = put.item(name, text(&value));
    }
    if let Some(refund_id) = refund_id {
        put = put.item("refundId", text(refund_id));
    }
    for (name, number) in [("refundFen", "10"), ("createdAt", "1700000000")] {
        put = put.item(name, AttributeValue::N(number.to_owned()));
    }
    put.send().await.unwrap();
}

#[tokio::test]
async fn refunds_of_the_sandbox_before_are_known() {
    let kept = Kept::start().await;
    let user = kept.sandbox("/users", &json!({})).await;
    let code = kept.sandbox("/wx.login", &json!({ "user": user["user"] })).await;
    let login = kept.call("login", "none", "", &json!({ "code": code["code"] })).await;
    let token = login["token"].as_str().unwrap();
    let cart = json!({ "items": [{ "sku": "demo-mug", "quantity": 1 }] });
    let order = kept.call("create-order", token, "key-1", &cart).await;
    let unpaid = kept.call("create-order", token, "key-2", &cart).await;
    kept.sandbox("/requestPayment", &order).await;
    kept.call("query-order", token, "", &json!({ "outTradeNo": order["outTradeNo"] })).await;
    let number = order["outTradeNo"].as_str().unwrap();
    write_refund(&kept, number, "refund-1", "SUCCESS", Some("50300001")).await;
    write_refund(&kept, number, "refund-2", "PROCESSING", None).await;
    write_refund(&kept, number, "refund-3", "RESERVED", None).await;
    write_refund(&kept, unpaid["outTradeNo"].as_str().unwrap(), "refund-4", "SUCCESS", None).await;

    let kept = kept.restart().await;
    let known = kept.order_at_wechat(&order).await;
    assert_eq!((&known["state"], &known["refunded"]), (&json!("REFUND"), &json!(10)));
    let refunds = known["refunds"].as_array().unwrap();
    let seen: Vec<_> = refunds.iter().map(|refund| (&refund["outRefundNo"], &refund["status"])).collect();
    assert_eq!(seen, [(&json!("refund-1"), &json!("SUCCESS")), (&json!("refund-2"), &json!("PROCESSING"))]);
    assert_eq!(refunds[0]["refundId"], "50300001");
    assert_eq!(kept.order_at_wechat(&unpaid).await["refunds"], json!([]));
    let settled = kept.sandbox("/refunds/settle", &json!({ "outRefundNo": "refund-2", "status": "SUCCESS" })).await;
    assert_eq!(settled["status"], "SUCCESS");
    kept.machine.stop().await;
    std::fs::remove_dir_all(kept.directory).unwrap();
}
