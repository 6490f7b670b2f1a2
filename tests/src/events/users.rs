//! Functions that know who calls.

use serde_json::{Value, json};

use super::{Case, code_invalid, error, unauthorized};

const STALE: &str = "the data is not of this session; log in and ask the user again";

pub(super) fn login() -> Vec<Case> {
    let user = json!({
        "statusCode": 200, "expiresIn": 604_800, "user": { "isNew": false, "hasUnionId": false, "phoneNumber": null },
    });
    vec![
        ("valid", user.clone()),
        ("valid-base64", user.clone()),
        ("with-app-id", user.clone()),
        ("function-url", user),
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
    ]
}

pub(super) fn user_info() -> Vec<Case> {
    let user = |nick_name: Value, avatar_url: Value| {
        let user = json!({ "nickName": nick_name, "avatarUrl": avatar_url, "hasUnionId": false, "phoneNumber": null });
        json!({ "statusCode": 200, "user": user })
    };
    vec![
        ("valid", user(Value::Null, Value::Null)),
        ("set-profile", user("小明 👨‍👩‍👧‍👦".into(), "https://example.com/avatar.png".into())),
        ("wechat-profile", user("Demo".into(), "https://thirdwx.qlogo.cn/mmopen/vi_32/demo/132".into())),
        ("user-profile", user("Demo".into(), "https://thirdwx.qlogo.cn/mmopen/vi_32/demo/132".into())),
        ("bad-avatar", error(400, "invalid_request", "field `avatarUrl` is not valid")),
        ("bad-signature", error(409, "session_key_stale", STALE)),
        ("no-session", unauthorized()),
        ("wrong-session", unauthorized()),
        ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
    ]
}

pub(super) fn logout() -> Vec<Case> {
    vec![
        ("valid", json!({ "statusCode": 200 })),
        ("all", json!({ "statusCode": 200 })),
        ("no-session", unauthorized()),
        ("malformed", error(400, "invalid_request", "field `all` is not valid")),
    ]
}

pub(super) fn phone_decrypt() -> Vec<Case> {
    let number = json!({
        "statusCode": 200, "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
    });
    vec![
        ("valid", number.clone()),
        ("encrypted-data", number),
        ("stale-data", error(409, "session_key_stale", STALE)),
        ("bad-code", code_invalid("phone_code_invalid")),
        ("both", error(400, "invalid_request", "field `code` goes without `encryptedData` and `iv`")),
        ("malformed-data", error(400, "invalid_request", "field `encryptedData` is not valid")),
        ("malformed-iv", error(400, "invalid_request", "field `iv` is not valid")),
        ("no-session", unauthorized()),
        ("unknown-field", error(400, "invalid_request", "unknown field `openid`")),
    ]
}

pub(super) fn card_ext() -> Vec<Case> {
    let signed = |codes: &str, ext: Value| json!({ "statusCode": 200, "cardId": format!("pDemoCardWithCodesOf{codes}000"), "cardExt": ext });
    let extras = json!({ "outer_str": "sample", "fixed_begintimestamp": 1_795_231_800 });
    let chosen = "field `code` is not the client's to choose for this card";
    let unknown = "the user has not signed in at the official account yet";
    vec![
        ("valid", signed("Wechat", extras)),
        ("server-code", signed("Server", json!({}))),
        ("client-code", signed("Client", json!({ "code": "1434008071" }))),
        ("missing-code", error(400, "invalid_request", "missing field `code`, which this card needs")),
        ("unexpected-code", error(400, "invalid_request", chosen)),
        ("unknown-card", error(400, "card_unknown", "there is no such card")),
        ("openid-unknown", error(409, "openid_unknown", unknown)),
        ("no-session", unauthorized()),
    ]
}
