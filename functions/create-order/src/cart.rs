//! What a user wants to buy, and what that costs. Prices are the table's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::error::{ApiError, ErrorCode};
use shared::fen::Fen;
use shared::hex::sha256_hex;
use shared::json::Object;
use shared::store::orders::Line;
use shared::store::{Product, Sku};
use shared::wechat::AppId;

/// The most products of one order. A transaction of DynamoDB has room for twice as many.
const MOST_ITEMS: usize = 50;
const MOST_OF_ONE: i64 = 9999;
/// The largest total: what a 32-bit integer holds, which WeChat Pay's interfaces have for amounts.
const LARGEST_TOTAL: Fen = Fen::new(i32::MAX as u64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    sku: Sku,
    quantity: Quantity,
}

/// A whole number, of any size yet: what is too large for 64 bits is too large for an order.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
struct Quantity(i64);

impl TryFrom<Box<RawValue>> for Quantity {
    type Error = &'static str;

    fn try_from(json: Box<RawValue>) -> Result<Self, Self::Error> {
        let digits = json.get().strip_prefix('-').unwrap_or(json.get());
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_integer.then(|| Self(json.get().parse().unwrap_or(i64::MAX))).ok_or("not an integer")
    }
}

/// Products and quantities, each product once.
#[derive(Debug)]
pub(crate) struct Cart(Vec<(Sku, u64)>);

impl Cart {
    /// Checks what the client sent.
    ///
    /// # Errors
    ///
    /// `invalid_request` or `quantity_invalid`.
    pub(crate) fn new(items: Vec<Object<Item>>) -> Result<Self, ApiError> {
        if !(1..=MOST_ITEMS).contains(&items.len()) {
            return Err(ApiError::invalid_request("field `items` has not 1 to 50 items"));
        }
        let mut cart: Vec<(Sku, u64)> = Vec::with_capacity(items.len());
        for Object(item) in items {
            if cart.iter().any(|(sku, _)| *sku == item.sku) {
                return Err(ApiError::invalid_request("field `items` has a sku twice"));
            }
            let quantity = Some(item.quantity.0).filter(|quantity| (1..=MOST_OF_ONE).contains(quantity));
            let quantity = quantity.and_then(|quantity| u64::try_from(quantity).ok());
            let Some(quantity) = quantity else {
                let message = format!("the quantity of `{}` is not from 1 to {MOST_OF_ONE}", item.sku.as_str());
                return Err(refusal(ErrorCode::QuantityInvalid, message));
            };
            cart.push((item.sku, quantity));
        }
        Ok(Self(cart))
    }

    pub(crate) fn skus(&self) -> impl Iterator<Item = &Sku> {
        self.0.iter().map(|(sku, _)| sku)
    }

    /// The same for the same products and quantities in the same app, in whatever order. No sku has a control character.
    pub(crate) fn digest(&self, app_id: &AppId) -> String {
        let mut lines: Vec<_> = self.0.iter().map(|(sku, quantity)| format!("{}\t{quantity}", sku.as_str())).collect();
        lines.sort_unstable();
        let text = format!("{}\n{}", app_id.as_str(), lines.join("\n"));
        sha256_hex(text.as_bytes())
    }

    /// The lines of an order at the prices of `products`, and their total.
    ///
    /// # Errors
    ///
    /// `product_unknown`, `out_of_stock`; `quantity_invalid` if the total is too large, with the sku that makes it so;
    /// or `invalid_request` if it is 0.
    pub(crate) fn price(&self, products: &[Product]) -> Result<Priced, ApiError> {
        let lines = self.0.iter().map(|(sku, quantity)| {
            let product = products.iter().find(|product| product.sku == *sku);
            // The sku is what the client says, so it is not for the log.
            let unknown = || refusal(ErrorCode::ProductUnknown, format!("there is no product `{}`", sku.as_str()));
            line(product.ok_or_else(unknown)?, *quantity)
        });
        let lines = lines.collect::<Result<Vec<_>, ApiError>>()?;
        match lines.iter().try_fold(Fen::ZERO, with)? {
            Fen::ZERO => Err(ApiError::invalid_request("the total is 0, and there is nothing to pay")),
            total => Ok(Priced { lines, total }),
        }
    }
}

/// A product of which there is not enough.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is not enough of `{0}` in stock")]
struct NotEnough(String);

fn refusal(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError { message: message.into(), ..ApiError::new(code) }
}

/// What a line makes of the total.
fn with(total: Fen, line: &Line) -> Result<Fen, ApiError> {
    let sum = line.price.checked_mul(line.quantity).and_then(|price| total.checked_add(price));
    sum.filter(|sum| *sum <= LARGEST_TOTAL).ok_or_else(|| {
        refusal(ErrorCode::QuantityInvalid, format!("with `{}` the total is too large", line.sku.as_str()))
    })
}

fn line(product: &Product, quantity: u64) -> Result<Line, ApiError> {
    if product.stock.is_some_and(|stock| stock < quantity) {
        let reason = NotEnough(product.sku.as_str().to_owned());
        return Err(refusal(ErrorCode::OutOfStock, reason.to_string()).with_source(reason));
    }
    Ok(Line {
        sku: product.sku.clone(),
        name: product.name.clone(),
        price: product.price,
        quantity,
        is_limited: product.stock.is_some(),
    })
}

/// A cart with prices.
pub(crate) struct Priced {
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Fen,
}

impl Priced {
    /// What the payer reads: the first product, and how many things there are in all.
    pub(crate) fn description(&self) -> String {
        let first = self.lines.first().map(|line| line.name.as_str()).unwrap_or_default();
        match self.lines.iter().map(|line| line.quantity).sum() {
            1_u64 => first.to_owned(),
            things => format!("{first} 等{things}件"),
        }
    }
}
