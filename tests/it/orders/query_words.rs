//! What WeChat Pay may say of an order in words that it has signed, however odd.

use std::time::Duration;

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::notifications::Notice;
use tests::orders::{cart, number};
use tests::pay_proxy::PayProxy;
use tests::world::World;

struct Asked {
    world: World,
    proxy: PayProxy,
    caller: Caller,
}

impl Asked {
    async fn new() -> Self {
        let (world, proxy) = World::start_with_pay_proxy().await;
        let caller = world.caller().await;
        Self { world, proxy, caller }
    }

    async fn order(&self, key: &str) -> String {
        self.proxy.stand_before(&self.world);
        number(&self.caller.order(&self.world, key, &cart(&[("demo-mug", 1)])).await)
    }

    /// How an order stands once WeChat Pay has answered with that text.
    async fn after(&self, number: &str, words: &str) -> String {
        self.world.advance(Duration::from_secs(3));
        self.proxy.answer(Notice::sign(&self.world, words));
        self.caller.status_of(&self.world, number).await
    }
}

#[tokio::test]
async fn every_state_of_wechat_pays_is_taken_for_what_it_is() {
    for (state, ours) in [
        ("SUCCESS", "SUCCESS"),
        ("REFUND", "REFUND"),
        ("CLOSED", "CLOSED"),
        ("NOTPAY", "NOTPAY"),
        ("REVOKED", "NOTPAY"),
        ("USERPAYING", "NOTPAY"),
        ("PAYERROR", "NOTPAY"),
        ("ACCEPT", "NOTPAY"),
        ("success", "NOTPAY"),
        ("", "NOTPAY"),
    ] {
        let asked = Asked::new().await;
        let number = asked.order("key").await;
        let mut words = asked.world.payment_of(&number).await;
        words["trade_state"] = state.into();
        assert_eq!(asked.after(&number, &words.to_string()).await, ours, "{state}");
        assert_eq!(asked.world.quarantine().await, [], "{state}");
    }
}

#[tokio::test]
async fn words_that_do_not_say_how_an_order_stands_are_no_answer() {
    let asked = Asked::new().await;
    let number = asked.order("key").await;
    let good = asked.world.payment_of(&number).await;
    let without = |name: &str| {
        let mut words = good.clone();
        words.as_object_mut().unwrap().remove(name);
        words.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut words = good.clone();
        words[name] = value;
        words.to_string()
    };
    for words in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"SUCCESS\"".to_owned(),
        format!("[{good}]"),
        format!("{good}{good}"),
        "<xml><return_code>SUCCESS</return_code></xml>".to_owned(),
        without("trade_state"),
        without("mchid"),
        without("appid"),
        without("out_trade_no"),
        with("trade_state", Value::Null),
        with("trade_state", json!(1)),
        with("out_trade_no", json!([number])),
    ] {
        assert_eq!(asked.after(&number, &words).await, "NOTPAY", "{words}");
    }
    assert_eq!(asked.world.quarantine().await, []);
    assert_eq!(asked.after(&number, &good.to_string()).await, "SUCCESS");
}

#[tokio::test]
async fn a_payment_without_its_amount_or_its_number_is_none() {
    for (name, value, reason) in [
        ("amount", Value::Null, "amount"),
        ("amount", json!({}), "amount"),
        ("amount", json!([3900, "CNY"]), "amount"),
        ("amount", json!({ "total": 3900 }), "amount"),
        ("amount", json!({ "currency": "CNY" }), "amount"),
        ("amount", json!({ "total": 3900.0, "currency": "CNY" }), "amount"),
        ("amount", json!({ "total": 3900.5, "currency": "CNY" }), "amount"),
        ("amount", json!({ "total": "3900", "currency": "CNY" }), "amount"),
        ("amount", json!({ "total": -3900, "currency": "CNY" }), "amount"),
        ("amount", json!({ "total": 0, "currency": "CNY" }), "amount.total"),
        ("amount", json!({ "total": 3899, "payer_total": 3900, "currency": "CNY" }), "amount.total"),
        ("amount", json!({ "total": 3900, "currency": "cny" }), "amount.currency"),
        ("amount", json!({ "total": 3900, "currency": "" }), "amount.currency"),
        ("transaction_id", Value::Null, "transaction_id"),
        ("transaction_id", json!(""), "transaction_id"),
    ] {
        let asked = Asked::new().await;
        let number = asked.order("key").await;
        let mut words = asked.world.payment_of(&number).await;
        words[name] = value.clone();
        assert_eq!(asked.after(&number, &words.to_string()).await, "NOTPAY", "{name} {value}");
        let kept = ("QUERY".to_owned(), reason.to_owned(), Some(number));
        assert_eq!(asked.world.quarantine().await, [kept], "{name} {value}");
    }
}

#[tokio::test]
async fn an_unpaid_order_needs_neither() {
    let asked = Asked::new().await;
    let number = asked.order("key").await;
    for state in ["NOTPAY", "CLOSED"] {
        let words = json!({
            "appid": "wx0123456789abcdef", "mchid": "1900000001", "out_trade_no": number, "trade_state": state,
        });
        assert_eq!(asked.after(&number, &words.to_string()).await, state);
    }
    assert_eq!((asked.world.quarantine().await.len(), asked.world.stock("demo-mug").await), (0, Some(200)));
}

#[tokio::test]
async fn an_unpaid_order_names_no_currency_and_its_total_is_compared_all_the_same() {
    let asked = Asked::new().await;
    let number = asked.order("key").await;
    let unpaid = |total: u64| {
        json!({
            "appid": "wx0123456789abcdef", "mchid": "1900000001", "out_trade_no": number, "trade_state": "NOTPAY",
            "amount": { "total": total, "payer_currency": "CNY" },
        })
    };
    assert_eq!(asked.after(&number, &unpaid(3900).to_string()).await, "NOTPAY");
    assert_eq!(asked.world.quarantine().await, []);
    assert_eq!(asked.after(&number, &unpaid(3901).to_string()).await, "NOTPAY");
    let kept = ("QUERY".to_owned(), "amount.total".to_owned(), Some(number));
    assert_eq!(asked.world.quarantine().await, [kept]);
}

#[tokio::test]
async fn the_time_of_a_payment_may_be_in_any_form_of_rfc_3339() {
    for time in [
        "2026-11-29T12:00:00+08:00",
        "2026-11-29T04:00:00Z",
        "2026-11-29T04:00:00+00:00",
        "2026-11-29T12:00:00.123+08:00",
        "2026-11-29T04:00:00.123456789Z",
    ] {
        let asked = Asked::new().await;
        let number = asked.order("key").await;
        let mut words = asked.world.payment_of(&number).await;
        words["success_time"] = time.into();
        assert_eq!(asked.after(&number, &words.to_string()).await, "SUCCESS", "{time}");
        let reply = asked.caller.query_order(&asked.world, &number).await;
        assert_eq!(reply.json["paidAt"], "2026-11-29T12:00:00+08:00", "{time}");
    }
}

#[tokio::test]
async fn a_payment_without_a_readable_time_is_a_payment_all_the_same() {
    for time in [Value::Null, json!(""), json!("yesterday"), json!("2026-13-41T99:99:99+08:00")] {
        let asked = Asked::new().await;
        let number = asked.order("key").await;
        let mut words = asked.world.payment_of(&number).await;
        words["success_time"] = time.clone();
        assert_eq!(asked.after(&number, &words.to_string()).await, "SUCCESS", "{time}");
        assert!(asked.caller.query_order(&asked.world, &number).await.json["paidAt"].is_string());
    }
}
