//! When the sandbox is there, and for whom.

use std::net::{IpAddr, UdpSocket};

use local::machine::{Machine, Options};
use local::pay_keys::MCH_ID;
use serde_json::{Value, json};
use shared::env::Env;
use tests::apps::MINI_PROGRAM;
use tests::http::Client;
use tests::logs;
use tests::merchant::Merchant;
use tests::upstream::{After, Upstream};
use tests::world::World;

const WARNING: &str = "is set and WECHATPAY_API_URLS is not";

/// An address of this machine that is not loopback: where it would send from. Nothing is sent.
pub(crate) fn specific_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[tokio::test]
async fn payments_are_told_at_a_specific_address_too() {
    // A machine without a network has none.
    let Some(bind) = specific_address() else { return };
    let world = World::start_at(bind).await;
    assert!(world.machine.gateway_url().starts_with(&format!("http://{bind}:")), "{}", world.machine.gateway_url());
    let notify_url = world.machine.env().get("PAY_NOTIFY_URL").unwrap();
    assert!(notify_url.starts_with("http://127.0.0.1:"), "{notify_url}");
    let number = world.caller().await.buy(&world, "demo-mug").await;
    world.sandbox("POST", "/pay", json!({ "outTradeNo": number, "notify": false })).await;
    assert_eq!(world.resend(&number).await, 204);
}

/// The urls of WeChat, of WeChat Pay, and of the sandbox.
async fn urls(variables: &[(&str, &str)]) -> [Option<String>; 3] {
    let env = Env::from_iter(variables.iter().copied());
    let machine = Machine::start(Options { env, ..Options::default() }).await.unwrap();
    let url = |name: &str| machine.env().get(name).map(str::to_owned);
    let urls = [url("WECHAT_API_URLS"), url("WECHATPAY_API_URLS"), machine.sandbox_url().map(str::to_owned)];
    machine.stop().await;
    urls
}

#[tokio::test]
async fn it_is_there_while_any_of_it_is_wanted() {
    let other = Upstream::start("{}", After::Stay).await;
    let (wechat, pay) = (("WECHAT_API_URLS", other.url.as_str()), ("WECHATPAY_API_URLS", other.url.as_str()));
    let given = Some(other.url.clone());
    let [wechat_url, pay_url, sandbox] = urls(&[]).await;
    assert!(sandbox.is_some() && wechat_url == sandbox && pay_url == sandbox);
    let [wechat_url, pay_url, sandbox] = urls(&[wechat]).await;
    assert!(sandbox.is_some() && wechat_url == given && pay_url == sandbox);
    let [wechat_url, pay_url, sandbox] = urls(&[pay]).await;
    assert!(sandbox.is_some() && wechat_url == sandbox && pay_url == given);
    assert_eq!(urls(&[wechat, pay]).await, [given.clone(), given, None]);
}

#[tokio::test]
async fn it_answers_only_the_half_that_nobody_else_answers() {
    let other = Upstream::start("{}", After::Stay).await;
    let (wechat, pay) = ("/cgi-bin/token", "/v3/pay/transactions/id/1");
    for (variable, there, absent) in [("WECHAT_API_URLS", pay, wechat), ("WECHATPAY_API_URLS", wechat, pay)] {
        let env = Env::from_iter([(variable, other.url.as_str())]);
        let machine = Machine::start(Options { env, ..Options::default() }).await.unwrap();
        let status = async |path: &str| {
            let url = format!("{}{path}", machine.sandbox_url().unwrap());
            Client::default().send("GET", &url, &[], Vec::new()).await.status
        };
        assert_eq!((status(absent).await, status("/sandbox/state").await), (404, 200), "{variable}");
        assert_ne!(status(there).await, 404, "{variable}");
        machine.stop().await;
    }
}

#[tokio::test]
async fn it_warns_of_a_merchant_that_it_cannot_be_the_wechat_pay_of() {
    let keys = World::start().await;
    let config = keys.machine.env().get("WECHATPAY").unwrap().to_owned();
    let world = World::start_with([("WECHATPAY", &config.replace(MCH_ID, "1900000009"))]).await;
    assert!(logs::all().contains(&format!("WECHATPAY {WARNING}")));
    let merchant = Merchant::of(&world);
    let query = "/v3/pay/transactions/out-trade-no/order-000001?mchid=1900000009";
    let refused = merchant.call(&world, "GET", query, "").await;
    assert_eq!(refused.refusal(), (401, "SIGN_ERROR".to_owned()));
}

#[tokio::test]
async fn people_of_another_wechat_can_pay() {
    let other = World::start().await;
    let world = World::start_with([("WECHAT_API_URLS", other.machine.wechat_url())]).await;
    let order = json!({
        "appid": MINI_PROGRAM,
        "mchid": MCH_ID,
        "description": "商品",
        "out_trade_no": "order-000001",
        "notify_url": "https://example.com/pay-notify",
        "amount": { "total": 1 },
        "payer": { "openid": "oSomebodyOfTheOtherWechat000" },
    });
    let order = order.to_string();
    let made = Merchant::of(&world).call(&world, "POST", "/v3/pay/transactions/jsapi", &order).await;
    assert_eq!(made.status, 200, "{:?}", made.json());
    let refused = Merchant::of(&other).call(&other, "POST", "/v3/pay/transactions/jsapi", &order).await;
    assert_eq!((refused.status, &refused.json()["detail"]["field"]), (400, &Value::from("/payer/openid")));
}
