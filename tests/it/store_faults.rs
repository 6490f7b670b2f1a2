//! DynamoDB as AWS has it: conflicts, throttles, lost answers. (Stale reads are always on in the proxy.)

use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use local::sample;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::setup::Setup;
use shared::store::{SessionToken, Sessions};
use tests::dynamodb_proxy::Kind;
use tests::root;
use tests::upstream::ClosedPort;
use tests::world::{Row, World, event_with_body, reply};

const NOTHING: [&str; 3] = ["None", "None", "None"];

#[tokio::test]
async fn conflicts_and_throttles_are_waited_out() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(json!(true)).await;
    for kind in [
        Kind::cancelled(&["None", "TransactionConflict"]),
        Kind::cancelled(&["ThrottlingError", "None"]),
        Kind::cancelled(&["ProvisionedThroughputExceeded"]),
        Kind::error("TransactionInProgressException"),
        Kind::error("ProvisionedThroughputExceededException"),
        Kind::error("ThrottlingException"),
        Kind::error("RequestLimitExceeded"),
        Kind::Refuse(StatusCode::SERVICE_UNAVAILABLE, json!({})),
        Kind::Refuse(StatusCode::BAD_GATEWAY, json!("a proxy's page")),
        Kind::Refuse(StatusCode::OK, json!("not an answer of DynamoDB's")),
    ] {
        proxy.inject("TransactWriteItems", 3, kind.clone());
        let reply = world.login(&world.code(&person).await).await;
        assert_eq!(reply.status, 200, "{kind:?}: {:?}", reply.json);
    }
    proxy.inject("BatchGetItem", 2, Kind::error("ThrottlingException"));
    proxy.inject("GetItem", 2, Kind::error("InternalServerError"));
    assert_eq!(world.login(&world.code(&person).await).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_to_a_login_is_one_login() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    // The other machine's demo users are in the same table.
    let before = world.rows().await.len();
    proxy.inject("TransactWriteItems", 2, Kind::LoseAnswer);
    let login = world.logged_in().await;
    assert_eq!(login["user"]["isNew"], true);
    // User, openid, the way back to it, session, its line, code.
    assert_eq!(world.rows().await.len() - before, 6);
}

#[tokio::test]
async fn a_table_that_stays_busy_is_503_before_lambda_gives_up_the_function() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let code = world.code(&world.person(Value::Null).await).await;
    proxy.inject("TransactWriteItems", u32::MAX, Kind::cancelled(&["TransactionConflict", "None"]));
    let instance = world.instance("login").await;
    let event = event_with_body("login", "valid", &json!({ "code": code }));
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(2)).await;
    let reply = reply(&result.expect("the function answers before its timeout"));
    assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, "busy", "1"));
}

#[tokio::test]
async fn a_login_that_failed_after_its_write_is_found_by_the_same_code() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(Value::Null).await;
    world.login(&world.code(&person).await).await;
    // A returning user's row is read while the session is written: here the read fails.
    proxy.inject("GetItem", 1, Kind::error("ValidationException"));
    let code = world.code(&person).await;
    let failed = world.login(&code).await;
    assert_eq!((failed.status, failed.code()), (500, "internal"));
    assert_eq!(world.login(&code).await.status, 200);
}

#[tokio::test]
async fn a_table_that_cannot_be_reached_is_503_and_the_log_says_why() {
    let (world, _proxy, behind) = World::start_with_proxy().await;
    let token = world.logged_in().await["token"].as_str().unwrap().to_owned();
    let closed = ClosedPort::default();
    let mut env = world.machine.env().clone();
    env.set("AWS_ENDPOINT_URL_DYNAMODB", &closed.url);
    let setup = Setup::new(env, Clock::system()).unwrap();
    let sessions = Sessions::new(setup.table().unwrap(), Clock::system());
    let hash = SessionToken::parse(&token).unwrap().hash();
    let err = sessions.find(&hash, Deadline::after(Duration::from_millis(300))).await.unwrap_err();
    assert!(err.to_string().contains("could not connect: Connection refused"), "{err}");
    assert!(behind.rows().await.len() >= 5);
}

#[tokio::test]
async fn a_logout_of_all_that_runs_out_of_time_leaves_less_for_the_next_try() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let person = world.person(Value::Null).await;
    let codes = join_all((0..60).map(|_| world.code(&person))).await;
    let logins = join_all(codes.iter().map(|code| world.login(code))).await;
    let token = logins[0].json["token"].as_str().unwrap();
    // The first batch of sessions and of lines goes, and then nothing more.
    proxy.inject_after("BatchWriteItem", 2, u32::MAX, Kind::error("ThrottlingException"));
    let mut event = sample::read(&root(), "logout", "all").unwrap();
    event["headers"]["authorization"] = format!("Bearer {token}").into();
    let instance = world.instance("logout").await;
    let event = event.to_string().into_bytes();
    let result = instance.invoke_within(event, world.now(), Duration::from_secs(2)).await.unwrap();
    assert_eq!(reply(&result).code(), "busy");
    let user = format!("USER#{}", logins[0].json["user"]["id"].as_str().unwrap());
    let is_line = |row: &Row| *row["pk"].as_s().unwrap() == user && row["sk"].as_s().unwrap().starts_with("SESSION#");
    assert_eq!(world.rows().await.iter().filter(|row| is_line(row)).count(), 35);
}

#[tokio::test]
async fn a_refused_caller_is_misconfigured() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let token = world.logged_in().await["token"].as_str().unwrap().to_owned();
    for name in ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"] {
        proxy.inject("GetItem", 1, Kind::error(name));
        let reply = world.call("user-info", Some(&token), json!({})).await;
        assert_eq!((reply.status, reply.code()), (500, "misconfigured"), "{name}");
    }
    proxy.inject("GetItem", 1, Kind::error("ValidationException"));
    let reply = world.call("user-info", Some(&token), json!({})).await;
    assert_eq!((reply.status, reply.code()), (500, "internal"));
}

#[tokio::test]
async fn a_login_whose_condition_fails_once_reads_again() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let mut reasons = NOTHING;
    reasons[1] = "ConditionalCheckFailed";
    proxy.inject("TransactWriteItems", 1, Kind::cancelled(&reasons));
    assert_eq!(world.logged_in().await["user"]["isNew"], true);
    let calls = proxy.take_calls();
    assert_eq!(calls.iter().filter(|call| *call == "BatchGetItem").count(), 2);
}
