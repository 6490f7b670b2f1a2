//! Lost and odd answers: there is one refund, and its amount is held while nobody knows of it.

use serde_json::{Value, json};
use tests::callers::Caller;
use tests::logs;
use tests::orders::show;
use tests::refunds::{REFUND, REFUND_QUERY};
use tests::world::World;

async fn start() -> (World, Caller) {
    let (world, buyer) = World::start_untold().await;
    world.refunds_become(json!({ "outcome": "PROCESSING" })).await;
    (world, buyer)
}

async fn assert_one(world: &World, order: &str, case: &str) {
    world.sandbox("DELETE", "/faults", Value::Null).await;
    assert_eq!(world.refund(order, 900, "return").await, "PROCESSING", "{case}");
    let refunds = world.refunds_at_wechat(order).await;
    assert_eq!((refunds.len(), refunds[0]["refund"].as_u64()), (1, Some(900)), "{case}");
    let row = world.refund_row(order).await;
    assert_eq!((row.state.as_str(), refunds[0]["outRefundNo"].as_str()), ("PROCESSING", Some(&*row.number)), "{case}");
    assert_eq!(world.amounts(order).await, (900, 0), "{case}");
}

#[tokio::test]
async fn an_answer_that_is_lost_or_not_verified_is_asked_for_and_there_is_one_refund() {
    let (world, buyer) = start().await;
    for fault in [
        json!({ "drop": "after" }),
        json!({ "emptyBody": true }),
        json!({ "tamper": "signature" }),
        json!({ "tamper": "serial" }),
        json!({ "tamper": "body" }),
        json!({ "tamper": "nonce" }),
        json!({ "tamper": "missing" }),
        json!({ "tamper": "signtest" }),
        json!({ "tamper": "timestamp" }),
        json!({ "tamper": "futureTimestamp" }),
        // Signed, and about another refund: no answer to this question.
        json!({ "tamper": "outRefundNo" }),
    ] {
        let (order, case) = (world.paid_order(&buyer).await, fault.to_string());
        world.fault(REFUND, fault).await;
        let before = (world.count_of(REFUND).await, world.count_of(REFUND_QUERY).await);
        assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING", "{case}");
        let asked = (world.count_of(REFUND).await - before.0, world.count_of(REFUND_QUERY).await - before.1);
        assert_eq!(asked, (1, 1), "{case}");
        show(&format!("refund's answer, {case}"), "queried, one refund");
        assert_one(&world, &order, &case).await;
    }
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again_with_the_same_bytes() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let buyer = world.untold().await;
    let order = world.paid_order(&buyer).await;
    proxy.take();
    world.fault(REFUND, json!({ "drop": "before", "times": 2 })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    let sent = proxy.take();
    let lines: Vec<_> = sent.iter().map(|sent| sent.line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["POST", "GET", "POST", "GET", "POST"]);
    assert!(sent[0].body == sent[2].body && sent[2].body == sent[4].body);
    assert_eq!(world.refunds_at_wechat(&order).await.len(), 1);
}

#[tokio::test]
async fn a_request_that_arrives_late_is_the_refund_that_was_asked_for_again() {
    let (world, proxy) = World::start_with_pay_proxy().await;
    let buyer = world.untold().await;
    let order = world.paid_order(&buyer).await;
    proxy.take();
    proxy.hold("POST /v3/refund");
    let late = async {
        proxy.holding().await;
        // It was taken for lost, and asked for again: both come now.
        proxy.holding().await;
        proxy.release();
    };
    let (outcome, ()) = tokio::join!(world.refund(&order, 900, "return"), late);
    assert!(["PROCESSING", "SUCCESS"].contains(&outcome.as_str()), "{outcome}");
    let sent = proxy.take();
    let lines: Vec<_> = sent.iter().map(|sent| sent.line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["POST", "GET", "POST"]);
    assert_eq!((world.refunds_at_wechat(&order).await.len(), world.amounts(&order).await.0), (1, 900));
}

#[tokio::test]
async fn where_no_question_is_answered_the_amount_is_held() {
    let (world, buyer) = start().await;
    for (first, query) in [
        (json!({ "drop": "after" }), json!({ "drop": "before", "times": 9 })),
        (json!({ "drop": "after" }), json!({ "tamper": "signature", "times": 9 })),
        (json!({ "tamper": "signature" }), json!({ "emptyBody": true, "times": 9 })),
        (json!({ "status": 500 }), json!({ "status": 500, "times": 9 })),
        (json!({ "drop": "before" }), json!({ "status": 502, "times": 9 })),
        (json!({ "drop": "after" }), json!({ "tamper": "outRefundNo", "times": 9 })),
        (json!({ "drop": "after" }), json!({ "tamper": "unknownState", "times": 9 })),
    ] {
        let (order, case) = (world.paid_order(&buyer).await, format!("{first} {query}"));
        world.fault(REFUND, first).await;
        world.fault_too(REFUND_QUERY, query.clone()).await;
        let before = world.count_of(REFUND).await;
        assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable", "{case}");
        assert_eq!(world.count_of(REFUND).await - before, 1, "{case}: nobody asks anew before there is an answer");
        assert_eq!(world.refund_row(&order).await.state, "RESERVED", "{case}");
        assert_eq!(world.amounts(&order).await, (900, 0), "{case}");
        // A repeat asks first, too.
        world.fault(REFUND_QUERY, query).await;
        let before = world.count_of(REFUND).await;
        assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable", "{case}");
        assert_eq!(world.count_of(REFUND).await, before, "{case}");
        assert_one(&world, &order, &case).await;
    }
}

#[tokio::test]
async fn what_is_signed_and_does_not_match_goes_to_quarantine_and_is_held() {
    let (world, buyer) = start().await;
    let cases = [
        ("amount", "amount.total"),
        ("refund", "amount.refund"),
        ("currency", "amount.currency"),
        ("outTradeNo", "out_trade_no"),
    ];
    for (tamper, reason) in cases {
        let order = world.paid_order(&buyer).await;
        world.fault(REFUND, json!({ "tamper": tamper })).await;
        assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable", "{tamper}");
        let row = world.refund_row(&order).await;
        assert_eq!((row.state.as_str(), world.amounts(&order).await), ("RESERVED", (900, 0)), "{tamper}");
        assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify", "{tamper}");
        let kept = world.rows_at("QUARANTINE", "EVENT#").await;
        let text = |name: &str| kept.iter().filter_map(|kept| kept.get(name)?.as_s().ok().cloned()).collect::<Vec<_>>();
        assert!(text("outRefundNo").contains(&row.number), "{tamper}");
        assert!(text("reason").contains(&reason.to_owned()), "{tamper}");
        assert!(logs::count_of("PaymentQuarantined", &row.number) >= 1, "{tamper}");
        show(&format!("refund's answer, signed, another {tamper}"), "quarantine, held");
        assert_one(&world, &order, tamper).await;
    }
    assert_eq!(world.quarantine().await.len(), cases.len());
}

#[tokio::test]
async fn a_state_to_come_is_no_answer_and_what_is_new_breaks_nothing() {
    let (world, buyer) = start().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "tamper": "unknownState" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable");
    assert_eq!(world.refund_row(&order).await.state, "RESERVED");
    assert_one(&world, &order, "unknownState").await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "tamper": "extraFields" })).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!(world.quarantine().await, []);
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_one_refund_however_it_is_repeated() {
    let (world, buyer) = start().await;
    let order = world.paid_order(&buyer).await;
    world.fault(REFUND, json!({ "drop": "after", "times": 99 })).await;
    world.fault_too(REFUND_QUERY, json!({ "drop": "before", "times": 99 })).await;
    for _ in 0..3 {
        assert_eq!(world.refund(&order, 900, "return").await, "wechat_unavailable");
    }
    assert_eq!((world.amounts(&order).await, world.refunds_at_wechat(&order).await.len()), ((900, 0), 1));
    // Nor does a sweep know better; and then it does.
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": 1 }));
    world.sandbox("DELETE", "/faults", Value::Null).await;
    world.settle_silently(&world.refund_row(&order).await.number, "SUCCESS").await;
    assert_eq!(world.sweep_all().await, json!({ "checked": 1, "healed": 1, "closed": 0, "failures": 0 }));
    assert_eq!(world.refund(&order, 900, "return").await, "SUCCESS");
    let refunds = world.refunds_at_wechat(&order).await;
    assert_eq!((refunds.len(), &refunds[0]["timesRequested"]), (1, &json!(1)));
    assert_eq!(world.amounts(&order).await, (900, 900));
    assert_eq!(world.order_row(&order).await.story(), "NOTPAY create, SUCCESS notify, REFUND sweep");
}
