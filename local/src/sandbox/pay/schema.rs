//! The fields of requests, as the documentation of `POST /v3/pay/transactions/jsapi` and of
//! `POST /v3/refund/domestic/refunds` lists them.

use serde_json::Value;

use super::reply::Reply;

/// What a field takes. Texts are measured in characters.
enum Kind {
    Bool,
    Number { least: i64, most: i64 },
    Object(&'static [Field]),
    Objects(&'static [Field]),
    Text { least: usize, most: usize },
    Texts,
}

struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn text(most: usize) -> Kind {
    Kind::Text { least: 1, most }
}

/// The most that WeChat Pay's `int` can be.
const INT32_MAX: i64 = 2_147_483_647;

const ORDER: &[Field] = &[
    must("appid", text(32)),
    must("mchid", text(32)),
    must("description", text(127)),
    must("out_trade_no", Kind::Text { least: 6, most: 32 }),
    may("time_expire", text(64)),
    may("attach", Kind::Text { least: 0, most: 128 }),
    must("notify_url", text(255)),
    may("goods_tag", text(32)),
    may("limit_pay", Kind::Texts),
    may("support_fapiao", Kind::Bool),
    must("amount", Kind::Object(AMOUNT)),
    must("payer", Kind::Object(PAYER)),
    may("detail", Kind::Object(DETAIL)),
    may("scene_info", Kind::Object(SCENE)),
    may("settle_info", Kind::Object(SETTLE)),
];

const AMOUNT: &[Field] = &[must("total", Kind::Number { least: 1, most: INT32_MAX }), may("currency", text(16))];

const PAYER: &[Field] = &[must("openid", text(128))];

const DETAIL: &[Field] = &[
    may("cost_price", Kind::Number { least: 0, most: INT32_MAX }),
    may("invoice_id", text(32)),
    may("goods_detail", Kind::Objects(GOODS)),
];

const GOODS: &[Field] = &[
    must("merchant_goods_id", text(32)),
    may("wechatpay_goods_id", text(32)),
    may("goods_name", text(256)),
    must("quantity", Kind::Number { least: 1, most: INT32_MAX }),
    must("unit_price", Kind::Number { least: 0, most: INT32_MAX }),
];

const SCENE: &[Field] =
    &[must("payer_client_ip", text(45)), may("device_id", text(32)), may("store_info", Kind::Object(STORE))];

const STORE: &[Field] =
    &[must("id", text(32)), may("name", text(256)), may("area_code", text(32)), may("address", text(512))];

const SETTLE: &[Field] = &[may("profit_sharing", Kind::Bool)];

const CLOSING: &[Field] = &[must("mchid", text(32))];

const REFUND: &[Field] = &[
    may("transaction_id", text(32)),
    may("out_trade_no", Kind::Text { least: 6, most: 32 }),
    must("out_refund_no", text(64)),
    may("reason", text(80)),
    may("notify_url", Kind::Text { least: 8, most: 256 }),
    may("funds_account", text(32)),
    must("amount", Kind::Object(REFUND_AMOUNT)),
    may("goods_detail", Kind::Objects(REFUND_GOODS)),
];

const REFUND_AMOUNT: &[Field] = &[
    must("refund", Kind::Number { least: 1, most: INT32_MAX }),
    may("from", Kind::Objects(FROM)),
    must("total", Kind::Number { least: 1, most: INT32_MAX }),
    must("currency", text(16)),
];

const FROM: &[Field] = &[must("account", text(32)), must("amount", Kind::Number { least: 1, most: INT32_MAX })];

const REFUND_GOODS: &[Field] = &[
    must("merchant_goods_id", text(32)),
    may("wechatpay_goods_id", text(32)),
    may("goods_name", text(256)),
    must("unit_price", Kind::Number { least: 0, most: INT32_MAX }),
    must("refund_amount", Kind::Number { least: 0, most: INT32_MAX }),
    must("refund_quantity", Kind::Number { least: 1, most: INT32_MAX }),
];

/// The body of a request for a refund.
pub(super) fn refund(body: &[u8]) -> Result<Value, Reply> {
    parse(body, REFUND)
}

/// The body of a request for an order.
pub(super) fn order(body: &[u8]) -> Result<Value, Reply> {
    parse(body, ORDER)
}

/// The body of a request that closes one.
pub(super) fn closing(body: &[u8]) -> Result<Value, Reply> {
    parse(body, CLOSING)
}

fn parse(body: &[u8], fields: &[Field]) -> Result<Value, Reply> {
    let not_json = || Reply::refusal(400, "PARAM_ERROR", "请求体不是合法的JSON格式");
    let value: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
    if !value.is_object() {
        return Err(not_json());
    }
    check_object(&value, fields, "").map_err(|(field, issue)| Reply::bad_field(&value, &field, issue))?;
    Ok(value)
}

/// The field that is wrong, as a JSON pointer, and what is.
type Wrong = (String, &'static str);

fn check_object(value: &Value, fields: &[Field], at: &str) -> Result<(), Wrong> {
    let object = value.as_object().ok_or((at.to_owned(), "not an object"))?;
    for (name, value) in object {
        let at = format!("{at}/{name}");
        match fields.iter().find(|field| field.name == name) {
            Some(field) => check(value, &field.kind, &at)?,
            None => return Err((at, "unknown field")),
        }
    }
    let missing = fields.iter().find(|field| field.required && !object.contains_key(field.name));
    missing.map_or(Ok(()), |field| Err((format!("{at}/{}", field.name), "missing")))
}

fn check(value: &Value, kind: &Kind, at: &str) -> Result<(), Wrong> {
    let problem = match (kind, value) {
        (_, Value::Null) => Some("null"),
        (Kind::Object(fields), _) => return check_object(value, fields, at),
        (Kind::Objects(fields), Value::Array(values)) => {
            return values.iter().zip(0..).try_for_each(|(value, n)| check_object(value, fields, &format!("{at}/{n}")));
        }
        (Kind::Text { least, most }, Value::String(text)) => text_problem(text, *least, *most),
        (Kind::Texts, Value::Array(values)) => {
            return values.iter().zip(0..).try_for_each(|(value, n)| check(value, &text(32), &format!("{at}/{n}")));
        }
        (Kind::Number { least, most }, value) => match value.as_i64() {
            Some(number) if number < *least => Some("too small"),
            Some(number) if number > *most => Some("too large"),
            Some(_) => None,
            None => Some("not an integer"),
        },
        (Kind::Bool, Value::Bool(_)) => None,
        _ => Some("of the wrong type"),
    };
    problem.map_or(Ok(()), |problem| Err((at.to_owned(), problem)))
}

fn text_problem(text: &str, least: usize, most: usize) -> Option<&'static str> {
    match text.chars().count() {
        length if length < least => Some("too short"),
        length if length > most => Some("too long"),
        _ if text.chars().any(|character| character.len_utf8() > 3) => Some("a character of four bytes"),
        _ => None,
    }
}
