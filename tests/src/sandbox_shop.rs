//! A merchant of the sandbox's WeChat Pay, without any function.

use serde_json::{Value, json};

use crate::apps::MINI_PROGRAM;
use crate::merchant::{Inbox, Merchant, Message};
use crate::patience::until;
use crate::world::World;

/// A world with a merchant, who is told of payments.
#[derive(Debug)]
pub struct Shop {
    /// Where it is.
    pub world: World,
    /// Who is paid.
    pub merchant: Merchant,
    /// Where the merchant is told.
    pub inbox: Inbox,
}

impl Shop {
    /// One whose merchant answers with these statuses, and then with 204.
    pub async fn open(answers: impl IntoIterator<Item = u16>) -> Self {
        let world = World::start().await;
        let merchant = Merchant::of(&world);
        Self { world, merchant, inbox: Inbox::start(answers).await }
    }

    /// An order of the demo user's: its prepay_id.
    pub async fn order(&self, number: &str) -> String {
        self.order_told_at(number, &self.inbox.url).await
    }

    /// The same, of which another server is told.
    pub async fn order_told_at(&self, number: &str, notify_url: &str) -> String {
        let body = json!({
            "appid": MINI_PROGRAM,
            "mchid": "1900000001",
            "description": "商品",
            "out_trade_no": number,
            "notify_url": notify_url,
            "amount": { "total": 100 },
            "payer": { "openid": "oDemoUserOfTheLocalMachine_0" },
        });
        let made = self.merchant.call(&self.world, "POST", "/v3/pay/transactions/jsapi", &body.to_string()).await;
        assert_eq!(made.status, 200, "{:?}", made.json());
        made.json()["prepay_id"].as_str().unwrap().to_owned()
    }

    /// What `wx.requestPayment` takes.
    pub fn payment(&self, prepay_id: &str) -> Value {
        self.merchant.payment(MINI_PROGRAM, prepay_id, self.world.now().into())
    }

    /// `wx.requestPayment`: the errMsg.
    pub async fn request(&self, wish: Value) -> String {
        let answer = self.world.sandbox("POST", "/requestPayment", wish).await;
        answer["errMsg"].as_str().unwrap().to_owned()
    }

    /// Somebody pays.
    pub async fn pay(&self, number: &str) {
        self.world.sandbox("POST", "/pay", json!({ "outTradeNo": number })).await;
    }

    /// How payments are told.
    pub async fn set(&self, settings: Value) {
        self.world.sandbox("PUT", "/notifications", settings).await;
    }

    /// The tries that have ended, when there are so many.
    pub async fn deliveries(&self, count: usize) -> Vec<Value> {
        let all = async || {
            let all = self.world.sandbox("GET", "/notifications", Value::Null).await;
            all["notifications"].as_array().unwrap().clone()
        };
        until(&format!("{count} tries of notifications"), async || all().await.len() >= count).await;
        all().await
    }

    /// The orders that messages are about.
    pub fn numbers(&self, messages: &[Message]) -> Vec<String> {
        let number = |message| self.merchant.open(message).unwrap()["out_trade_no"].as_str().unwrap().to_owned();
        messages.iter().map(number).collect()
    }
}
