//! Orders, and what WeChat Pay tells of them.

use local::demo_order::DEMO_ORDER;
use serde_json::json;

use super::{Case, error, unauthorized};

pub(super) fn create_order() -> Vec<Case> {
    let order = |total_fen: u64| json!({ "statusCode": 200, "totalFen": total_fen, "payment": { "signType": "RSA" } });
    let key = "header `Idempotency-Key` is not 1 to 64 visible ASCII characters";
    vec![
        ("valid", order(100)),
        ("several-items", order(4100)),
        ("key-reused", error(409, "idempotency_key_reused", "the key was used with another request")),
        ("missing-key", error(400, "invalid_request", key)),
        ("no-session", unauthorized()),
        ("unknown-product", error(400, "product_unknown", "there is no product `no-such-product`")),
        ("out-of-stock", error(409, "out_of_stock", "there is not enough of `demo-mug` in stock")),
        ("quantity-invalid", error(400, "quantity_invalid", "the quantity of `demo-sticker` is not from 1 to 9999")),
        ("quantity-not-an-integer", error(400, "invalid_request", "field `items[0].quantity` is not valid")),
        ("repeated-sku", error(400, "invalid_request", "field `items` has a sku twice")),
        ("own-price", error(400, "invalid_request", "unknown field `priceFen` of `items[0]`")),
    ]
}

pub(super) fn query_order() -> Vec<Case> {
    let unpaid = json!({
        "statusCode": 200, "status": "NOTPAY", "outTradeNo": DEMO_ORDER, "totalFen": 100, "refundedFen": 0, "transactionId": null,
        "paidAt": null,
    });
    vec![
        ("valid", unpaid),
        ("not-found", error(404, "not_found", "there is no such thing")),
        ("malformed", error(400, "invalid_request", "field `outTradeNo` is not valid")),
        ("no-session", unauthorized()),
    ]
}

pub(super) fn pay_notify() -> Vec<Case> {
    let taken = |order: &str| json!({ "statusCode": 204, "order": order });
    let refused = json!({ "statusCode": 401, "code": "FAIL", "message": "not verified", "order": "REFUND" });
    vec![
        ("wrong-amount", taken("NOTPAY")),
        ("valid", taken("SUCCESS")),
        ("unknown-order", taken("SUCCESS")),
        ("refund", taken("REFUND")),
        ("signtest", refused.clone()),
        ("stale", refused.clone()),
        ("tampered", refused.clone()),
        ("not-json", refused),
    ]
}
