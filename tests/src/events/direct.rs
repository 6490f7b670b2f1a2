//! Functions that are invoked directly.

use local::demo_order::DEMO_PAID_ORDER;
use serde_json::{Value, json};
use shared::wechatpay::{OutRefundNo, OutTradeNo};

use super::Case;
use crate::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};

pub(super) fn token_refresher() -> Vec<Case> {
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
    vec![
        ("scheduled", all.clone()),
        ("eventbridge-rule", all.clone()),
        ("eventbridge-scheduler", all),
        ("one-token", one.clone()),
        ("after-refusal", one),
        ("ticket", refreshed(&[(official_account, "wx_card")])),
        ("unknown-app", refused("invalid_request", "field `appId` is not an app of this backend")),
        ("malformed", refused("invalid_request", "field `kind` is not valid")),
    ]
}

pub(super) fn order_sweeper() -> Vec<Case> {
    let nothing = json!({ "checked": 0, "healed": 0, "closed": 0, "failures": 0 });
    vec![
        ("scheduled", nothing.clone()),
        ("eventbridge-scheduler", nothing.clone()),
        ("any-age", nothing),
        ("malformed", refused("invalid_request", "field `minAgeSecs` is not valid")),
    ]
}

pub(super) fn refund_order() -> Vec<Case> {
    let refund = |request_id: &str| {
        let order = OutTradeNo::try_from(DEMO_PAID_ORDER.to_owned()).unwrap();
        let number = OutRefundNo::of_request(&order, request_id);
        json!({ "outRefundNo": number.as_str(), "status": "PROCESSING" })
    };
    let reason = "field `reason` is 1 to 80 bytes, without emoji and control characters";
    vec![
        ("too-much", refused("refund_exceeds_paid", "that is more than is left of the payment")),
        ("valid", refund("return-1")),
        ("request-id-reused", refused("idempotency_key_reused", "the key was used with another request")),
        ("another-part", refund("return-2")),
        ("unpaid", refused("refund_refused", "the order is not paid")),
        ("unknown-order", refused("not_found", "there is no such thing")),
        ("not-an-integer", refused("invalid_request", "field `refundFen` is not valid")),
        ("nothing", refused("invalid_request", "field `refundFen` is from 1")),
        ("emoji-reason", refused("invalid_request", reason)),
    ]
}

fn refused(code: &str, message: &str) -> Value {
    json!({ "functionError": { "errorType": code, "errorMessage": message } })
}
