//! Refreshers of one token that are killed, overtaken, or not answered.

use serde_json::{Value, json};
use shared::store::tokens::protocol::LEASE;
use shared::wechat::TokenValue;
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::readers::Reader;
use tests::world::World;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const MINI_PROGRAM: &str = "wx0123456789abcdef";

async fn refresh(world: &World) -> Value {
    let reply = world.invoke("token-refresher", &by_reader()).await;
    assert_eq!(reply.header("x-amz-function-error"), "", "{:?}", reply.json);
    reply.json
}

fn by_reader() -> Value {
    json!({ "appId": MINI_PROGRAM, "kind": "access_token", "failed": "none" })
}

async fn fault(world: &World, fault: Value) {
    world.sandbox("POST", "/faults", fault).await;
}

/// The value that WeChat takes now.
async fn current(world: &World) -> String {
    let tokens = world.sandbox("GET", "/tokens", Value::Null).await;
    tokens[MINI_PROGRAM]["access_token"]["value"].as_str().unwrap().to_owned()
}

/// The value that readers get.
async fn stored(world: &World) -> String {
    let reader = Reader::start(world, world.machine.gateway_url()).await;
    reader.token().await.unwrap().to_string()
}

fn hash(value: &str) -> String {
    TokenValue::new(value).hash().to_string()
}

#[tokio::test]
async fn lost_answers_of_the_table_change_nothing() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    // The lease is taken, and the value written, by calls that seem to fail.
    proxy.inject("UpdateItem", 1, Kind::LoseAnswer);
    proxy.inject_after("UpdateItem", 1, 1, Kind::LoseAnswer);
    let reply = refresh(&world).await;
    assert_eq!(reply["refreshed"].as_array().unwrap().len(), 1, "{reply}");
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
    assert_eq!(stored(&world).await, hash(&current(&world).await));
}

/// Where a holder of the lease dies.
#[derive(Debug)]
enum Death {
    BeforeTheLease,
    WithTheLease,
    BeforeWechatHasHeard,
    BeforeWechatHasAnswered,
    WithTheValue,
    AfterWriting,
}

#[tokio::test]
async fn a_holder_that_dies_anywhere_delays_others_by_one_lease_at_most() {
    for death in [
        Death::BeforeTheLease,
        Death::WithTheLease,
        Death::BeforeWechatHasHeard,
        Death::BeforeWechatHasAnswered,
        Death::WithTheValue,
        Death::AfterWriting,
    ] {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        kill(&world, &proxy, &death).await;
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(LEASE);
        let calls = world.count_of(STABLE_TOKEN).await;
        let reply = refresh(&world).await;
        assert_eq!(reply["refreshed"].as_array().unwrap().len(), 1, "{death:?}: {reply}");
        let again = u64::from(!matches!(death, Death::AfterWriting));
        assert_eq!(world.count_of(STABLE_TOKEN).await - calls, again, "{death:?}");
        assert_eq!(stored(&world).await, hash(&current(&world).await), "{death:?}");
    }
}

/// Starts a refresh and ends it in the middle.
async fn kill(world: &World, proxy: &DynamoDbProxy, death: &Death) {
    let path = STABLE_TOKEN;
    match death {
        Death::BeforeTheLease => proxy.inject("UpdateItem", 1, Kind::Hang),
        Death::WithTheLease => proxy.inject("UpdateItem", 1, Kind::HangAfter),
        Death::BeforeWechatHasHeard => fault(world, json!({ "path": path, "latencyMs": 60_000 })).await,
        Death::BeforeWechatHasAnswered => fault(world, json!({ "path": path, "answerLatencyMs": 60_000 })).await,
        Death::WithTheValue => proxy.inject_after("UpdateItem", 1, 1, Kind::Hang),
        Death::AfterWriting => proxy.inject_after("UpdateItem", 1, 1, Kind::HangAfter),
    }
    let (instance, now) = (world.instance("token-refresher").await, world.now());
    let holder = tokio::spawn(async move { instance.invoke(by_reader().to_string().into_bytes(), now).await });
    match death {
        Death::BeforeWechatHasHeard | Death::BeforeWechatHasAnswered => {
            while world.count_of(path).await == 0 {
                tokio::task::yield_now().await;
            }
        }
        _ => proxy.hanging().await,
    }
    holder.abort();
}

#[tokio::test]
async fn a_slow_holder_cannot_write_over_a_newer_value() {
    let world = World::start().await;
    // WeChat has given the first value, and its answer is on the way.
    fault(&world, json!({ "path": STABLE_TOKEN, "answerLatencyMs": 1500 })).await;
    let (instance, now) = (world.instance("token-refresher").await, world.now());
    let slow = tokio::spawn(async move { instance.invoke(by_reader().to_string().into_bytes(), now).await });
    while world.sandbox("GET", "/tokens", Value::Null).await[MINI_PROGRAM].is_null() {
        tokio::task::yield_now().await;
    }
    let old = current(&world).await;
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    world.advance(LEASE);
    refresh(&world).await;
    let new = current(&world).await;
    assert_ne!(old, new);
    let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
    // It finds what the other has written.
    assert_eq!(reply["failures"], json!([]), "{reply}");
    assert_eq!(stored(&world).await, hash(&new));
    assert_eq!(world.count_of(STABLE_TOKEN).await, 2);
}
