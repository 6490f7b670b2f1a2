//! The sandbox after a restart, with a table that was kept.

use std::path::PathBuf;

use local::machine::{Machine, Options};
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
