//! Notifications of payments that tests send themselves.

use local::sample;
use serde_json::{Value, json};
use shared::clock::Timestamp;

use crate::http::Reply;
use crate::shop;
use crate::world::World;

/// A notification that is not sent yet.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The very bytes.
    pub body: Vec<u8>,
}

impl Notice {
    /// What the sandbox has signed and encrypted, as `/sandbox/notifications/forge` is asked.
    pub async fn forge(world: &World, wish: Value) -> Self {
        let forged = world.sandbox("POST", "/notifications/forge", wish).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = forged["headers"].as_object().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect();
        Self { headers, body: text(&forged["body"]).into_bytes() }
    }

    /// Any text, signed by WeChat Pay. In an envelope, `resource.plaintext` is encrypted first.
    pub fn sign(world: &World, body: &str) -> Self {
        let event = json!({ "sample": {}, "headers": {}, "body": body });
        let event = sample::sign(event, world.machine.pay_keys(), world.now()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = event["headers"].as_object().unwrap().iter().filter(|(name, _)| *name != "content-length");
        let headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
        Self { headers, body: text(&event["body"]).into_bytes() }
    }

    /// The one of a payment that is told in these words.
    pub async fn telling(world: &World, transaction: &Value) -> Self {
        Self::forge(world, json!({ "resource": transaction })).await
    }

    /// The one of a paid order.
    pub async fn of(world: &World, number: &str) -> Self {
        Self::forge(world, json!({ "outTradeNo": number })).await
    }

    /// The same with another value of a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// The same with a header once more.
    pub fn doubled(mut self, name: &str) -> Self {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name).unwrap();
        self.headers.push((name.to_owned(), value.clone()));
        self
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(other, _)| other == name).unwrap().1
    }

    /// Sends it as WeChat Pay does.
    pub async fn send(&self, world: &World) -> Reply {
        self.send_as(world, "application/json").await
    }

    /// Sends it with another content type.
    pub async fn send_as(&self, world: &World, content_type: &str) -> Reply {
        let mut headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("content-type", content_type));
        world.send("POST", "/pay-notify", &headers, self.body.clone()).await
    }

    /// The gateway's event of it.
    pub fn event(&self) -> Value {
        let mut event = shop::event("pay-notify", std::str::from_utf8(&self.body).unwrap());
        for (name, value) in &self.headers {
            event["headers"][name] = value.as_str().into();
        }
        event
    }
}

/// How payments are told, up to one of them.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "as the sandbox's control has them")]
pub struct Plan {
    pub until: usize,
    pub enabled: bool,
    pub hold: bool,
    pub duplicates: usize,
    pub drop_every: usize,
    pub signtest_every: usize,
}

impl Plan {
    /// What the control takes.
    pub fn settings(&self) -> Value {
        json!({
            "enabled": self.enabled, "hold": self.hold, "duplicates": self.duplicates,
            "dropEvery": self.drop_every, "signtestEvery": self.signtest_every,
        })
    }

    /// How often the nth payment is told at least, probes included.
    pub fn tries_of(&self, nth: usize) -> usize {
        let is_every = |every: usize| every > 0 && nth.is_multiple_of(every);
        if !self.enabled || is_every(self.drop_every) {
            return 0;
        }
        1 + self.duplicates + usize::from(is_every(self.signtest_every))
    }
}

impl World {
    /// What WeChat Pay would say of an order that has been paid, if it has or not.
    pub async fn payment_of(&self, number: &str) -> Value {
        let order = self.order_at_wechat(number).await;
        let transaction_id = order["transactionId"].as_str().unwrap_or("4200001000000000000000000001");
        json!({
            "appid": order["appId"],
            "mchid": "1900000001",
            "out_trade_no": number,
            "transaction_id": transaction_id,
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "success_time": Timestamp::from(self.now()).to_rfc3339_china(),
            "amount": { "total": order["total"], "payer_total": order["total"], "currency": "CNY" },
        })
    }
}
