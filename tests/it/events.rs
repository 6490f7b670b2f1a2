//! Every sample event, invoked as it is: what comes back is what the READMEs of the functions promise.

use std::time::{Duration, UNIX_EPOCH};

use local::demo_order::{DEMO_ORDER, DEMO_PAID_ORDER};
use local::demo_user::DEMO_SESSION_KEY;
use local::functions::Functions;
use local::sample;
use serde_json::{Value, json};
use shared::wechat::SessionKey;
use shared::wechat::open_data::EncryptedData;
use shared::wechatpay::{OutRefundNo, OutTradeNo};
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::http::Reply;
use tests::root;
use tests::world::{World, reply};

const STALE: &str = "the data is not of this session; log in and ask the user again";

#[tokio::test]
async fn every_event_of_login_gets_its_answer() {
    let user = json!({
        "statusCode": 200, "expiresIn": 604_800, "user": { "isNew": false, "hasUnionId": false, "phoneNumber": null },
    });
    check(
        "login",
        &[
            ("valid", user.clone()),
            ("valid-base64", user.clone()),
            ("with-app-id", user),
            ("bad-code", code_invalid("login_code_invalid")),
            ("malformed-code", error(400, "invalid_request", "field `code` is not valid")),
            ("missing-code", error(400, "invalid_request", "missing field `code`")),
            ("official-account-bad-code", code_invalid("login_code_invalid")),
            ("unknown-app", error(400, "invalid_request", "field `appId` is not an app of this backend")),
            ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
            ("repeated-field", error(400, "invalid_request", "duplicate field `code`")),
            ("array", error(400, "invalid_request", "the body is not a JSON object")),
            ("not-json", error(400, "invalid_request", "the body is not valid JSON")),
            ("empty-body", error(400, "invalid_request", "the body is not valid JSON")),
            ("wrong-content-type", error(415, "unsupported_media_type", "use Content-Type: application/json")),
            ("wrong-method", error(405, "method_not_allowed", "use POST")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_user_info_gets_its_answer() {
    let user = |nick_name: Value, avatar_url: Value| {
        let user = json!({ "nickName": nick_name, "avatarUrl": avatar_url, "hasUnionId": false, "phoneNumber": null });
        json!({ "statusCode": 200, "user": user })
    };
    check(
        "user-info",
        &[
            ("valid", user(Value::Null, Value::Null)),
            ("set-profile", user("小明 👨‍👩‍👧‍👦".into(), "https://example.com/avatar.png".into())),
            ("wechat-profile", user("Demo".into(), "https://thirdwx.qlogo.cn/mmopen/vi_32/demo/132".into())),
            ("bad-avatar", error(400, "invalid_request", "field `avatarUrl` is not valid")),
            ("bad-signature", error(409, "session_key_stale", STALE)),
            ("no-session", unauthorized()),
            ("wrong-session", unauthorized()),
            ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_logout_gets_its_answer() {
    check(
        "logout",
        &[
            ("valid", json!({ "statusCode": 200 })),
            ("all", json!({ "statusCode": 200 })),
            ("no-session", unauthorized()),
            ("malformed", error(400, "invalid_request", "field `all` is not valid")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_phone_decrypt_gets_its_answer() {
    let number = json!({
        "statusCode": 200, "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
    });
    check(
        "phone-decrypt",
        &[
            ("valid", number.clone()),
            ("encrypted-data", number),
            ("stale-data", error(409, "session_key_stale", STALE)),
            ("bad-code", code_invalid("phone_code_invalid")),
            ("both", error(400, "invalid_request", "field `code` goes without `encryptedData` and `iv`")),
            ("malformed-data", error(400, "invalid_request", "field `encryptedData` is not valid")),
            ("malformed-iv", error(400, "invalid_request", "field `iv` is not valid")),
            ("no-session", unauthorized()),
            ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_card_ext_gets_its_answer() {
    let signed = |codes: &str, ext: Value| json!({ "statusCode": 200, "cardId": format!("pDemoCardWithCodesOf{codes}000"), "cardExt": ext });
    let extras = json!({ "outer_str": "sample", "fixed_begintimestamp": 1_795_231_800 });
    let chosen = "field `code` is not the client's to choose for this card";
    let unknown = "the user has not signed in at the official account yet";
    check(
        "card-ext",
        &[
            ("valid", signed("Wechat", extras)),
            ("server-code", signed("Server", json!({}))),
            ("client-code", signed("Client", json!({ "code": "1434008071" }))),
            ("missing-code", error(400, "invalid_request", "missing field `code`, which this card needs")),
            ("unexpected-code", error(400, "invalid_request", chosen)),
            ("unknown-card", error(400, "card_unknown", "there is no such card")),
            ("openid-unknown", error(409, "openid_unknown", unknown)),
            ("no-session", unauthorized()),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_create_order_gets_its_answer() {
    let order = |total_fen: u64| json!({ "statusCode": 200, "totalFen": total_fen, "payment": { "signType": "RSA" } });
    let key = "header `Idempotency-Key` is not 1 to 64 visible ASCII characters";
    check(
        "create-order",
        &[
            ("valid", order(100)),
            ("several-items", order(4100)),
            ("key-reused", error(409, "idempotency_key_reused", "the key was used with another request")),
            ("missing-key", error(400, "invalid_request", key)),
            ("no-session", unauthorized()),
            ("unknown-product", error(400, "product_unknown", "there is no such product")),
            ("out-of-stock", error(409, "out_of_stock", "there is not enough in stock")),
            ("quantity-invalid", error(400, "quantity_invalid", "a quantity is from 1 to 9999")),
            ("quantity-not-an-integer", error(400, "invalid_request", "field `items[0].quantity` is not valid")),
            ("repeated-sku", error(400, "invalid_request", "field `items` has a sku twice")),
            ("own-price", error(400, "invalid_request", "unknown field `priceFen` of `items[0]`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_query_order_gets_its_answer() {
    let unpaid = json!({
        "statusCode": 200, "status": "NOTPAY", "outTradeNo": DEMO_ORDER, "totalFen": 100, "refundedFen": 0, "transactionId": null,
        "paidAt": null,
    });
    check(
        "query-order",
        &[
            ("valid", unpaid),
            ("not-found", error(404, "not_found", "there is no such thing")),
            ("malformed", error(400, "invalid_request", "field `outTradeNo` is not valid")),
            ("no-session", unauthorized()),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_pay_notify_gets_its_answer() {
    let world = World::start_embedded().await;
    let instance = world.instance("pay-notify").await;
    let refused = Some(json!({ "code": "FAIL", "message": "not verified" }));
    let expected = [
        ("wrong-amount", 204, None, "NOTPAY"),
        ("valid", 204, None, "SUCCESS"),
        ("unknown-order", 204, None, "SUCCESS"),
        ("refund", 204, None, "REFUND"),
        ("signtest", 401, refused.clone(), "REFUND"),
        ("stale", 401, refused.clone(), "REFUND"),
        ("tampered", 401, refused.clone(), "REFUND"),
        ("not-json", 401, refused, "REFUND"),
    ];
    let cases: Vec<_> = expected.iter().map(|(case, ..)| (*case, Value::Null)).collect();
    expect_every_file("pay-notify", &cases);
    for (case, status, body, state) in expected {
        let event = sample::fresh(&root(), "pay-notify", case, world.now()).unwrap();
        let event = sample::sign(event, world.machine.pay_keys(), world.now()).unwrap();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!(reply["statusCode"], status, "{case}: {reply}");
        let json = reply["body"]
            .as_str()
            .filter(|body| !body.is_empty())
            .map(|body| serde_json::from_str::<Value>(body).unwrap());
        assert_eq!(json, body, "{case}");
        let rows = world.rows().await;
        let key = (format!("ORDER#{DEMO_ORDER}"), "ORDER".to_owned());
        let row = rows.iter().find(|row| (row["pk"].as_s().unwrap(), row["sk"].as_s().unwrap()) == (&key.0, &key.1));
        let row = row.unwrap();
        assert_eq!(row["tradeState"].as_s().unwrap(), state, "{case}");
    }
}

#[tokio::test]
async fn every_event_of_token_refresher_gets_its_answer() {
    let (mini_program, official_account) = (MINI_PROGRAM, OFFICIAL_ACCOUNT);
    let refreshed = |tokens: &[(&str, &str)]| {
        let tokens = tokens.iter().map(|(app, kind)| json!({ "appId": app, "kind": kind, "expiresIn": 7200 }));
        json!({ "refreshed": tokens.collect::<Vec<_>>(), "failures": [] })
    };
    let all = refreshed(&[
        (mini_program, "access_token"),
        (official_account, "access_token"),
        (official_account, "wx_card"),
        (official_account, "jsapi"),
    ]);
    let one = refreshed(&[(mini_program, "access_token")]);
    check_direct(
        "token-refresher",
        &[
            ("scheduled", all.clone()),
            ("eventbridge-rule", all.clone()),
            ("eventbridge-scheduler", all),
            ("one-token", one.clone()),
            ("after-refusal", one),
            ("ticket", refreshed(&[(official_account, "wx_card")])),
            ("unknown-app", refused("invalid_request", "field `appId` is not an app of this backend")),
            ("malformed", refused("invalid_request", "field `kind` is not valid")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_order_sweeper_gets_its_answer() {
    let nothing = json!({ "checked": 0, "healed": 0, "closed": 0, "failures": 0 });
    check_direct(
        "order-sweeper",
        &[
            ("scheduled", nothing.clone()),
            ("eventbridge-scheduler", nothing.clone()),
            ("any-age", nothing),
            ("malformed", refused("invalid_request", "field `minAgeSecs` is not valid")),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_event_of_refund_order_gets_its_answer() {
    let refund = |request_id: &str| {
        let order = OutTradeNo::try_from(DEMO_PAID_ORDER.to_owned()).unwrap();
        let number = OutRefundNo::of_request(&order, request_id);
        json!({ "outRefundNo": number.as_str(), "status": "PROCESSING" })
    };
    let reason = "field `reason` is 1 to 80 bytes, without emoji and control characters";
    let expected = [
        ("too-much", refused("refund_exceeds_paid", "that is more than is left of the payment")),
        ("valid", refund("return-1")),
        ("request-id-reused", refused("idempotency_key_reused", "the key was used with another request")),
        ("another-part", refund("return-2")),
        ("unpaid", refused("refund_refused", "the order is not paid")),
        ("unknown-order", refused("not_found", "there is no such thing")),
        ("not-an-integer", refused("invalid_request", "field `refundFen` is not valid")),
        ("nothing", refused("invalid_request", "field `refundFen` is from 1")),
        ("emoji-reason", refused("invalid_request", reason)),
    ];
    expect_every_file("refund-order", &expected);
    let world = World::start_embedded().await;
    for (case, expected) in &expected {
        invoke_direct(&world, "refund-order", case, expected).await;
    }
}

fn refused(code: &str, message: &str) -> Value {
    json!({ "errorType": code, "errorMessage": message })
}

#[test]
fn every_function_has_events_and_every_event_a_function() {
    let folders = std::fs::read_dir(root().join("events")).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut folders: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut functions: Vec<_> = Functions::names().collect();
    folders.sort();
    functions.sort_unstable();
    assert_eq!(folders, functions);
}

#[test]
fn what_is_encrypted_in_an_event_is_made_fresh_and_nothing_else_is() {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let body = |case: &str, fresh: bool| {
        let event = match fresh {
            true => sample::fresh(&root(), "phone-decrypt", case, now).unwrap(),
            false => sample::read(&root(), "phone-decrypt", case).unwrap(),
        };
        event["body"].as_str().unwrap().to_owned()
    };
    let open = |body: &str| {
        let input: Value = serde_json::from_str(body).unwrap();
        let data = EncryptedData::parse(input["encryptedData"].as_str().unwrap(), input["iv"].as_str().unwrap());
        data.unwrap().open::<Value>(&SessionKey::new(DEMO_SESSION_KEY)).unwrap().data
    };
    let (fresh, file) = (body("encrypted-data", true), body("encrypted-data", false));
    let mut expected = open(&file);
    expected["watermark"]["timestamp"] = 1_800_000_000.into();
    assert_eq!(open(&fresh), expected);
    assert_eq!(fresh.len(), file.len(), "the event says how long its body is");
    for case in ["valid", "malformed-iv"] {
        assert_eq!(body(case, true), body(case, false), "{case}");
    }
}

/// The parts of a reply that are random: the object that they are in, and their names.
fn random(function: &str, case: &str, status: u16) -> &'static [(&'static str, &'static str)] {
    const CARD_EXT: &[(&str, &str)] = &[
        ("/cardExt", "nonce_str"),
        ("/cardExt", "signature"),
        ("/cardExt", "timestamp"),
        ("/cardExt", "code"), // The last one, where it is ours.
    ];
    const CREATE_ORDER: &[(&str, &str)] = &[
        ("", "outTradeNo"),
        ("/payment", "timeStamp"),
        ("/payment", "nonceStr"),
        ("/payment", "package"),
        ("/payment", "paySign"),
    ];
    match (function, case) {
        _ if status != 200 => &[("", "requestId")],
        ("login", _) => &[("", "token"), ("/user", "id")],
        ("user-info", _) => &[("/user", "id")],
        ("card-ext", "server-code") => CARD_EXT,
        ("card-ext", _) => &CARD_EXT[..3],
        ("create-order", _) => CREATE_ORDER,
        _ => &[],
    }
}

/// A reply without what is random in it, and with its status.
fn comparable(function: &str, case: &str, reply: Reply) -> Value {
    let mut body = reply.json;
    if let Some(text) = body["cardExt"].as_str() {
        body["cardExt"] = serde_json::from_str(text).unwrap();
    }
    for (object, name) in random(function, case, reply.status) {
        let object = body.pointer_mut(object).and_then(Value::as_object_mut).unwrap();
        let random = object.remove(*name);
        assert!(random.as_ref().and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{case}: {name}");
    }
    body["statusCode"] = reply.status.into();
    body
}

fn error(status: u16, code: &str, message: &str) -> Value {
    json!({ "statusCode": status, "code": code, "message": message })
}

fn unauthorized() -> Value {
    error(401, "session_invalid", "there is no such session (any more); log in")
}

fn code_invalid(code: &str) -> Value {
    error(400, code, "the code is wrong, too old or used up; get a new one")
}

async fn check(function: &str, expected: &[(&str, Value)]) {
    let world = World::start_embedded().await;
    let instance = world.instance(function).await;
    expect_every_file(function, expected);
    for (case, expected) in expected {
        let event = sample::fresh(&root(), function, case, world.now()).unwrap();
        let event = sample::sign(event, world.machine.pay_keys(), world.now()).unwrap();
        let result = instance.invoke(event.to_string().into_bytes(), world.now()).await.unwrap();
        let reply = reply(&result);
        assert_eq!(reply.header("content-type"), "application/json", "{case}");
        assert_eq!(reply.header("cache-control"), "no-store", "{case}");
        assert_eq!(&comparable(function, case, reply), expected, "{case}");
    }
}

/// Each event at a machine of its own: a refresh leaves something behind.
/// Each event on a machine of its own.
async fn check_direct(function: &str, expected: &[(&str, Value)]) {
    expect_every_file(function, expected);
    for (case, expected) in expected {
        invoke_direct(&World::start_embedded().await, function, case, expected).await;
    }
}

async fn invoke_direct(world: &World, function: &str, case: &str, expected: &Value) {
    let event = sample::fresh(&root(), function, case, world.now()).unwrap();
    let result = world.instance(function).await.invoke(event.to_string().into_bytes(), world.now()).await;
    let outcome = result.map_or_else(|err| json!(err), |reply| serde_json::from_slice(&reply).unwrap());
    assert_eq!(&outcome, expected, "{case}");
}

fn expect_every_file(function: &str, expected: &[(&str, Value)]) {
    let mut cases: Vec<_> = expected.iter().map(|(case, _)| (*case).to_owned()).collect();
    cases.sort();
    assert_eq!(cases, sample::cases(&root(), function), "every file has an expectation");
}
