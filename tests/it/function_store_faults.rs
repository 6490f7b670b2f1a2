//! `phone-decrypt`, `user-info` and `card-ext` over a DynamoDB that behaves as AWS's does under load.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use local::sample;
use serde_json::{Value, json};
use tests::apps::OFFICIAL_ACCOUNT;
use tests::callers::Caller;
use tests::dynamodb_proxy::Kind;
use tests::root;
use tests::world::{World, reply};

async fn by_data(world: &World, caller: &Caller) -> Value {
    let button = caller.phone_button(world, json!({})).await;
    json!({ "encryptedData": button["encryptedData"], "iv": button["iv"] })
}

#[tokio::test]
async fn throttles_and_lost_answers_are_waited_out() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    world.put_card("pServer000000000000000000000", json!({ "codes": "server" })).await;
    for kind in [
        Kind::error("ThrottlingException"),
        Kind::error("ProvisionedThroughputExceededException"),
        Kind::Refuse(StatusCode::SERVICE_UNAVAILABLE, json!({})),
        Kind::LoseAnswer,
    ] {
        let caller = world.caller().await;
        for (function, body) in [
            ("phone-decrypt", by_data(&world, &caller).await),
            ("user-info", json!({ "nickName": "小明" })),
            ("card-ext", json!({ "cardId": "pServer000000000000000000000" })),
        ] {
            for operation in ["GetItem", "UpdateItem", "TransactWriteItems"] {
                proxy.inject(operation, 1, kind.clone());
            }
            let reply = caller.call(&world, function, body).await;
            assert_eq!(reply.status, 200, "{function} {kind:?}: {:?}", reply.json);
        }
        let user = caller.user(&world).await;
        assert_eq!((&user["nickName"], user["phoneNumber"].is_string()), (&json!("小明"), true), "{kind:?}");
    }
}

#[tokio::test]
async fn a_code_of_ours_is_one_though_its_answer_was_lost_or_somebody_was_faster() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    world.put_card("pServer000000000000000000000", json!({ "codes": "server" })).await;
    for kind in
        [Kind::LoseAnswer, Kind::cancelled(&["ConditionalCheckFailed"]), Kind::cancelled(&["TransactionConflict"])]
    {
        let caller = world.caller().await;
        proxy.inject("TransactWriteItems", 2, kind);
        let calls = (0..5)
            .map(|_| world.card_ext(&caller, OFFICIAL_ACCOUNT, json!({ "cardId": "pServer000000000000000000000" })));
        let codes: HashSet<_> = join_all(calls).await.iter().map(|ext| ext["code"].to_string()).collect();
        assert_eq!(codes.len(), 1);
        assert_eq!(world.rows_at(&format!("USER#{}", caller.id), "CARD#").await.len(), 1);
    }
}

#[tokio::test]
async fn a_table_that_stays_busy_is_503_before_lambda_gives_up_the_function() {
    for (function, operation) in [
        ("phone-decrypt", "UpdateItem"),
        ("phone-decrypt", "GetItem"),
        ("user-info", "UpdateItem"),
        ("card-ext", "TransactWriteItems"),
        ("card-ext", "GetItem"),
    ] {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        world.put_card("pServer000000000000000000000", json!({ "codes": "server" })).await;
        let caller = world.caller().await;
        let body = match function {
            "phone-decrypt" => by_data(&world, &caller).await,
            "user-info" => json!({ "nickName": "小明" }),
            _ => json!({ "cardId": "pServer000000000000000000000" }),
        };
        let mut event = sample::read(&root(), "user-info", "valid").unwrap();
        event["headers"]["authorization"] = format!("Bearer {}", caller.token).into();
        event["body"] = body.to_string().into();
        proxy.inject(operation, u32::MAX, Kind::error("ThrottlingException"));
        let instance = world.instance(function).await;
        let result = instance.invoke_within(event.to_string().into(), world.now(), Duration::from_secs(2)).await;
        let reply = reply(&result.expect("the function answers before its timeout"));
        let answer = (reply.status, reply.code(), reply.header("retry-after"));
        assert_eq!(answer, (503, "busy", "1"), "{function} {operation}");
    }
}
