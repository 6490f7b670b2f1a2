#![doc = include_str!("../README.md")]

mod attempt;
mod cart;
mod memory;
mod payment;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::healing::Healer;
use shared::http::{Call, HttpFunction};
use shared::json::Object;
use shared::session::authenticate;
use shared::setup::Setup;
use shared::store::orders::{IdempotentRequest, Source};
use shared::store::{Orders, Products, Sessions};
use shared::wechat::is_visible_ascii;
use shared::wechatpay::v3::{PayClient, RequestPayment};
use shared::wechatpay::{Merchant, NotifyUrl};

use crate::attempt::Attempt;
use crate::cart::{Cart, Item};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The most characters of an `Idempotency-Key`.
const LONGEST_KEY: usize = 64;

/// The function `create-order`.
#[derive(Debug)]
pub struct CreateOrder {
    sessions: Sessions,
    orders: Orders,
    products: Products,
    healer: Healer,
    pay: PayClient,
    merchant: Arc<Merchant>,
    notify_url: NotifyUrl,
    order_ttl: Duration,
    max_open_orders: u32,
    clock: Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateOrderInput {
    items: Vec<Object<Item>>,
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateOrderReply {
    out_trade_no: String,
    total_fen: u64,
    payment: RequestPayment,
}

impl HttpFunction for CreateOrder {
    const NAME: &'static str = "create-order";
    type Reply = CreateOrderReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock, hosts) = (setup.table()?, setup.clock().clone(), setup.wechatpay()?);
        let (notify_url, order_ttl) = (setup.notify_url()?, setup.order_ttl()?);
        let max_open_orders = setup.max_open_orders()?;
        let merchant = Arc::new(setup.merchant().await?);
        let pay = PayClient::new(hosts, Arc::clone(&merchant), table.clone(), clock.clone());
        let healer = Healer::new(table.clone(), clock.clone(), Source::Query);
        let (sessions, orders) = (Sessions::new(table.clone(), clock.clone()), Orders::new(table.clone()));
        let products = Products::new(table);
        Ok(Self { sessions, orders, products, healer, pay, merchant, notify_url, order_ttl, max_open_orders, clock })
    }

    async fn call(&self, call: &Call) -> Result<CreateOrderReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let app = session.mini_program().ok_or_else(|| ApiError::new(ErrorCode::WrongAppKind))?;
        let key = idempotency_key(call.headers())?;
        let input: CreateOrderInput = call.input()?;
        let cart = Cart::new(input.items)?;
        let digest = cart.digest(app.as_app_id());
        let request = IdempotentRequest { user_id: &session.user_id, key, digest: &digest };
        Attempt::new(self, call, &session, request, &cart).run().await
    }
}

/// The one `Idempotency-Key`.
fn idempotency_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (values.next(), values.next()) {
        (Some(key), None) => key.to_str().ok().filter(|key| is_visible_ascii(key, LONGEST_KEY)),
        _ => None,
    };
    key.ok_or_else(|| ApiError::invalid_request("header `Idempotency-Key` is not 1 to 64 visible ASCII characters"))
}
