//! What the log tells an operator of the cause: the app, the row, the field.

use axum::Router;
use axum::http::StatusCode;
use local::sample;
use serde_json::{Value, json};
use tests::apps::{MINI_PROGRAM, MOBILE_APP, OFFICIAL_ACCOUNT};
use tests::http::Reply;
use tests::logs;
use tests::orders::cart;
use tests::root;
use tests::world::World;
use tokio::net::TcpListener;

/// What WeChat says of a wrong app, a wrong, missing or frozen secret, a blocked account, or a right that it lacks.
const OF_THE_APP: [i64; 8] = [40013, 40125, 40243, 41002, 41004, 48001, 50007, 61004];

/// The one line of a request.
fn line(request_id: &str) -> Value {
    assert_ne!(request_id, "");
    logs::of_request(request_id).into_iter().find(|line| line["message"] == "request").unwrap()
}

fn line_of(reply: &Reply) -> Value {
    line(reply.json["requestId"].as_str().unwrap())
}

/// What is logged names the errcode and whose it is; a line that is about no app names none.
fn names(reply: &Reply, errcode: impl Into<Value>, app_id: &str) {
    let line = line_of(reply);
    assert_eq!((&line["errcode"], &line["appId"]), (&errcode.into(), &json!(app_id)), "{line}");
    assert!(!reply.json.to_string().contains(app_id), "{:?}", reply.json);
}

#[tokio::test]
async fn a_login_that_wechat_refuses_for_the_app_names_the_app_in_the_log() {
    let world = World::start().await;
    for errcode in OF_THE_APP {
        world.fault("/sns/jscode2session", json!({ "errcode": errcode })).await;
        names(&world.login("any-code").await, errcode, MINI_PROGRAM);
        for app_id in [OFFICIAL_ACCOUNT, MOBILE_APP] {
            world.fault("/sns/oauth2/access_token", json!({ "errcode": errcode })).await;
            let reply = world.call("login", None, json!({ "code": "any-code", "appId": app_id })).await;
            names(&reply, errcode, app_id);
        }
    }
    assert_eq!(line_of(&world.call("login", None, json!({})).await)["appId"], Value::Null);
}

#[tokio::test]
async fn a_phone_number_that_an_app_does_not_get_names_the_app_in_the_log() {
    let world = World::start().await;
    let caller = world.caller().await;
    let ask = async || caller.call(&world, "phone-decrypt", json!({ "code": "any-code" })).await;
    for errcode in OF_THE_APP {
        world.fault("/wxa/business/getuserphonenumber", json!({ "errcode": errcode })).await;
        names(&ask().await, errcode, MINI_PROGRAM);
    }
    // Without a token, it is the refresher that WeChat has refused.
    let world = World::start().await;
    let caller = world.caller().await;
    world.fault("/cgi-bin/stable_token", json!({ "errcode": 40125 })).await;
    let reply = caller.call(&world, "phone-decrypt", json!({ "code": "any-code" })).await;
    assert_eq!(reply.code(), "misconfigured");
    names(&reply, 40125, MINI_PROGRAM);
}

#[tokio::test]
async fn a_card_without_a_ticket_or_an_account_names_the_account_in_the_log() {
    let world = World::start().await;
    world.put_card("pAny000000000000000000000000", json!({})).await;
    world.put_card("pForeign00000000000000000000", json!({ "appId": "wxforeign" })).await;
    let caller = world.caller().await;
    world.fault("/cgi-bin/ticket/getticket", json!({ "errcode": 48001 })).await;
    let reply = caller.call(&world, "card-ext", json!({ "cardId": "pAny000000000000000000000000" })).await;
    assert_eq!(reply.code(), "misconfigured");
    names(&reply, 48001, OFFICIAL_ACCOUNT);
    let reply = caller.call(&world, "card-ext", json!({ "cardId": "pForeign00000000000000000000" })).await;
    assert_eq!(reply.code(), "misconfigured");
    names(&reply, Value::Null, "wxforeign");
    assert_eq!(line_of(&reply)["cause"], "the official account of the card is not in WECHAT_APPS");
}

/// A WeChat Pay that gives one answer only.
async fn refusing(status: StatusCode, body: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(move || std::future::ready((status, body.to_string())));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn refused_order(body: Value) -> Value {
    let pay = refusing(StatusCode::BAD_REQUEST, body).await;
    let world = World::start_with([("WECHATPAY_API_URLS", &pay)]).await;
    line_of(&world.caller().await.create_order(&world, "key", &cart(&[("demo-mug", 1)])).await)
}

#[tokio::test]
async fn a_refused_parameter_is_named_in_the_log_and_its_value_is_not() {
    let detail = json!({ "field": "/payer/openid", "value": "canary-value", "issue": "canary-issue" });
    let line = refused_order(json!({ "code": "PARAM_ERROR", "message": "canary-message", "detail": detail })).await;
    let cause = "WeChat Pay refused: status 400, code PARAM_ERROR, field /payer/openid, Request-ID none";
    assert_eq!(line["cause"], cause, "{line}");
    assert!(!logs::all().contains("canary-value"));
}

#[tokio::test]
async fn an_app_that_is_not_bound_to_the_merchant_is_named_in_the_log() {
    let line = refused_order(json!({ "code": "APPID_MCHID_NOT_MATCH" })).await;
    assert_eq!((&line["code"], &line["appId"]), (&json!("misconfigured"), &json!(MINI_PROGRAM)), "{line}");
}

#[tokio::test]
async fn a_product_that_cannot_be_read_is_named_in_the_log() {
    let world = World::start().await;
    let product = |sku: &str| json!({ "pk": format!("PRODUCT#{sku}"), "sk": "PRODUCT", "sku": sku, "name": "x" });
    let caller = world.caller().await;
    let skus = [("no-price", "no-price"), ("绿茶 #1", "绿茶 #1"), ("\u{202e}x", "\\u{202e}x")];
    for (key, (sku, shown)) in ["1", "2", "3"].into_iter().zip(skus) {
        world.put(product(sku)).await;
        let reply = caller.create_order(&world, key, &cart(&[(sku, 1)])).await;
        assert_eq!(reply.code(), "internal");
        assert_eq!(line_of(&reply)["cause"], format!("the row PRODUCT {shown} has no valid attribute priceFen"));
    }
}

#[tokio::test]
async fn a_card_or_an_order_that_cannot_be_read_is_named_in_the_log() {
    let world = World::start().await;
    let caller = world.caller().await;
    world.put_card("pOdd000000000000000000000000", json!({ "codes": "everybody" })).await;
    let reply = caller.call(&world, "card-ext", json!({ "cardId": "pOdd000000000000000000000000" })).await;
    assert_eq!(line_of(&reply)["cause"], "the row CARD pOdd000000000000000000000000 has no valid attribute codes");

    let order = caller.buy(&world, "demo-mug").await;
    world.set_text(&format!("ORDER#{order}"), "ORDER", "tradeState", "LOST").await;
    let reply = caller.call(&world, "query-order", json!({ "outTradeNo": order })).await;
    assert_eq!(line_of(&reply)["cause"], format!("the row ORDER {order} has no valid attribute tradeState"));
}

/// A row whose key is a secret, or names a person, is called by its kind alone.
#[tokio::test]
async fn a_row_whose_key_is_secret_is_called_by_its_kind() {
    let world = World::start().await;
    let caller = world.caller().await;
    let rows = world.rows_at("SESSION#", "SESSION").await;
    for row in rows {
        world.set_text(row["pk"].as_s().unwrap(), "SESSION", "expiresAt", "soon").await;
    }
    let reply = caller.call(&world, "user-info", json!({})).await;
    assert_eq!(line_of(&reply)["cause"], "the row SESSION has no valid attribute expiresAt");

    let world = World::start().await;
    let caller = world.caller().await;
    for row in world.rows_at("USER#", "USER").await {
        world.set_text(row["pk"].as_s().unwrap(), "USER", "phoneNumber", "sealed").await;
    }
    let reply = caller.call(&world, "user-info", json!({})).await;
    assert_eq!(line_of(&reply)["cause"], "the row USER has no valid attribute phoneNumber");
}

const EXPECTED: &str = "expected an event of API Gateway's HTTP API with payload format 2.0, or of a function URL; REST \
                        APIs, payload format 1.0 and load balancers send others";

/// What the other services send, cut down to what tells them apart.
/// Source: API Gateway developer guide, "Lambda proxy integrations"; Elastic Load Balancing, "Lambda functions as
/// targets".
fn foreign_events() -> [(&'static str, Value); 6] {
    let request = json!({
        "resource": "/login", "path": "/login", "httpMethod": "POST", "headers": { "content-type": "application/json" },
        "multiValueHeaders": { "content-type": ["application/json"] }, "queryStringParameters": null,
        "multiValueQueryStringParameters": null, "pathParameters": null, "stageVariables": null,
        "body": "{\"code\":\"canary-code\"}", "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "id", "httpMethod": "POST", "path": "/prod/login", "stage": "prod",
            "protocol": "HTTP/1.1", "requestId": "id", "requestTimeEpoch": 1_795_231_800_000_u64, "resourceId": "r",
            "resourcePath": "/login", "identity": { "sourceIp": "203.0.113.1", "userAgent": "curl" },
        },
    });
    let mut http_api = request.clone();
    http_api["version"] = "1.0".into();
    let mut alb = request.clone();
    let target = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1";
    alb["requestContext"] = json!({ "elb": { "targetGroupArn": target } });
    let websocket = json!({
        "requestContext": { "routeKey": "$default", "eventType": "MESSAGE", "connectionId": "c", "apiId": "id",
            "requestId": "id", "stage": "prod", "messageId": "m", "domainName": "d" },
        "body": "{\"code\":\"canary-code\"}", "isBase64Encoded": false,
    });
    [
        ("REST API", request),
        ("HTTP API, payload 1.0", http_api),
        ("load balancer", alb),
        ("WebSocket API", websocket),
        ("what a direct function takes", json!({ "code": "canary-code" })),
        ("no object", json!("canary-code")),
    ]
}

#[tokio::test]
async fn an_event_of_another_service_is_refused_by_a_function_error_that_says_what_is_expected() {
    let world = World::start().await;
    for (service, event) in foreign_events() {
        let reply = world.invoke("login", &event).await;
        assert_eq!(reply.header("x-amz-function-error"), "Unhandled", "{service}: {:?}", reply.json);
        let error = json!({ "errorType": "invalid_request", "errorMessage": EXPECTED });
        assert_eq!(reply.json, error, "{service}");
        let line = line(reply.header("x-amzn-requestid"));
        assert_eq!((&line["code"], &line["cause"]), (&json!("invalid_request"), &json!(EXPECTED)), "{service}");
    }
    assert!(!logs::all().contains("canary-code"));
}

#[tokio::test]
async fn an_http_event_to_a_function_that_is_invoked_directly_says_what_is_expected() {
    let world = World::start().await;
    let mut events = foreign_events()[..4].to_vec();
    events.push(("HTTP API, payload 2.0", sample::read(&root(), "login", "valid").unwrap()));
    for (service, event) in events {
        for function in ["token-refresher", "order-sweeper", "refund-order"] {
            let reply = world.invoke(function, &event).await;
            assert_eq!(reply.json["errorType"], "invalid_request", "{service} {function}");
            let expected =
                "expected the function's input as plain JSON, by the Lambda Invoke API; this is an HTTP event";
            assert_eq!(reply.json["errorMessage"], expected, "{service} {function}");
        }
    }
}
