#![doc = include_str!("../README.md")]

mod order;
mod refund;
mod run;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};
use shared::cause;
use shared::clock::Clock;
use shared::direct::{DirectFunction, Invocation};
use shared::env::ConfigError;
use shared::error::ApiError;
use shared::healing::Healer;
use shared::log::Metric;
use shared::setup::Setup;
use shared::store::orders::Source;
use shared::store::sweep::{SHARDS, Sweep};
use shared::store::{Orders, Refunds, StoreError};
use shared::wechatpay::v3::PayClient;

use crate::run::{Counts, Run};

/// How old an unpaid order is before WeChat Pay is asked, in seconds, if nobody says it: until then there is a
/// notification, or `query-order`.
const DEFAULT_MIN_AGE_SECS: u64 = 60;

/// The function `order-sweeper`.
#[derive(Debug)]
pub struct OrderSweeper {
    sweep: Sweep,
    orders: Orders,
    refunds: Refunds,
    healer: Healer,
    pay: PayClient,
    clock: Clock,
}

/// What it takes: nothing at all, or how old an unpaid order has to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SweepInput {
    min_age_secs: Option<u64>,
}

/// The reply: how many orders and refunds.
#[derive(Serialize)]
pub struct SweepReply {
    /// WeChat Pay was asked about.
    checked: u32,
    /// Were paid, or settled.
    healed: u32,
    /// Were closed.
    closed: u32,
    /// Are still open where they should not be, or could not be looked at.
    failures: u32,
}

impl DirectFunction for OrderSweeper {
    const NAME: &'static str = "order-sweeper";
    /// The schedule's next run begins after a minute.
    const WITHIN: Duration = Duration::from_secs(50);
    type Input = SweepInput;
    type Reply = SweepReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (table, clock, hosts) = (setup.table()?, setup.clock().clone(), setup.wechatpay()?);
        let merchant = Arc::new(setup.merchant().await?);
        Ok(Self {
            sweep: Sweep::new(table.clone()),
            orders: Orders::new(table.clone()),
            refunds: Refunds::new(table.clone()),
            healer: Healer::new(table.clone(), clock.clone(), Source::Sweep),
            pay: PayClient::new(hosts, merchant, table, clock.clone()),
            clock,
        })
    }

    async fn call(&self, invocation: &Invocation, input: SweepInput) -> Result<SweepReply, ApiError> {
        let run = Run::new(invocation, input.min_age_secs, &self.clock);
        let keys = self.pay.refresh_if_due(run.work, run.last_start);
        let (keys, shards) = join(keys, join_all((0..SHARDS).map(|shard| self.shard(shard, &run)))).await;
        let mut counts = Counts { failures: keys.is_err().into(), ..Counts::default() };
        let mut errors = Vec::new();
        for (of_shard, error) in shards {
            counts.add(&of_shard);
            errors.extend(error);
        }
        // Where nothing at all could be looked at, no count says why.
        if errors.len() == usize::from(SHARDS) && counts.checked == 0 {
            return errors.pop().map_or_else(|| Ok(self.report(&counts, &run)), |err| Err(err.into()));
        }
        for err in &errors {
            counts.failures += 1;
            let (function, request_id, cause) = (run.work.function, run.work.request_id, cause::chain(err));
            tracing::error!(function, requestId = request_id, cause, "a part of the index could not be read");
        }
        Ok(self.report(&counts, &run))
    }
}

impl OrderSweeper {
    /// What is due of a shard, one after the other, and why there is no more of it.
    async fn shard(&self, shard: u8, run: &Run<'_>) -> (Counts, Option<StoreError>) {
        let mut counts = Counts::default();
        let error = self.pages(shard, run, &mut counts).await.err();
        (counts, error)
    }

    fn report(&self, counts: &Counts, run: &Run<'_>) -> SweepReply {
        let Counts { checked, healed, closed, failures } = *counts;
        let (function, request_id) = (run.work.function, run.work.request_id);
        let is_complete = !run.has_stopped();
        tracing::info!(
            function,
            requestId = request_id,
            checked,
            healed,
            closed,
            failures,
            complete = is_complete,
            "swept"
        );
        if failures > 0 {
            Metric::SweepFailed.count(function, request_id);
        }
        if !is_complete {
            Metric::SweepIncomplete.count(function, request_id);
        }
        SweepReply { checked, healed, closed, failures }
    }
}
