#![doc = include_str!("../README.md")]

mod attempt;
mod elsewhere;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::direct::{DirectFunction, Invocation};
use shared::env::ConfigError;
use shared::error::ApiError;
use shared::fen::Fen;
use shared::healing::Healer;
use shared::setup::Setup;
use shared::store::orders::Source;
use shared::store::{Orders, Refunds};
use shared::wechat::is_visible_ascii;
use shared::wechatpay::v3::{PayClient, is_reason};
use shared::wechatpay::{Merchant, NotifyUrl, OutRefundNo, OutTradeNo};

use crate::attempt::Attempt;

/// Characters of a `requestId`, as those of an `Idempotency-Key`.
const LONGEST_REQUEST_ID: usize = 64;

/// The function `refund-order`.
#[derive(Debug)]
pub struct RefundOrder {
    orders: Orders,
    refunds: Refunds,
    healer: Healer,
    pay: PayClient,
    merchant: Arc<Merchant>,
    notify_url: NotifyUrl,
    clock: Clock,
}

/// What it takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RefundInput {
    out_trade_no: OutTradeNo,
    refund_fen: Fen,
    request_id: String,
    reason: Option<String>,
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundReply {
    out_refund_no: String,
    /// WeChat Pay's: `PROCESSING`, `SUCCESS`, `CLOSED` or `ABNORMAL`.
    status: &'static str,
}

impl DirectFunction for RefundOrder {
    const NAME: &'static str = "refund-order";
    /// Three rounds of asking and querying.
    const WITHIN: Duration = Duration::from_secs(25);
    type Input = RefundInput;
    type Reply = RefundReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock, hosts) = (setup.table()?, setup.clock().clone(), setup.wechatpay()?);
        let (notify_url, merchant) = (setup.notify_url()?, Arc::new(setup.merchant().await?));
        Ok(Self {
            orders: Orders::new(table.clone()),
            refunds: Refunds::new(table.clone()),
            healer: Healer::new(table.clone(), clock.clone(), Source::Refund),
            pay: PayClient::new(hosts, Arc::clone(&merchant), table, clock.clone()),
            merchant,
            notify_url,
            clock,
        })
    }

    async fn call(&self, invocation: &Invocation, input: RefundInput) -> Result<RefundReply, ApiError> {
        if input.refund_fen == Fen::ZERO {
            return Err(ApiError::invalid_request("field `refundFen` is from 1"));
        }
        if !is_visible_ascii(&input.request_id, LONGEST_REQUEST_ID) {
            return Err(ApiError::invalid_request("field `requestId` is 1 to 64 visible ASCII characters"));
        }
        if !input.reason.as_deref().is_none_or(is_reason) {
            return Err(ApiError::invalid_request(
                "field `reason` is 1 to 80 bytes, without emoji and control characters",
            ));
        }
        let number = OutRefundNo::of_request(&input.out_trade_no, &input.request_id);
        let state = Attempt::new(self, invocation, &input, &number).run().await?;
        Ok(RefundReply { out_refund_no: number.as_str().to_owned(), status: state.as_str() })
    }
}
