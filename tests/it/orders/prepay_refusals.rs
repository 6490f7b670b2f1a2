//! What becomes of WeChat Pay's refusals of an order, code by code.

use std::time::Duration;

use serde_json::{Value, json};
use shared::secret::Secret;
use shared::wechatpay::Merchant;
use tests::logs;
use tests::orders::{PREPAY, QUERY, cart, number};
use tests::pay_vectors::PayVectors;
use tests::world::World;

/// After this, whoever asks for a prepay_id is taken for dead, and how the order stands may be asked again.
const LEASE: Duration = Duration::from_secs(4);

/// What follows a refusal of an order that WeChat Pay does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// WeChat Pay is asked how the order stands, and the order ends.
    End,
    Nothing,
    /// WeChat Pay is asked.
    Question,
}

/// WeChat Pay's status and code, our status and code, how often WeChat Pay is asked for a prepay_id, and what follows.
const REFUSALS: [(u16, &str, u16, &str, usize, Follows); 37] = [
    (400, "PARAM_ERROR", 500, "internal", 1, Follows::End),
    (400, "INVALID_REQUEST", 500, "internal", 1, Follows::End),
    (400, "APPID_MCHID_NOT_MATCH", 500, "misconfigured", 1, Follows::End),
    (400, "MCH_NOT_EXISTS", 500, "misconfigured", 1, Follows::End),
    (404, "MCH_NOT_EXISTS", 500, "misconfigured", 1, Follows::End),
    (400, "ORDER_CLOSED", 503, "wechat_unavailable", 1, Follows::Question),
    (400, "ORDERPAID", 503, "wechat_unavailable", 1, Follows::Question),
    (403, "ORDER_PAID", 503, "wechat_unavailable", 1, Follows::Question),
    (403, "OUT_TRADE_NO_USED", 500, "internal", 1, Follows::Question),
    (401, "SIGN_ERROR", 500, "misconfigured", 1, Follows::End),
    (403, "NO_AUTH", 500, "misconfigured", 1, Follows::End),
    (403, "NOAUTH", 500, "misconfigured", 1, Follows::End),
    (403, "NOT_ENOUGH", 500, "misconfigured", 1, Follows::End),
    (403, "REQUEST_BLOCKED", 500, "misconfigured", 1, Follows::End),
    (403, "TRADE_ERROR", 503, "wechat_unavailable", 1, Follows::Nothing),
    (403, "RULE_LIMIT", 429, "rate_limited", 1, Follows::Nothing),
    (403, "RULELIMIT", 429, "rate_limited", 1, Follows::Nothing),
    (403, "USER_ACCOUNT_ABNORMAL", 403, "user_blocked", 1, Follows::Nothing),
    (403, "ACCOUNTERROR", 403, "user_blocked", 1, Follows::Nothing),
    (404, "ORDER_NOT_EXIST", 503, "wechat_unavailable", 1, Follows::Nothing),
    (404, "RESOURCE_NOT_EXISTS", 503, "wechat_unavailable", 1, Follows::Nothing),
    (400, "A_CODE_OF_NEXT_YEAR", 503, "wechat_unavailable", 1, Follows::Nothing),
    (400, "OPENID_MISMATCH", 500, "misconfigured", 1, Follows::Nothing),
    (400, "INVALID_TRANSACTIONID", 500, "internal", 1, Follows::Nothing),
    (429, "INVALID_REQUEST", 500, "internal", 3, Follows::Nothing),
    (500, "INVALID_REQUEST", 500, "internal", 3, Follows::Nothing),
    (429, "FREQUENCY_LIMITED", 429, "rate_limited", 3, Follows::Nothing),
    (429, "RATELIMIT_EXCEEDED", 429, "rate_limited", 3, Follows::Nothing),
    (500, "SYSTEM_ERROR", 503, "wechat_unavailable", 3, Follows::Nothing),
    (500, "SYSTEMERROR", 503, "wechat_unavailable", 3, Follows::Nothing),
    (500, "BANKERROR", 503, "wechat_unavailable", 3, Follows::Nothing),
    (500, "OPENID_MISMATCH", 500, "misconfigured", 3, Follows::Nothing),
    (500, "INVALID_TRANSACTIONID", 500, "internal", 3, Follows::Nothing),
    (502, "SERVICE_UNAVAILABLE", 503, "wechat_unavailable", 3, Follows::Nothing),
    (503, "SERVICE_UNAVAILABLE", 503, "wechat_unavailable", 3, Follows::Nothing),
    (500, "ORDER_CLOSED", 503, "wechat_unavailable", 3, Follows::Question),
    (418, "SYSTEM_ERROR", 503, "wechat_unavailable", 1, Follows::Nothing),
];

#[tokio::test]
async fn every_code_has_its_answer_and_a_repeat_goes_on_with_the_same_number_unless_the_order_has_ended() {
    let world = World::start_with([("MAX_OPEN_ORDERS", "100")]).await;
    let caller = world.caller().await;
    let body = cart(&[("demo-sticker", 1)]);
    for (status, code, ours, expected, prepays, follows) in REFUSALS {
        let key = format!("{status}-{code}");
        let before = (world.count_of(PREPAY).await, world.count_of(QUERY).await);
        world.fault(PREPAY, json!({ "status": status, "code": code, "times": prepays })).await;
        let reply = caller.create_order(&world, &key, &body).await;
        assert_eq!((reply.status, reply.code()), (ours, expected), "{key}");
        assert_eq!(reply.header("retry-after").is_empty(), ![429, 503].contains(&ours), "{key}");
        let after = (world.count_of(PREPAY).await, world.count_of(QUERY).await);
        assert_eq!((after.0 - before.0, after.1 > before.1), (prepays, follows != Follows::Nothing), "{key}");
        // The message is ours, and the log has the code.
        let message = reply.json["message"].as_str().unwrap();
        assert!(!message.contains("injected") && !message.contains(code), "{message}");
        let lines = logs::of_request(reply.json["requestId"].as_str().unwrap());
        let line = lines.iter().find(|line| line["message"] == "request").unwrap();
        assert!(line["cause"].as_str().unwrap().contains(&format!("status {status}, code {code}")), "{line}");
        // Nothing final follows from one answer that is not signed.
        world.advance(LEASE);
        let order = caller.order(&world, &key, &body).await;
        let numbers = world.prepaid_numbers().await.split_off(before.0);
        assert_eq!(world.order_row(&number(&order)).await.story(), "NOTPAY create", "{key}");
        if follows == Follows::End {
            assert_eq!(world.order_row(&numbers[0]).await.story(), "NOTPAY create, CLOSED create", "{key}");
        } else {
            assert!(numbers.iter().all(|asked| *asked == number(&order)), "{key}: {numbers:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_says_nothing_is_wechat_unavailable() {
    let world = World::start().await;
    let caller = world.caller().await;
    for status in [400, 404, 405] {
        let key = status.to_string();
        world.fault(PREPAY, json!({ "status": status })).await;
        let reply = caller.create_order(&world, &key, &cart(&[("demo-sticker", 1)])).await;
        assert_eq!((reply.status, reply.code()), (503, "wechat_unavailable"), "{status}");
    }
}

#[tokio::test]
async fn a_wechat_pay_that_is_busy_for_a_moment_is_asked_again() {
    let world = World::start().await;
    let caller = world.caller().await;
    for (status, code) in [(429, "FREQUENCY_LIMITED"), (500, "SYSTEM_ERROR"), (503, "SERVICE_UNAVAILABLE")] {
        let before = world.count_of(PREPAY).await;
        world.fault(PREPAY, json!({ "status": status, "code": code, "times": 2 })).await;
        let order = caller.order(&world, code, &cart(&[("demo-sticker", 1)])).await;
        assert_eq!(world.prepaid_numbers().await.split_off(before), vec![number(&order); 3]);
    }
}

#[tokio::test]
async fn a_wrong_key_of_the_merchant_s_is_misconfigured_and_nothing_of_it_is_said() {
    let right = World::start().await;
    // The same merchant, but a private key that the sandbox does not know.
    let mut pay: Value = serde_json::from_str(right.machine.env().get("WECHATPAY").unwrap()).unwrap();
    pay["privateKey"] = PayVectors::default().key("merchant_private_key").into();
    let url = right.machine.sandbox_url().unwrap();
    let wrong = World::start_with([("WECHATPAY", &pay.to_string()), ("WECHATPAY_API_URLS", url)]).await;
    let caller = wrong.caller().await;
    let reply = caller.create_order(&wrong, "key", &cart(&[("demo-sticker", 1)])).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!(reply.json["message"], "this backend is not set up correctly");
    assert_eq!(right.calls_of(PREPAY).await[0]["code"], "SIGN_ERROR");
}

/// A private key of which one byte is another: it is read as one, and signs nothing.
fn broken_key() -> String {
    let pem = PayVectors::default().key("merchant_private_key");
    let mut lines: Vec<String> = pem.lines().map(str::to_owned).collect();
    let broken = (6..lines.len() - 1).rev().find_map(|line| {
        let first = lines[line].remove(0);
        lines[line].insert(0, if first == 'A' { 'B' } else { 'A' });
        let pem = lines.join("\n");
        lines[line].replace_range(0..1, &first.to_string());
        let mut pay = PayVectors::default().wechatpay();
        pay["privateKey"] = pem.as_str().into();
        let merchant = Merchant::parse(&Secret::new(pay.to_string())).ok()?;
        (!merchant.signs()).then_some(pem)
    });
    broken.unwrap()
}

#[tokio::test]
async fn a_key_that_signs_nothing_is_misconfigured_and_takes_nothing() {
    let right = World::start().await;
    let mut pay: Value = serde_json::from_str(right.machine.env().get("WECHATPAY").unwrap()).unwrap();
    pay["privateKey"] = broken_key().into();
    let wrong = World::start_with([("WECHATPAY", &pay.to_string())]).await;
    let caller = wrong.caller().await;
    let reply = caller.create_order(&wrong, "key", &cart(&[("demo-mug", 1)])).await;
    assert_eq!((reply.status, reply.code()), (500, "misconfigured"));
    assert_eq!((wrong.stock("demo-mug").await, wrong.open_orders(&caller).await), (Some(200), 0));
    assert_eq!((wrong.claims().await, wrong.count_of(PREPAY).await), (0, 0));
}
