//! Tokens under load: many who need one at once, and a WeChat that refuses, fails or is slow.

use std::time::Duration;

use serde_json::json;
use shared::store::tokens::protocol::CLAIM;
use shared::tokens::TokenError;
use tests::lambda_proxy::LambdaProxy;
use tests::readers::{Reader, instances, storm};
use tests::world::World;
use tokio::sync::Mutex;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const GETTICKET: &str = "/cgi-bin/ticket/getticket";

/// 1,000 at once, by 25 instances.
const INSTANCES: usize = 25;
const EACH: usize = 40;

/// One storm at a time. Whoever has seen a claim for 2 s of real time makes one of its own, whatever the clocks say; and
/// on a machine that has several storms to do, a refresher may take longer than that to start.
static STORM: Mutex<()> = Mutex::const_new(());

async fn world_with_lambda() -> (World, LambdaProxy) {
    let world = World::start().await;
    let lambda = LambdaProxy::start(world.machine.gateway_url()).await;
    (world, lambda)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_cold_readers_are_one_invocation_and_one_call_of_wechat() {
    let (world, lambda) = world_with_lambda().await;
    let readers = instances(&world, &lambda.url, INSTANCES).await;
    let _alone = STORM.lock().await;
    let used = storm(&readers, EACH, |_| true).await;
    assert_eq!(used.len(), 1000);
    let first = used[0].as_ref().unwrap();
    assert!(used.iter().all(|used| used.as_ref().unwrap() == first));
    assert_eq!((world.count_of(STABLE_TOKEN).await, lambda.take_invocations()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_whose_token_is_refused_are_one_call_of_wechat() {
    let (world, lambda) = world_with_lambda().await;
    let readers = instances(&world, &lambda.url, INSTANCES).await;
    let _alone = STORM.lock().await;
    let refused = readers[0].token().await.unwrap();
    for reader in &readers {
        assert_eq!(reader.token().await.unwrap(), refused);
    }
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    let used = storm(&readers, EACH, |hash| *hash != refused).await;
    let new = used[0].as_ref().unwrap();
    assert!(used.iter().all(|used| used.as_ref().unwrap() == new));
    assert_eq!((world.count_of(STABLE_TOKEN).await, lambda.take_invocations()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wechat_that_is_down_is_asked_three_times_in_five_seconds_by_a_thousand_readers() {
    let (world, lambda) = world_with_lambda().await;
    let readers = instances(&world, &lambda.url, INSTANCES).await;
    let _alone = STORM.lock().await;
    world.fault(STABLE_TOKEN, json!({ "status": 502, "times": 1000 })).await;
    let mut calls = Vec::new();
    for _ in 0..=5 {
        let used = storm(&readers, EACH, |_| true).await;
        assert!(used.iter().all(|used| matches!(used, Err(TokenError::Stopped { .. }))));
        calls.push(world.count_of(STABLE_TOKEN).await);
        world.advance(Duration::from_secs(1));
    }
    assert_eq!(calls, [1, 2, 2, 3, 3, 3]);
}

#[tokio::test]
async fn a_warm_reader_asks_nobody_until_the_value_is_about_to_end() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let reader = Reader::start(&world, world.machine.gateway_url()).await;
    let first = reader.token().await.unwrap();
    proxy.take_calls();
    world.advance(Duration::from_secs(6899));
    assert_eq!(reader.token().await.unwrap(), first);
    assert_eq!(proxy.take_calls(), [""; 0]);
    // 300 s before the end it looks, every 10 s, and goes on with what it has.
    world.advance(Duration::from_secs(1));
    for expected in [vec!["GetItem"], vec![]] {
        assert_eq!(reader.token().await.unwrap(), first);
        assert_eq!(proxy.take_calls(), expected);
    }
    // And takes what the refresher has put there meanwhile.
    let reply = world.invoke("token-refresher", &json!({})).await.json;
    assert_eq!(reply["refreshed"].as_array().unwrap().len(), 4, "{reply}");
    world.advance(Duration::from_secs(10));
    assert_ne!(reader.token().await.unwrap(), first);
    assert_eq!(world.count_of(STABLE_TOKEN).await, 3);
}

#[tokio::test]
async fn a_reader_goes_on_with_what_it_has_where_the_table_does_not_answer() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let mut reader = Reader::start(&world, world.machine.gateway_url()).await;
    let first = reader.token().await.unwrap();
    world.advance(Duration::from_secs(7000));
    proxy.inject("GetItem", u32::MAX, tests::dynamodb_proxy::Kind::error("ThrottlingException"));
    assert_eq!(reader.token().await.unwrap(), first);
    // With 30 s left it is not worth starting a call.
    world.advance(Duration::from_secs(170));
    reader.within = Duration::from_millis(200);
    assert!(matches!(reader.token().await, Err(TokenError::Store(_))));
}

#[tokio::test]
async fn a_refused_token_that_others_have_replaced_is_no_call_of_wechat() {
    let (world, lambda) = world_with_lambda().await;
    let readers = instances(&world, &lambda.url, 2).await;
    let refused = readers[0].token().await.unwrap();
    assert_eq!(readers[1].token().await.unwrap(), refused);
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    let takes = |hash: &_| *hash != refused;
    assert_eq!(readers[0].use_token(takes).await.1, 2);
    let (used, calls) = readers[1].use_token(takes).await;
    assert_ne!(used.unwrap(), refused);
    assert_eq!((calls, world.count_of(STABLE_TOKEN).await, lambda.take_invocations()), (2, 2, 2));
}

#[tokio::test]
async fn a_token_that_wechat_gives_and_refuses_is_not_asked_for_again_for_a_minute() {
    let (world, lambda) = world_with_lambda().await;
    let reader = Reader::start(&world, &lambda.url).await;
    for (advance, expected) in [(0, 2), (0, 2), (59, 2), (1, 3)] {
        world.advance(Duration::from_secs(advance));
        let (used, calls) = reader.use_token(|_| false).await;
        assert!(matches!(used, Err(TokenError::Stopped { .. })), "{used:?}");
        assert_eq!((calls, world.count_of(STABLE_TOKEN).await), (1, expected));
    }
    // Everybody else may have more luck with it.
    assert!(reader.token().await.is_ok());
}

#[tokio::test]
async fn a_second_token_that_is_refused_too_is_the_end() {
    let (world, lambda) = world_with_lambda().await;
    let reader = Reader::start(&world, &lambda.url).await;
    reader.token().await.unwrap();
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    let (used, calls) = reader.use_token(|_| false).await;
    assert!(matches!(used, Err(TokenError::Refused(_))), "{used:?}");
    assert_eq!((calls, world.count_of(STABLE_TOKEN).await), (2, 2));
}

#[tokio::test]
async fn a_throttled_invocation_is_a_lost_election() {
    let (world, lambda) = world_with_lambda().await;
    lambda.throttle(1);
    let readers = instances(&world, &lambda.url, 2).await;
    let waiting = async {
        // The one who was throttled waits like the others, until its claim has run out.
        while lambda.take_invocations() == 0 {
            tokio::task::yield_now().await;
        }
        world.advance(CLAIM);
    };
    let (first, second, ()) = tokio::join!(readers[0].token(), readers[1].token(), waiting);
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
}

#[tokio::test]
async fn a_refresher_that_may_not_be_invoked_is_said_at_once() {
    let (world, _) = world_with_lambda().await;
    let wrong = world.setup([("TOKEN_REFRESHER", "nobody")]);
    let tokens = wrong.tokens(wrong.table().unwrap(), std::sync::Arc::new(wrong.sealer().await.unwrap())).unwrap();
    let account = wrong.apps().await.unwrap().official_account(None).unwrap();
    let ticket = tokens.wx_card(&account, shared::deadline::Deadline::after(Duration::from_secs(9))).await;
    assert!(matches!(ticket, Err(TokenError::Invoke(_))), "{ticket:?}");
}

#[tokio::test]
async fn a_value_that_no_key_opens_is_absent() {
    let world = World::start().await;
    Reader::start(&world, world.machine.gateway_url()).await.token().await.unwrap();
    let other_key = "another-key-another-key-another-key-another-key";
    let endpoint = world.machine.dynamodb_url().to_owned();
    let table = world.machine.env().get("TABLE_NAME").unwrap().to_owned();
    let other =
        World::start_with([("AWS_ENDPOINT_URL_DYNAMODB", &endpoint), ("TABLE_NAME", &table), ("SEAL_KEY", other_key)])
            .await;
    let reader = Reader::start(&other, other.machine.gateway_url()).await;
    assert!(reader.token().await.is_ok());
    assert_eq!(other.count_of(STABLE_TOKEN).await, 1);
}

#[tokio::test]
async fn a_ticket_is_refreshed_with_a_new_token_where_wechat_refuses_the_old_one() {
    let (world, lambda) = world_with_lambda().await;
    let reader = Reader::start(&world, &lambda.url).await;
    let account = reader.official_account();
    let account = account.as_app_id().as_str();
    let first = reader.ticket().await.unwrap();
    world.sandbox("POST", "/tokens/revoke", json!({ "appId": account })).await;
    world.sandbox("POST", "/tokens/revoke", json!({ "appId": account, "kind": "wx_card" })).await;
    let event = json!({ "appId": account, "kind": "wx_card" });
    let reply = world.invoke("token-refresher", &event).await.json;
    assert_eq!(reply["failures"], json!([]), "{reply}");
    let fresh = Reader::start(&world, &lambda.url).await;
    assert_ne!(fresh.ticket().await.unwrap().hash(), first.hash());
    // One each, then 40001 and one more of each.
    assert_eq!((world.count_of(STABLE_TOKEN).await, world.count_of(GETTICKET).await), (2, 3));
}
