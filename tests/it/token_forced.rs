//! Nothing here ends a token that somebody else may hold.

use std::time::Duration;

use local::demo;
use serde_json::{Value, json};
use tests::world::World;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

#[tokio::test]
async fn no_token_is_ever_forced_or_asked_for_in_the_classic_way() {
    let world = World::start_embedded().await;
    demo::run(&world.machine, |_| {}).await.unwrap();
    let apps: Vec<Value> = world.apps().as_array().unwrap().iter().take(2).map(|app| app["appId"].clone()).collect();
    let mut refreshes = vec![json!({})];
    for app_id in &apps {
        refreshes.push(json!({ "appId": app_id, "kind": "access_token" }));
        refreshes.push(json!({ "appId": app_id, "kind": "access_token", "failed": "none" }));
        refreshes.push(json!({ "appId": app_id, "kind": "access_token", "failed": "0".repeat(64) }));
    }
    for round in ["as they are", "revoked", "refused", "about to end"] {
        for app_id in &apps {
            match round {
                "revoked" => _ = world.sandbox("POST", "/tokens/revoke", json!({ "appId": app_id })).await,
                "refused" => world.fault(STABLE_TOKEN, json!({ "errcode": 40001 })).await,
                _ => {}
            }
        }
        for event in &refreshes {
            world.invoke("token-refresher", event).await;
        }
        world.advance(Duration::from_secs(6900));
    }
    let calls = world.calls_of(STABLE_TOKEN).await;
    assert!(calls.len() >= refreshes.len(), "{}", calls.len());
    assert!(calls.iter().all(|call| call.get("forced").is_none()), "{calls:?}");
    assert_eq!(world.count_of("/cgi-bin/token").await, 0);
}
