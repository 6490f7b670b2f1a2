//! Nothing that payments are made with, and nobody's openid, is logged, or said to anybody who has not got it already.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tests::apps::MINI_PROGRAM;
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::http::Reply;
use tests::logs;
use tests::merchant::Merchant;
use tests::notifications::Notice;
use tests::orders::{PREPAY, QUERY, cart, number};
use tests::pay_proxy::{PayProxy, Sent};
use tests::world::World;

/// What may be in no log line, and in no reply that refuses.
pub(crate) struct Secrets {
    /// What may not be in the table either.
    pub(crate) nowhere: BTreeSet<String>,
    /// What the rows of orders and refunds have to have.
    pub(crate) kept: BTreeSet<String>,
}

impl Secrets {
    /// Those of the merchant.
    pub(crate) fn of(world: &World) -> Self {
        let merchant = Merchant::of(world);
        let key = merchant.text("privateKey").lines().filter(|line| !line.starts_with("-----")).map(str::to_owned);
        let nowhere = key.chain([merchant.text("apiV3Key").to_owned()]).collect();
        Self { nowhere, kept: BTreeSet::new() }
    }

    /// Those of somebody who orders.
    pub(crate) async fn add_caller(&mut self, world: &World, caller: &Caller) {
        let mut state = world.sandbox("GET", "/state", Value::Null).await;
        let openid = state["users"][&caller.person]["openids"][MINI_PROGRAM].take();
        self.kept.insert(openid.as_str().unwrap().to_owned());
        self.nowhere.insert(caller.token.clone());
    }

    /// Those of a payment.
    pub(crate) fn add_payment(&mut self, order: &Value) {
        let text = |name: &str| order["payment"][name].as_str().unwrap().to_owned();
        self.nowhere.extend([text("paySign"), text("nonceStr")]);
        self.kept.insert(text("package").replace("prepay_id=", ""));
    }

    /// Those of requests to WeChat Pay.
    pub(crate) fn add_sent(&mut self, sent: &[Sent]) {
        for sent in sent {
            let authorization = sent.header("authorization");
            let items = authorization.split('"').skip(1).step_by(2).map(str::to_owned);
            // The signature and the nonce; the merchant, the time and the serial number are no secrets.
            self.nowhere.extend(items.filter(|item| item.len() == 32 || item.len() > 128));
        }
    }

    /// Those of a notification.
    pub(crate) fn add_notice(&mut self, notice: &Notice) {
        self.nowhere.extend(["wechatpay-signature", "wechatpay-nonce"].map(|name| notice.header(name).to_owned()));
        let envelope: Value = serde_json::from_slice(&notice.body).unwrap();
        self.nowhere.insert(envelope["resource"]["ciphertext"].as_str().unwrap().to_owned());
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.nowhere.iter().chain(&self.kept)
    }

    pub(crate) fn expect_unsaid(&self, reply: &Reply) {
        let body = String::from_utf8_lossy(&reply.body);
        let said = self.all().find(|secret| body.contains(secret.as_str()));
        assert_eq!(said, None, "{body}");
    }

    pub(crate) fn expect_unlogged(&self) {
        let lines = logs::all();
        for secret in self.all() {
            assert!(secret.len() >= 16, "{secret} is too short to be looked for");
            assert_eq!(lines.lines().find(|line| line.contains(secret.as_str())), None, "{secret}");
        }
    }
}

async fn world() -> (World, PayProxy, Caller, Secrets) {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let (caller, mut secrets) = (world.caller().await, Secrets::of(&world));
    secrets.add_caller(&world, &caller).await;
    (world, proxy, caller, secrets)
}

#[tokio::test]
async fn the_life_of_an_order_leaves_nothing_in_the_log() {
    let (world, proxy, caller, mut secrets) = world().await;
    let body = cart(&[("demo-mug", 1)]);
    for (key, is_told) in [("told", true), ("asked", false)] {
        let order = caller.order(&world, key, &body).await;
        secrets.add_payment(&order);
        secrets.add_payment(&caller.order(&world, key, &body).await);
        let number = number(&order);
        assert_eq!(caller.status_of(&world, &number).await, "NOTPAY");
        world.pay_silently(&number).await;
        if is_told {
            let notice = Notice::of(&world, &number).await;
            secrets.add_notice(&notice);
            assert_eq!(notice.send(&world).await.status, 204);
        }
        world.advance(Duration::from_secs(3));
        let reply = caller.query_order(&world, &number).await;
        assert_eq!(reply.json["status"], "SUCCESS");
        // Not even to the caller.
        let said = String::from_utf8(reply.body).unwrap();
        assert_eq!(secrets.all().find(|secret| said.contains(secret.as_str())), None);
    }
    let sent = proxy.take();
    assert_eq!(sent.len(), 5);
    secrets.add_sent(&sent);
    secrets.expect_unlogged();
    for secret in &secrets.nowhere {
        assert!(!world.table_shows(secret).await, "{secret}");
    }
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_wechat_pay_fails() {
    let (world, proxy, owner, mut secrets) = world().await;
    let paid = number(&owner.order(&world, "paid", &cart(&[("demo-mug", 1)])).await);
    world.pay_silently(&paid).await;
    for (at, fault) in [
        json!({ "status": 400, "code": "PARAM_ERROR" }),
        json!({ "status": 400, "code": "INVALID_REQUEST" }),
        json!({ "status": 401, "code": "SIGN_ERROR" }),
        json!({ "status": 403, "code": "OUT_TRADE_NO_USED" }),
        json!({ "status": 500, "code": "SYSTEM_ERROR" }),
        json!({ "status": 502 }),
        json!({ "emptyBody": true }),
        json!({ "tamper": "signature" }),
        json!({ "tamper": "serial" }),
        json!({ "tamper": "body" }),
        json!({ "tamper": "signtest" }),
    ]
    .into_iter()
    .enumerate()
    {
        let caller = world.caller().await;
        secrets.add_caller(&world, &caller).await;
        let mut fault = fault;
        fault["times"] = 3.into();
        world.fault(PREPAY, fault.clone()).await;
        secrets.expect_unsaid(&caller.create_order(&world, &at.to_string(), &cart(&[("demo-mug", 1)])).await);
        world.fault(QUERY, fault).await;
        assert_eq!(owner.status_of(&world, &paid).await, "NOTPAY");
        world.advance(Duration::from_secs(3));
    }
    world.fault(QUERY, json!({ "tamper": "amount" })).await;
    assert_eq!(owner.status_of(&world, &paid).await, "NOTPAY");
    secrets.add_sent(&proxy.take());
    secrets.expect_unlogged();
}

#[tokio::test]
async fn nothing_is_logged_or_said_of_what_is_not_taken() {
    let (world, proxy, caller, mut secrets) = world().await;
    let order = caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    secrets.add_payment(&order);
    let number = number(&order);
    world.pay_silently(&number).await;
    for tamper in ["signature", "body", "serial", "timestamp", "nonce", "signtest", "key", "aad", "algorithm", "amount"]
    {
        let notice = Notice::forge(&world, json!({ "outTradeNo": number, "tamper": tamper })).await;
        secrets.add_notice(&notice);
        secrets.expect_unsaid(&notice.send(&world).await);
    }
    let mut payment = world.payment_of(&number).await;
    payment["payer"] = json!({ "openid": secrets.kept.first().unwrap() });
    payment["transaction_id"] = Value::Null;
    let notice = Notice::telling(&world, &payment).await;
    secrets.add_notice(&notice);
    secrets.expect_unsaid(&notice.send(&world).await);
    assert_eq!(world.quarantine().await.len(), 2);
    secrets.add_sent(&proxy.take());
    secrets.expect_unlogged();
}

#[tokio::test]
async fn nothing_is_logged_or_said_when_the_table_fails() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let mut secrets = Secrets::of(&world);
    for error in ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"] {
        for operation in ["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems"] {
            let caller = world.caller().await;
            secrets.add_caller(&world, &caller).await;
            let order = caller.order(&world, "order", &cart(&[("demo-mug", 1)])).await;
            secrets.add_payment(&order);
            let number = number(&order);
            world.pay_silently(&number).await;
            proxy.inject(operation, 1, Kind::error(error));
            secrets.expect_unsaid(&caller.create_order(&world, "other", &cart(&[("demo-mug", 1)])).await);
            if ["GetItem", "UpdateItem", "TransactWriteItems"].contains(&operation) {
                proxy.inject(operation, 1, Kind::error(error));
                secrets.expect_unsaid(&caller.query_order(&world, &number).await);
            }
            if ["GetItem", "TransactWriteItems"].contains(&operation) {
                let notice = Notice::of(&world, &number).await;
                secrets.add_notice(&notice);
                proxy.inject(operation, 1, Kind::error(error));
                secrets.expect_unsaid(&notice.send(&world).await);
            }
        }
    }
    secrets.expect_unlogged();
}

#[tokio::test]
async fn what_a_client_sends_is_not_logged_either() {
    let world = World::start().await;
    let caller = world.caller().await;
    let canary = "canary-of-an-order-7f3a";
    for body in [
        json!({ "items": [{ "sku": canary, "quantity": 1 }] }),
        json!({ "items": [{ "sku": "demo-mug", "quantity": canary }] }),
        json!({ "items": canary }),
        json!({ canary: 1 }),
    ] {
        let reply = caller.create_order(&world, canary, &body).await;
        assert_eq!(reply.status, 400);
        let reply = caller.call(&world, "query-order", body).await;
        assert_eq!(reply.status, 400);
    }
    let reply = caller.query_order(&world, canary).await;
    assert_eq!((reply.status, reply.code()), (404, "not_found"));
    assert_eq!(logs::all().lines().find(|line| line.contains(canary)), None);
}
