//! The hosts of WeChat Pay, and what the next one gets when one does not answer.

use std::time::Duration;

use serde_json::json;
use tests::orders::{PREPAY, cart};
use tests::pay_proxy::{PayProxy, Sent};
use tests::upstream::ClosedPort;
use tests::world::World;

/// How long a host that did not answer is passed over.
const HOST_PENALTY: Duration = Duration::from_secs(60);

/// A world with two hosts, of which only the second has somebody behind it.
async fn world(first: &str) -> (World, PayProxy) {
    let second = PayProxy::start().await;
    let world = World::start_with([("WECHATPAY_API_URLS", &format!("{first},{}", second.url))]).await;
    second.stand_before(&world);
    (world, second)
}

/// What is the same wherever it is sent.
fn signed(sent: &Sent) -> (&str, &str, &[u8]) {
    (&sent.line, sent.header("authorization"), &sent.body)
}

#[tokio::test]
async fn where_nobody_listens_the_next_is_asked() {
    let closed = ClosedPort::default();
    let (world, second) = world(&closed.url).await;
    let caller = world.caller().await;
    let number = caller.buy(&world, "demo-sticker").await;
    assert_eq!(second.take().len(), 1);
    world.pay_silently(&number).await;
    assert_eq!(caller.status_of(&world, &number).await, "SUCCESS");
    let asked: Vec<_> = second.take().into_iter().map(|sent| sent.line).collect();
    assert_eq!(asked, [format!("GET /v3/pay/transactions/out-trade-no/{number}?mchid=1900000001")]);
}

#[tokio::test]
async fn where_nobody_answers_the_next_gets_the_same_signed_request() {
    let first = PayProxy::start().await;
    let (world, second) = world(&first.url).await;
    let caller = world.caller().await;
    caller.buy(&world, "demo-sticker").await;
    let (hung, answered) = (first.take(), second.take());
    assert_eq!((hung.len(), answered.len()), (1, 1));
    assert!(hung[0].header("authorization").starts_with("WECHATPAY2-SHA256-RSA2048 mchid=\"1900000001\","));
    assert_eq!(signed(&hung[0]), signed(&answered[0]));
    // It is passed over for a while.
    caller.buy(&world, "demo-sticker").await;
    assert_eq!((first.take().len(), second.take().len()), (0, 1));
    world.advance(HOST_PENALTY);
    first.stand_before(&world);
    caller.buy(&world, "demo-sticker").await;
    assert_eq!((first.take().len(), second.take().len()), (1, 0));
}

#[tokio::test]
async fn whoever_answers_is_not_passed_over_whatever_the_answer() {
    let first = PayProxy::start().await;
    let (world, second) = world(&first.url).await;
    first.stand_before(&world);
    let caller = world.caller().await;
    for fault in [json!({ "status": 503 }), json!({ "status": 429 }), json!({ "tamper": "signature" })] {
        let mut fault = fault;
        fault["times"] = 2.into();
        world.fault(PREPAY, fault).await;
        caller.buy(&world, "demo-sticker").await;
        assert_eq!((first.take().len(), second.take().len()), (3, 0));
    }
}

#[tokio::test]
async fn where_none_answers_it_is_wechat_unavailable_and_a_repeat_goes_on() {
    let first = PayProxy::start().await;
    let (world, second) = world(&first.url).await;
    second.hang();
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    let event = caller.event(&[("idempotency-key", "key")], &body);
    let reply = world.reply_within("create-order", &event, Duration::from_secs(6)).await;
    assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"));
    let (to_first, to_second) = (first.take(), second.take());
    assert_eq!(signed(&to_first[0]), signed(&to_second[0]));
    first.stand_before(&world);
    second.stand_before(&world);
    world.advance(Duration::from_secs(4));
    let order = caller.order(&world, "key", &body).await;
    let again = first.take().into_iter().chain(second.take()).collect::<Vec<_>>();
    assert_eq!((again.len(), &again[0].body), (1, &to_first[0].body));
    assert_eq!(again[0].json()["out_trade_no"], order["outTradeNo"]);
}
