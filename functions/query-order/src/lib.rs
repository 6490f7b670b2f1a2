#![doc = include_str!("../README.md")]

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::cause;
use shared::clock::Timestamp;
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::healing::{Asked, Healer};
use shared::http::{Call, HttpFunction};
use shared::session::authenticate;
use shared::settlement::Work;
use shared::setup::Setup;
use shared::store::orders::Source;
use shared::store::{Orders, Sessions, StoreError};
use shared::wechatpay::OutTradeNo;
use shared::wechatpay::v3::PayClient;

/// How long an answer from the table may wait for WeChat Pay's.
const ASK_WITHIN: Duration = Duration::from_secs(6);

/// The function `query-order`.
#[derive(Debug)]
pub struct QueryOrder {
    sessions: Sessions,
    orders: Orders,
    healer: Healer,
    pay: PayClient,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct QueryOrderInput {
    out_trade_no: OutTradeNo,
}

/// The reply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryOrderReply {
    out_trade_no: String,
    status: &'static str,
    total_fen: u64,
    refunded_fen: u64,
    transaction_id: Option<String>,
    paid_at: Option<String>,
}

impl HttpFunction for QueryOrder {
    const NAME: &'static str = "query-order";
    type Reply = QueryOrderReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock, hosts) = (setup.table()?, setup.clock().clone(), setup.wechatpay()?);
        let pay = PayClient::new(hosts, Arc::new(setup.merchant().await?), table.clone(), clock.clone());
        let (orders, healer) = (Orders::new(table.clone()), Healer::new(table.clone(), clock.clone(), Source::Query));
        Ok(Self { sessions: Sessions::new(table, clock), orders, healer, pay })
    }

    async fn call(&self, call: &Call) -> Result<QueryOrderReply, ApiError> {
        let session = authenticate(&self.sessions, call).await?;
        let input: QueryOrderInput = call.input()?;
        let order = self.orders.find(&input.out_trade_no, call.deadline()).await?;
        let own = order.filter(|order| order.user_id == session.user_id);
        let mut order = own.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
        let work = Work { function: Self::NAME, request_id: call.request_id() };
        let asked = self.healer.ask(&self.pay, &mut order, work, call.deadline().at_most(ASK_WITHIN)).await;
        match asked {
            // Whatever is not known, the table's answer is no worse than it was a moment ago.
            Ok(
                Asked::Agreed
                | Asked::Forgotten
                | Asked::NoAnswer(_)
                | Asked::NoSuchOrder
                | Asked::NotNow
                | Asked::Unclear,
            ) => {}
            Err(err @ StoreError::Busy(_)) => {
                let cause = cause::chain(&err);
                tracing::warn!(function = Self::NAME, requestId = call.request_id(), cause, "answered from the table");
            }
            Err(err) => return Err(err.into()),
        }
        let payment = order.payment;
        Ok(QueryOrderReply {
            out_trade_no: order.out_trade_no.as_str().to_owned(),
            status: order.state.as_str(),
            total_fen: order.total.as_u64(),
            refunded_fen: order.refunded.as_u64(),
            paid_at: payment.as_ref().map(|payment| payment.paid_at).map(Timestamp::to_rfc3339_china),
            transaction_id: payment.map(|payment| payment.transaction_id),
        })
    }
}
