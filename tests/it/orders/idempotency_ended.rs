//! A repeat for an order that was paid, was closed, or ran out of time.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::{join, join_all};
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::http::Reply;
use tests::notifications::Notice;
use tests::orders::{PREPAY, QUERY, cart, number};
use tests::upstream::ClosedPort;
use tests::world::World;

/// After this, nobody can pay.
const ORDER_TTL: Duration = Duration::from_secs(1800);
/// After this, whoever asks for a prepay_id is taken for dead.
const LEASE: Duration = Duration::from_secs(4);

struct Ordered {
    world: World,
    caller: Caller,
    number: String,
}

impl Ordered {
    async fn new() -> Self {
        let world = World::start().await;
        let caller = world.caller().await;
        let number = number(&caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await);
        Self { world, caller, number }
    }

    async fn repeat(&self) -> Reply {
        self.caller.create_order(&self.world, "key", &cart(&[("demo-mug", 1)])).await
    }

    async fn expect(&self, status: u16, code: &str) {
        let reply = self.repeat().await;
        assert_eq!((reply.status, reply.code()), (status, code), "{:?}", reply.json);
    }

    /// How often WeChat Pay was asked for a prepay_id, and how the order stands.
    async fn counts(&self) -> (usize, usize) {
        (self.world.count_of(PREPAY).await, self.world.count_of(QUERY).await)
    }

    /// The prepay_id was given to the client, and is not in the table.
    async fn lose_prepay_id(&self) {
        let mut row = self.world.row(&format!("ORDER#{}", self.number), "ORDER").await.unwrap();
        row.remove("prepayId").unwrap();
        let table = self.world.table();
        table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
        self.world.advance(LEASE);
    }
}

#[tokio::test]
async fn one_that_is_known_to_be_paid_is_order_paid_and_nobody_is_asked() {
    let order = Ordered::new().await;
    order.world.pay_silently(&order.number).await;
    assert_eq!(order.world.resend(&order.number).await, 204);
    order.expect(409, "order_paid").await;
    order.world.advance(ORDER_TTL);
    order.expect(409, "order_paid").await;
    assert_eq!(order.counts().await, (1, 0));
}

#[tokio::test]
async fn one_whose_notification_was_lost_is_order_paid_when_its_time_is_over() {
    let order = Ordered::new().await;
    order.world.pay_silently(&order.number).await;
    order.world.advance(ORDER_TTL);
    order.expect(409, "order_paid").await;
    assert_eq!(order.counts().await, (1, 1));
    assert_eq!(order.world.order_row(&order.number).await.story(), "NOTPAY create, SUCCESS query");
    assert_eq!(order.world.stock("demo-mug").await, Some(199));
}

#[tokio::test]
async fn one_whose_notification_is_late_is_not_offered_again() {
    let order = Ordered::new().await;
    order.world.pay_silently(&order.number).await;
    order.world.advance(Duration::from_secs(3));
    order.expect(409, "order_paid").await;
    assert_eq!(order.world.order_row(&order.number).await.story(), "NOTPAY create, SUCCESS query");
    // A double click asks nobody.
    let clicked = Ordered::new().await;
    assert_eq!((clicked.repeat().await.status, clicked.counts().await), (200, (1, 0)));
    // Without an answer, the payment is ready all the same.
    clicked.world.advance(Duration::from_secs(3));
    clicked.world.fault(QUERY, json!({ "status": 503, "times": 9 })).await;
    assert_eq!(clicked.repeat().await.status, 200);
}

#[tokio::test]
async fn one_that_ran_out_of_time_is_order_closed_and_closes_nothing() {
    let order = Ordered::new().await;
    order.world.advance(ORDER_TTL - Duration::from_secs(1));
    assert_eq!(order.repeat().await.status, 200);
    assert_eq!(order.counts().await, (1, 1), "it may have been paid meanwhile");
    for asked in 2..4 {
        order.world.advance(Duration::from_secs(3));
        order.expect(409, "order_closed").await;
        assert_eq!(order.counts().await, (1, asked));
    }
    assert_eq!(order.world.order_row(&order.number).await.story(), "NOTPAY create");
    assert_eq!(order.world.stock("demo-mug").await, Some(199));
    // Somebody who has begun to pay in time may be told of later.
    order.world.advance(Duration::from_secs(3));
    assert_eq!(order.caller.status_of(&order.world, &order.number).await, "NOTPAY");
}

#[tokio::test]
async fn one_that_was_closed_is_order_closed() {
    let order = Ordered::new().await;
    order.world.close_at_wechat(&order.number).await;
    assert_eq!(order.caller.status_of(&order.world, &order.number).await, "CLOSED");
    order.expect(409, "order_closed").await;
    order.world.advance(ORDER_TTL);
    order.expect(409, "order_closed").await;
    assert_eq!(order.counts().await, (1, 1));
}

#[tokio::test]
async fn one_that_was_closed_at_wechat_pay_alone_is_closed_here_when_its_time_is_over() {
    let order = Ordered::new().await;
    order.world.close_at_wechat(&order.number).await;
    order.world.advance(ORDER_TTL);
    order.expect(409, "order_closed").await;
    assert_eq!(order.world.order_row(&order.number).await.story(), "NOTPAY create, CLOSED query");
    assert_eq!(order.world.stock("demo-mug").await, Some(200));
}

#[tokio::test]
async fn without_wechat_pay_nobody_says_how_it_ended() {
    let order = Ordered::new().await;
    order.world.pay_silently(&order.number).await;
    order.world.advance(ORDER_TTL);
    for fault in [
        json!({ "status": 500 }),
        json!({ "status": 503 }),
        json!({ "drop": "before" }),
        json!({ "tamper": "signature" }),
    ] {
        let mut fault = fault;
        fault["times"] = 9.into();
        order.world.fault(QUERY, fault).await;
        let reply = order.repeat().await;
        assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{:?}", reply.json);
        assert_eq!(reply.header("retry-after"), "2");
        order.world.advance(Duration::from_secs(3));
    }
    order.world.sandbox("DELETE", "/faults", Value::Null).await;
    order.expect(409, "order_paid").await;
}

#[tokio::test]
async fn with_nobody_at_wechat_pays_address_it_is_unavailable() {
    let order = Ordered::new().await;
    let closed = ClosedPort::default();
    let names = ["AWS_ENDPOINT_URL_DYNAMODB", "TABLE_NAME", "SEAL_KEY", "WECHATPAY"];
    let [dynamodb, table, seal_key, pay] = names.map(|name| (name, order.world.machine.env().get(name).unwrap()));
    let other = World::start_with([dynamodb, table, seal_key, pay, ("WECHATPAY_API_URLS", &closed.url)]).await;
    other.advance(ORDER_TTL + Duration::from_secs(60));
    let reply = order.caller.create_order(&other, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"));
}

#[tokio::test]
async fn one_whose_number_wechat_pay_does_not_know_is_order_closed_at_its_end() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.fault(PREPAY, json!({ "status": 503, "times": 3 })).await;
    assert_eq!(caller.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await.code(), "wechat_unavailable");
    world.advance(ORDER_TTL);
    let reply = caller.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!((reply.status, reply.code()), (409, "order_closed"));
    assert_eq!((world.count_of(PREPAY).await, world.count_of(QUERY).await), (3, 2), "it says so twice");
}

#[tokio::test]
async fn a_prepay_that_finds_the_order_paid_or_closed_asks_before_it_says_so() {
    for (is_paid, code, story) in
        [(true, "order_paid", "NOTPAY create, SUCCESS query"), (false, "order_closed", "NOTPAY create, CLOSED query")]
    {
        let order = Ordered::new().await;
        order.lose_prepay_id().await;
        match is_paid {
            true => order.world.pay_silently(&order.number).await,
            false => order.world.close_at_wechat(&order.number).await,
        }
        order.expect(409, code).await;
        assert_eq!(order.counts().await, (2, 1));
        assert_eq!(order.world.order_row(&order.number).await.story(), story);
    }
}

#[tokio::test]
async fn a_prepay_id_that_was_not_kept_is_asked_for_with_the_same_bytes() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let caller = world.caller().await;
    let first = caller.order(&world, "key", &cart(&[("demo-mug", 1)])).await;
    let order = Ordered { number: number(&first), world, caller };
    order.lose_prepay_id().await;
    // Neither price nor name nor time makes another body.
    order.world.put_product("demo-mug", 1, Some(50)).await;
    let repeat = order.repeat().await;
    assert_eq!((repeat.status, &repeat.json["outTradeNo"]), (200, &first["outTradeNo"]));
    assert_eq!(repeat.json["payment"]["package"], first["payment"]["package"]);
    let bodies: Vec<_> = proxy.take().into_iter().map(|sent| sent.body).collect();
    assert!(bodies.len() == 2 && bodies[0] == bodies[1]);
    assert_eq!(order.world.stock("demo-mug").await, Some(50));
}

#[tokio::test]
async fn repeats_at_once_after_its_time_are_order_closed_by_one_question() {
    let order = Ordered::new().await;
    order.world.advance(ORDER_TTL);
    let event = order.caller.event(&[("idempotency-key", "key")], &cart(&[("demo-mug", 1)]));
    let repeat = || order.world.reply_within("create-order", &event, Duration::from_secs(1));
    let replies = join_all((0..5).map(|_| repeat())).await;
    assert!(replies.iter().all(|reply| reply.code() == "order_closed"), "{replies:?}");
    assert_eq!(order.counts().await, (1, 1));
}

#[tokio::test]
async fn one_that_is_told_to_be_paid_while_wechat_pay_still_says_that_it_is_not_is_order_paid() {
    let order = Ordered::new().await;
    let payment = order.world.payment_of(&order.number).await;
    order.world.advance(ORDER_TTL);
    order.world.fault(QUERY, json!({ "answerLatencyMs": 1000 })).await;
    let notification = async {
        while order.world.count_of(QUERY).await == 0 {
            tokio::task::yield_now().await;
        }
        Notice::telling(&order.world, &payment).await.send(&order.world).await
    };
    let (reply, told) = join(order.repeat(), notification).await;
    assert_eq!((told.status, reply.status, reply.code()), (204, 409, "order_paid"));
}

#[tokio::test]
async fn an_order_of_a_former_merchant_is_misconfigured_and_can_be_read_and_nobody_is_asked() {
    let order = Ordered::new().await;
    let mut row = order.world.row(&format!("ORDER#{}", order.number), "ORDER").await.unwrap();
    row.insert("mchId".to_owned(), AttributeValue::S("1900000009".to_owned()));
    let table = order.world.table();
    table.client().put_item().table_name(table.name()).set_item(Some(row)).send().await.unwrap();
    order.expect(500, "misconfigured").await;
    assert_eq!(order.caller.status_of(&order.world, &order.number).await, "NOTPAY");
    assert_eq!(order.counts().await, (1, 0));
}
