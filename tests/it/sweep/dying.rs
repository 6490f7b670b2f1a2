//! Sweeps and refunds that die between any two of their steps, and others that go on from there.

use std::time::Duration;

use local::functions::InvocationResult;
use serde_json::{Value, json};
use tests::callers::Caller;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::logs;
use tests::refunds::{CLOSE, REFUND, REFUND_QUERY, refund_event};
use tests::world::World;
use tokio::task::JoinHandle;

const STOCK: u64 = 10;

/// Behind a DynamoDB that can go wrong.
struct Scene {
    world: World,
    proxy: DynamoDbProxy,
    buyer: Caller,
    _behind: World,
}

impl Scene {
    async fn start() -> Self {
        let (world, proxy, behind) = World::start_with_proxy().await;
        let buyer = world.untold().await;
        world.put_product("mug", 3900, Some(STOCK)).await;
        Self { world, proxy, buyer, _behind: behind }
    }

    async fn spawn(&self, function: &str, input: &Value) -> JoinHandle<InvocationResult> {
        let (instance, now, event) = (self.world.instance(function).await, self.world.now(), input.to_string());
        tokio::spawn(async move { instance.invoke(event.into_bytes(), now).await })
    }

    /// Lets an invocation die before or after a call of DynamoDB, so many of the same kind after the first.
    async fn kill(&self, function: &str, input: &Value, (operation, after, kind): (&'static str, u32, Kind)) {
        self.proxy.inject_after(operation, after, 1, kind);
        let dying = self.spawn(function, input).await;
        self.proxy.hanging().await;
        assert!(!dying.is_finished());
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        self.proxy.heal();
    }

    async fn assert_adds_up(&self, when: &str) {
        self.world.assert_adds_up(&[("mug", STOCK)], when).await;
    }
}

#[tokio::test]
async fn a_sweep_that_dies_anywhere_is_made_up_for_by_a_later_one() {
    for is_paid in [true, false] {
        for (operation, after) in [("Query", 0), ("UpdateItem", 0), ("TransactWriteItems", 0)] {
            for kind in [Kind::Hang, Kind::HangAfter] {
                let (scene, case) = (Scene::start().await, format!("{is_paid} {operation} {kind:?}"));
                let order = scene.buyer.buy(&scene.world, "mug").await;
                if is_paid {
                    scene.world.pay_silently(&order).await;
                }
                scene.world.advance(Duration::from_secs(1800));
                scene.kill("order-sweeper", &json!({}), (operation, after, kind)).await;
                scene.assert_adds_up(&case).await;
                scene.world.advance(Duration::from_secs(60));
                assert_eq!(scene.world.sweep_due().await["failures"], 0, "{case}");
                let (state, stock) = if is_paid { ("SUCCESS", STOCK - 1) } else { ("CLOSED", STOCK) };
                assert_eq!(
                    scene.world.order_row(&order).await.story(),
                    format!("NOTPAY create, {state} sweep"),
                    "{case}"
                );
                assert_eq!(scene.world.stock("mug").await, Some(stock), "{case}");
                assert_eq!(scene.world.order_at_wechat(&order).await["state"], state, "{case}");
                assert!(scene.world.count_of(CLOSE).await <= 1, "{case}");
                scene.assert_adds_up(&case).await;
            }
        }
    }
}

#[tokio::test]
async fn a_sweep_of_a_refund_that_dies_anywhere_is_made_up_for_by_a_later_one() {
    for (status, amounts) in [("SUCCESS", (900, 900)), ("CLOSED", (0, 0))] {
        for (operation, after) in [("Query", 0), ("UpdateItem", 0), ("GetItem", 0), ("TransactWriteItems", 0)] {
            for kind in [Kind::Hang, Kind::HangAfter] {
                let (scene, case) = (Scene::start().await, format!("{status} {operation} {kind:?}"));
                scene.world.refunds_become(json!({ "outcome": status })).await;
                let order = scene.buyer.buy(&scene.world, "mug").await;
                scene.world.pay_silently(&order).await;
                assert_eq!(scene.world.refund(&order, 900, "return").await, "PROCESSING", "{case}");
                scene.world.advance(Duration::from_secs(60));
                scene.kill("order-sweeper", &json!({}), (operation, after, kind)).await;
                scene.assert_adds_up(&case).await;
                scene.world.advance(Duration::from_secs(60));
                assert_eq!(scene.world.sweep_due().await["failures"], 0, "{case}");
                let row = scene.world.refund_row(&order).await;
                assert_eq!((row.state.as_str(), scene.world.amounts(&order).await), (status, amounts), "{case}");
                scene.assert_adds_up(&case).await;
            }
        }
    }
}

#[tokio::test]
async fn a_refund_that_dies_between_its_writes_is_one_refund_when_it_is_repeated() {
    // Reserved, the order moved on, the refund moved on.
    for after in 0..3 {
        for kind in [Kind::Hang, Kind::HangAfter] {
            let (scene, case) = (Scene::start().await, format!("{after} {kind:?}"));
            let order = scene.buyer.buy(&scene.world, "mug").await;
            scene.world.pay_silently(&order).await;
            assert_eq!(scene.world.resend(&order).await, 204);
            let input = refund_event(&order, 900, "return");
            scene.kill("refund-order", &input, ("TransactWriteItems", after, kind)).await;
            scene.assert_adds_up(&case).await;
            assert!(["PROCESSING", "SUCCESS"].contains(&&*scene.world.refund(&order, 900, "return").await), "{case}");
            scene.world.sweep_all().await;
            let refunds = scene.world.refunds_at_wechat(&order).await;
            assert_eq!((refunds.len(), refunds[0]["timesRequested"].as_u64()), (1, Some(1)), "{case}");
            assert_eq!(scene.world.amounts(&order).await, (900, 900), "{case}");
            scene.assert_adds_up(&case).await;
        }
    }
}

#[tokio::test]
async fn a_refund_that_was_reserved_and_never_asked_for_is_held_until_somebody_repeats_it() {
    let scene = Scene::start().await;
    let (world, order) = (&scene.world, scene.buyer.buy(&scene.world, "mug").await);
    world.pay_silently(&order).await;
    assert_eq!(world.resend(&order).await, 204);
    let input = refund_event(&order, 900, "return");
    scene.kill("refund-order", &input, ("TransactWriteItems", 0, Kind::HangAfter)).await;
    let number = world.refund_row(&order).await.number;
    for (passed, failures) in [(60, 0), (3539, 0), (1, 1), (7200, 1)] {
        world.advance(Duration::from_secs(passed));
        let swept = world.sweep_all().await;
        assert_eq!(swept, json!({ "checked": 1, "healed": 0, "closed": 0, "failures": failures }), "{passed}");
    }
    assert_eq!(logs::count_of("Stuck", &number), 2);
    assert_eq!((world.count_of(REFUND).await, world.amounts(&order).await), (0, (900, 0)));
    assert_eq!(world.refund(&order, 3001, "more").await, "refund_exceeds_paid");
    scene.assert_adds_up("held").await;
    // A repeat asks whether there is one, and then for it.
    let asked = world.count_of(REFUND_QUERY).await;
    assert_eq!(world.refund(&order, 900, "return").await, "PROCESSING");
    assert_eq!((world.count_of(REFUND_QUERY).await - asked, world.count_of(REFUND).await), (1, 1));
    assert_eq!(world.refund_row(&order).await.number, number);
    scene.assert_adds_up("repeated").await;
}

#[tokio::test]
async fn a_refund_that_dies_while_it_releases_is_released_by_its_repeat() {
    for kind in [Kind::Hang, Kind::HangAfter] {
        let scene = Scene::start().await;
        let (world, order) = (&scene.world, scene.buyer.buy(&scene.world, "mug").await);
        world.pay_silently(&order).await;
        assert_eq!(world.resend(&order).await, 204);
        world.fault(REFUND, json!({ "status": 403, "code": "NO_AUTH", "times": 9 })).await;
        let input = refund_event(&order, 900, "return");
        scene.kill("refund-order", &input, ("TransactWriteItems", 1, kind.clone())).await;
        scene.assert_adds_up("killed").await;
        assert_eq!(world.refund(&order, 900, "return").await, "misconfigured", "{kind:?}");
        assert_eq!((world.refunds_of(&order).await, world.amounts(&order).await), (vec![], (0, 0)), "{kind:?}");
        scene.assert_adds_up("released").await;
    }
}
