//! What the sandbox sends, byte for byte: some SDKs look headers up in the case in which WeChat writes them.

use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::apps::MINI_PROGRAM;
use tests::merchant::Merchant;
use tests::sandbox_shop::Shop;
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The names of the headers of a message, as they are written.
fn names(head: &str) -> Vec<&str> {
    head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
}

/// The first line and the headers of what is answered to a request.
async fn head_of_answer(world: &World, request: &str) -> String {
    let address = world.machine.sandbox_url().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (line, rest) = request.split_once("\r\n").unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{rest}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().0.to_owned()
}

/// A request of WeChat Pay's API, signed.
fn signed(world: &World, method: &str, path: &str, body: &str) -> String {
    let merchant = Merchant::of(world);
    let authorization = merchant.authorization(method, path, body, Timestamp::from(world.now()));
    let length = body.len();
    format!(
        "{method} {path}\r\nAccept: */*\r\nUser-Agent: test\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

const ORDER: &str = "order-000001";

#[tokio::test]
async fn the_headers_of_an_answer_are_in_the_case_of_wechats() {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    let path = format!("/v3/pay/transactions/out-trade-no/{ORDER}?mchid=1900000001");
    let head = head_of_answer(&shop.world, &signed(&shop.world, "GET", &path, "")).await;
    for name in [
        "Content-Type",
        "Content-Length",
        "Date",
        "Request-ID",
        "Wechatpay-Nonce",
        "Wechatpay-Serial",
        "Wechatpay-Signature",
        "Wechatpay-Signature-Type",
        "Wechatpay-Timestamp",
    ] {
        assert!(names(&head).contains(&name), "{name}: {head}");
    }
    // Refusals too, and whatever comes from the other half.
    let unknown = "/v3/pay/transactions/out-trade-no/order-000002?mchid=1900000001";
    let head = head_of_answer(&shop.world, &signed(&shop.world, "GET", unknown, "")).await;
    assert!(head.starts_with("HTTP/1.1 404") && names(&head).contains(&"Request-ID"), "{head}");
    let head = head_of_answer(&shop.world, "GET /sns/jscode2session\r\n\r\n").await;
    assert!(head.lines().any(|line| line == "Content-Type: text/plain"), "{head}");
    assert!(names(&head).iter().all(|name| name.starts_with(|first: char| first.is_ascii_uppercase())), "{head}");
}

#[tokio::test]
async fn the_answer_to_a_close_has_a_content_type() {
    let shop = Shop::open([]).await;
    shop.order(ORDER).await;
    let path = format!("/v3/pay/transactions/out-trade-no/{ORDER}/close");
    let body = json!({ "mchid": "1900000001" }).to_string();
    let head = head_of_answer(&shop.world, &signed(&shop.world, "POST", &path, &body)).await;
    assert!(head.starts_with("HTTP/1.1 204 No Content\r\n"), "{head}");
    assert!(head.lines().any(|line| line == "Content-Type: application/json; charset=utf-8"), "{head}");
}

#[tokio::test]
async fn the_headers_of_a_notification_are_in_the_case_of_wechats() {
    let shop = Shop::open([]).await;
    let inbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shop.order_told_at(ORDER, &format!("http://{}/notify", inbox.local_addr().unwrap())).await;
    shop.pay(ORDER).await;
    let (mut stream, _) = inbox.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    for name in [
        "Accept",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
        "Wechatpay-Nonce",
        "Wechatpay-Serial",
        "Wechatpay-Signature",
        "Wechatpay-Signature-Type",
        "Wechatpay-Timestamp",
    ] {
        assert!(names(&head).contains(&name), "{name}: {head}");
    }
}

#[tokio::test]
async fn a_call_that_the_sandbox_lacks_is_answered_with_its_name_and_logged() {
    let world = World::start().await;
    let merchant = Merchant::of(&world);
    for (method, path, status, code, missing) in [
        (
            "GET",
            "/v3/merchant-service/complaints-v2?limit=5",
            404,
            "NOT_FOUND",
            "GET /v3/merchant-service/complaints-v2",
        ),
        (
            "POST",
            "/v3/refund/domestic/refunds/number/apply-abnormal-refund",
            404,
            "NOT_FOUND",
            "POST /v3/refund/domestic/refunds/number/apply-abnormal-refund",
        ),
        ("GET", "/v3/pay/transactions/jsapi", 405, "METHOD_NOT_ALLOWED", "GET /v3/pay/transactions/jsapi"),
        ("GET", "/v3/refund/domestic/refunds", 405, "METHOD_NOT_ALLOWED", "GET /v3/refund/domestic/refunds"),
    ] {
        let answer = merchant.call(&world, method, path, "").await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{path}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(missing), "{message}");
        assert_eq!(answer.header("wechatpay-signature"), "");
        let path = path.split('?').next().unwrap();
        let logged = world.calls_of(path).await;
        assert_eq!((&logged[0]["method"], &logged[0]["status"]), (&json!(method), &json!(status)), "{path}");
    }
    let path = "/cgi-bin/message/custom/send?access_token=secret";
    let answer = world.wechat("POST", path, json!({ "touser": "o1" })).await;
    assert_eq!((answer.status, &answer.json["errcode"]), (404, &json!(40066)));
    let errmsg = answer.json["errmsg"].as_str().unwrap();
    assert!(errmsg.contains("POST /cgi-bin/message/custom/send") && !errmsg.contains("secret"), "{errmsg}");
    assert_eq!(world.calls_of("/cgi-bin/message/custom/send").await[0]["errcode"], 40066);
    let control = world.wechat("GET", "/sandbox/nothing", Value::Null).await;
    assert_eq!(control.status, 404);
    assert!(control.json["message"].as_str().unwrap().contains("GET /sandbox/nothing"), "{}", control.json);
    let lines = tests::logs::with("/v3/merchant-service/complaints-v2");
    assert_eq!(lines.iter().filter(|line| line["level"] == "WARN").count(), 1, "{lines:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_field_is_told_with_its_value() {
    let shop = Shop::open([]).await;
    let body = json!({
        "appid": MINI_PROGRAM, "mchid": "1900000001", "description": "商品", "out_trade_no": ORDER,
        "notify_url": shop.inbox.url, "amount": { "total": 100, "currency": "XYZ" },
        "payer": { "openid": "oDemoUserOfTheLocalMachine_0" },
    });
    let refused = shop.merchant.call(&shop.world, "POST", "/v3/pay/transactions/jsapi", &body.to_string()).await;
    let detail = json!({ "field": "/amount/currency", "value": "XYZ", "issue": "not CNY", "location": "body" });
    assert_eq!(refused.json()["detail"], detail);
}
