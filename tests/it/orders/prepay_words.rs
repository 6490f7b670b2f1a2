//! What WeChat Pay may answer to an order in words that it has signed, however odd.

use std::time::Duration;

use serde_json::json;
use tests::notifications::Notice;
use tests::orders::{cart, number};
use tests::world::World;

const PREPAY_ID: &str = "wx201410272009395522657a690389285100";

#[tokio::test]
async fn words_without_a_prepay_id_are_no_answer_and_a_repeat_goes_on() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    for (at, words) in [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!("[\"{PREPAY_ID}\"]"),
        format!("\"{PREPAY_ID}\""),
        "<xml></xml>".to_owned(),
        json!({ "prepay_id": null }).to_string(),
        json!({ "prepay_id": "" }).to_string(),
        json!({ "prepay_id": 7 }).to_string(),
        json!({ "prepay_id": [PREPAY_ID] }).to_string(),
        json!({ "prepay_id": "x".repeat(65) }).to_string(),
        json!({ "prepay_id": format!("{PREPAY_ID}\n") }).to_string(),
        json!({ "prepay_id": "预支付" }).to_string(),
        format!("{{\"prepay_id\":\"{PREPAY_ID}\",\"prepay_id\":\"{PREPAY_ID}\"}}"),
    ]
    .into_iter()
    .enumerate()
    {
        let caller = if at % 5 == 4 { world.caller().await } else { caller.clone() };
        let key = at.to_string();
        proxy.answer(Notice::sign(&world, &words));
        let reply = caller.create_order(&world, &key, &body).await;
        assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{words}");
        let sent = proxy.take();
        assert_eq!(sent.len(), 3, "{words}");
        proxy.answer_no_more();
        world.advance(Duration::from_secs(4));
        let order = caller.order(&world, &key, &body).await;
        assert_eq!(proxy.take()[0].body, sent[0].body, "{words}");
        assert_eq!(sent[0].json()["out_trade_no"], order["outTradeNo"], "{words}");
        // Room for the next.
        world.pay_silently(&number(&order)).await;
        assert_eq!(world.resend(&number(&order)).await, 204);
    }
}

#[tokio::test]
async fn what_is_new_in_an_answer_breaks_nothing() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let caller = world.caller().await;
    let words = json!({ "prepay_id": PREPAY_ID, "new_text": "new", "new_object": { "new_number": 1 }, "none": null });
    proxy.answer(Notice::sign(&world, &words.to_string()));
    let order = caller.order(&world, "key", &cart(&[("demo-sticker", 1)])).await;
    assert_eq!(order["payment"]["package"], format!("prepay_id={PREPAY_ID}"));
}
