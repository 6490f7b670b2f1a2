//! A frozen instance thaws: minutes have passed, its connections are dead, and its monotonic clock has not moved.

use std::time::Duration;

use serde_json::json;
use tests::upstream::{After, Upstream};
use tests::world::{World, event_with_body, reply};

const WECHAT: &str = r#"{"openid":"oFrozen","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}"#;

/// Logs in, lets `pause` pass on the wall clock, and logs in again with the same instance.
async fn thaw(after: After, pause: Duration) -> Upstream {
    let wechat = Upstream::start(WECHAT, after).await;
    let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
    let instance = world.instance("login").await;
    for code in ["before", "after"] {
        let event = event_with_body("login", "valid", &json!({ "code": code }));
        let result = instance.invoke_within(event, world.now(), Duration::from_secs(4)).await.unwrap();
        let reply = reply(&result);
        assert_eq!(reply.status, 200, "{code}: {:?}", reply.json);
        world.advance(pause);
    }
    wechat
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced() {
    assert_eq!(thaw(After::Close, Duration::ZERO).await.connections(), 2);
    assert_eq!(thaw(After::Close, Duration::from_secs(300)).await.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_half_closed_is_replaced() {
    assert_eq!(thaw(After::HalfClose, Duration::ZERO).await.connections(), 2);
    assert_eq!(thaw(After::HalfClose, Duration::from_secs(300)).await.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_forgotten_without_a_word_is_not_used_after_a_long_pause() {
    let wechat = thaw(After::Silence, Duration::from_secs(300)).await;
    assert_eq!((wechat.connections(), wechat.requests()), (2, 2));
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_short_pause() {
    let wechat = thaw(After::Stay, Duration::from_secs(10)).await;
    assert_eq!((wechat.connections(), wechat.requests()), (1, 2));
}
