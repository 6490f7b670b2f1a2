//! `cargo demo`: the whole journey of a user, each exchange printed.

mod journey;

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::env::ConfigError;
use shared::error::ErrorCode;
use shared::net::{HttpClient, HttpError, Tls};

use self::journey::Journey;
use crate::keys::OFFICIAL_ACCOUNT;
use crate::machine::Machine;

/// The step at which the journey ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DemoError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("no answer to {step}")]
    NoAnswer { step: String, source: HttpError },
    #[error("{step}: expected {expected}")]
    Unexpected { step: String, expected: String },
}

/// Walks the journey; `print` gets the text of each exchange.
///
/// # Errors
///
/// At the first step that does not go as it should.
pub async fn run(machine: &Machine, print: impl FnMut(&str)) -> Result<(), DemoError> {
    let http = HttpClient::new(&Tls::from_env(machine.env())?, &Clock::system());
    let mut journey = Journey { machine, http, print };

    let (user, token) = login(&mut journey).await?;
    profile(&mut journey, &user, &token).await?;
    phone(&mut journey, &user, &token).await?;
    order(&mut journey, &token).await?;
    card(&mut journey, &user, &token).await?;
    logout(&mut journey, &token).await
}

/// A person with a phone, who logs in: the person's name in the sandbox, and the token.
async fn login<P: FnMut(&str)>(journey: &mut Journey<'_, P>) -> Result<(String, String), DemoError> {
    let user = journey.sandbox("a person with a phone", "/sandbox/users", json!({ "unionid": true })).await?;
    let code = journey.sandbox("wx.login", "/sandbox/wx.login", json!({ "user": user["user"] })).await?;
    let login = journey.call("login", "login", None, json!({ "code": code["code"] })).await?;
    let again = journey.call("the same code again", "login", None, json!({ "code": code["code"] })).await?;
    journey.expect(again["token"] == login["token"], "the same code again", "the same session")?;
    journey.refusal("a bad code", "login", None, json!({ "code": "bad" }), ErrorCode::LoginCodeInvalid).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok((text(&user["user"]), text(&login["token"])))
}

/// What the user says of himself or herself.
async fn profile<P: FnMut(&str)>(journey: &mut Journey<'_, P>, user: &str, token: &str) -> Result<(), DemoError> {
    let token = Some(token);
    let step = "the session at work";
    let profile = journey.call(step, "user-info", token, json!({})).await?;
    journey.expect(profile["user"]["nickName"].is_null(), step, "a profile without a name")?;
    let mut wechat = journey.sandbox("wx.getUserProfile", "/sandbox/getUserProfile", json!({ "user": user })).await?;
    if let Some(fields) = wechat.as_object_mut() {
        fields.remove("errMsg");
    }
    journey.call("the profile that WeChat has signed", "user-info", token, wechat).await?;
    let step = "a name that the user has chosen";
    let profile = journey.call(step, "user-info", token, json!({ "nickName": "小明 🎉" })).await?;
    journey.expect(profile["user"]["nickName"] == "小明 🎉", step, "that name")?;
    journey.refusal("a wrong token", "user-info", Some("wrong"), json!({}), ErrorCode::SessionInvalid).await
}

/// The phone number, by both ways; and a token that WeChat has revoked meanwhile.
async fn phone<P: FnMut(&str)>(journey: &mut Journey<'_, P>, user: &str, token: &str) -> Result<(), DemoError> {
    let token = Some(token);
    let button = json!({ "user": user });
    let pressed = journey.sandbox("bindgetphonenumber", "/sandbox/getPhoneNumber", button.clone()).await?;
    let code = json!({ "code": pressed["code"] });
    let by_code = journey.call("the phone number, by code", "phone-decrypt", token, code.clone()).await?;
    let data = json!({ "encryptedData": pressed["encryptedData"], "iv": pressed["iv"] });
    let step = "the phone number, encrypted";
    let by_data = journey.call(step, "phone-decrypt", token, data).await?;
    journey.expect(by_code == by_data, step, "the same number")?;
    journey.refusal("a phone code that was used", "phone-decrypt", token, code, ErrorCode::PhoneCodeInvalid).await?;
    let step = "the access token is revoked";
    let revoked = journey.sandbox(step, "/sandbox/tokens/revoke", json!({})).await?;
    journey.expect(revoked["revoked"] == true, step, "a token that there was")?;
    let pressed = journey.sandbox("bindgetphonenumber", "/sandbox/getPhoneNumber", button).await?;
    let code = json!({ "code": pressed["code"] });
    journey.call("nobody notices", "phone-decrypt", token, code).await.map(|_| ())
}

/// An order that is paid, and WeChat Pay's notification of it; and one whose notification never comes.
async fn order<P: FnMut(&str)>(journey: &mut Journey<'_, P>, token: &str) -> Result<(), DemoError> {
    let items = json!({ "items": [{ "sku": "demo-sticker", "quantity": 2 }, { "sku": "demo-mug", "quantity": 1 }] });
    let order = journey.order("an order", "demo-1", token, items.clone()).await?;
    let step = "a double click";
    let again = journey.order(step, "demo-1", token, items.clone()).await?;
    let same = order["outTradeNo"] == again["outTradeNo"] && order["totalFen"] == 4100;
    journey.expect(same, step, "the same order, at our prices")?;
    journey.pay(&order).await?;
    journey.notified(&order).await?;
    journey.is_paid("WeChat Pay has told us", token, &order).await?;
    let off = Request::put(format!("{}/sandbox/notifications", journey.machine.wechat_url()));
    journey.exchange("notifications get lost", off, json!({ "enabled": false }), StatusCode::OK).await?;
    let order = journey.order("another order", "demo-2", token, items).await?;
    journey.pay(&order).await?;
    journey.is_paid("so WeChat Pay is asked", token, &order).await?;
    refund(journey, token, &order).await
}

/// A part of an order is refunded, and nobody is told: the sweep finds out.
async fn refund<P: FnMut(&str)>(journey: &mut Journey<'_, P>, token: &str, order: &Value) -> Result<(), DemoError> {
    let wish = json!({
        "outTradeNo": order["outTradeNo"], "refundFen": 200, "requestId": "demo-1", "reason": "两张贴纸坏了",
    });
    let step = "a part is refunded";
    let refund = journey.invoke(step, "refund-order", wish).await?;
    journey.expect(refund["status"] == "PROCESSING", step, "PROCESSING")?;
    let step = "the sweep asks what became of it";
    let swept = journey.invoke(step, "order-sweeper", json!({ "minAgeSecs": 0 })).await?;
    journey.expect(swept["healed"] == 1 && swept["failures"] == 0, step, "one that is healed")?;
    let step = "the order is partly refunded";
    let reply = journey.query(step, token, order).await?;
    journey.expect(reply["status"] == "REFUND" && reply["refundedFen"] == 200, step, "200 fen of 4100")
}

/// Cards of each kind, and a sign-in at the official account that owns them.
async fn card<P: FnMut(&str)>(journey: &mut Journey<'_, P>, user: &str, token: &str) -> Result<(), DemoError> {
    let token = Some(token);
    journey.call("a card", "card-ext", token, json!({ "cardId": "pDemoCardWithCodesOfWechat000" })).await?;
    let step = "a card with a code of ours";
    journey.call(step, "card-ext", token, json!({ "cardId": "pDemoCardWithCodesOfServer000" })).await?;
    let bound = json!({ "cardId": "pDemoCardWithCodesOfClient000", "code": "0001", "openid": true });
    let step = "a card for this user only";
    journey.refusal(step, "card-ext", token, bound.clone(), ErrorCode::OpenidUnknown).await?;
    let authorize = json!({ "user": user, "appId": OFFICIAL_ACCOUNT });
    let code = journey.sandbox("the official account's page", "/sandbox/oauth2/authorize", authorize).await?;
    let oauth = json!({ "code": code["code"], "appId": OFFICIAL_ACCOUNT });
    journey.call("login at the official account", "login", None, oauth).await?;
    let card = journey.call(step, "card-ext", token, bound).await?;
    let has_openid = card["cardExt"].as_str().is_some_and(|card| card.contains("openid"));
    journey.expect(has_openid, step, "the openid in the cardExt")
}

async fn logout<P: FnMut(&str)>(journey: &mut Journey<'_, P>, token: &str) -> Result<(), DemoError> {
    let token = Some(token);
    journey.call("logout", "logout", token, json!({ "all": true })).await?;
    journey.refusal("the session has ended", "user-info", token, json!({}), ErrorCode::SessionInvalid).await
}
