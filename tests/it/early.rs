//! Connections that are opened while a function starts.

use std::time::Duration;

use axum::http::Request;
use serde_json::json;
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::env::Env;
use shared::net::{HttpClient, Tls};
use tests::upstream::{After, ClosedPort, Upstream};
use tests::world::{World, event_with_body, reply};

const WECHAT: &str = r#"{"openid":"oEarly","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}"#;

/// Of the instances that the machine starts to see whether it can: login, phone-decrypt, token-refresher.
const OF_THE_MACHINE: usize = 3;

async fn login(world: &World, instance: &local::functions::Instance) {
    let event = event_with_body("login", "valid", &json!({ "code": "early" }));
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(10)).await.unwrap();
    assert_eq!(reply(&result).status, 200);
}

#[tokio::test]
async fn the_first_request_uses_the_connection_that_was_opened_during_the_start() {
    let wechat = Upstream::start(WECHAT, After::Stay).await;
    let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
    let instance = world.instance("login").await;
    assert_eq!(wechat.accepted(OF_THE_MACHINE + 1).await, OF_THE_MACHINE + 1);
    assert_eq!(wechat.requests(), 0);
    login(&world, &instance).await;
    assert_eq!(wechat.accepted(0).await, OF_THE_MACHINE + 1);
}

#[tokio::test]
async fn a_connection_that_was_opened_before_a_long_pause_is_not_used() {
    let wechat = Upstream::start(WECHAT, After::Stay).await;
    let world = World::start_with([("WECHAT_API_URLS", &wechat.url)]).await;
    let instance = world.instance("login").await;
    wechat.accepted(OF_THE_MACHINE + 1).await;
    world.advance(Duration::from_secs(60));
    login(&world, &instance).await;
    assert_eq!((wechat.accepted(0).await, wechat.requests()), (OF_THE_MACHINE + 2, 1));
}

/// Without any second try: a payment may not be sent again.
#[tokio::test]
async fn a_connection_that_was_closed_before_its_first_request_is_not_used() {
    let upstream = Upstream::start_ending(WECHAT, 1).await;
    let (tls, host) = (Tls::from_env(&Env::default()).unwrap(), upstream.url.parse().unwrap());
    let client = HttpClient::connecting(&tls, &Clock::system(), &host, 1);
    upstream.accepted(1).await;
    let request = Request::get(&upstream.url).body("").unwrap();
    let response = client.send(request, 1024, Deadline::after(Duration::from_secs(5))).await;
    assert_eq!(response.unwrap().body, WECHAT);
    assert_eq!((upstream.accepted(0).await, upstream.requests()), (2, 1));
}

#[tokio::test]
async fn a_connection_that_could_not_be_opened_during_the_start_is_no_failure() {
    let closed = ClosedPort::default();
    let world = World::start_with([("WECHAT_API_URLS", &closed.url)]).await;
    let instance = world.instance("login").await;
    assert_eq!(world.login("nobody-there").await.code(), "wechat_unavailable");
    let wechat = closed.open(WECHAT);
    login(&world, &instance).await;
    assert_eq!((wechat.accepted(0).await, wechat.requests()), (1, 1));
}
