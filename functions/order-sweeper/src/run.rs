//! One run: what of the index it takes, until when, and what it has done so far.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::cause;
use shared::clock::{Clock, Moment, Timestamp};
use shared::deadline::Deadline;
use shared::direct::Invocation;
use shared::log::Metric;
use shared::settlement::Work;
use shared::store::StoreError;
use shared::store::sweep::{Due, Start};
use shared::wechatpay::OutRefundNo;
use shared::wechatpay::v3::{PayCode, PayError, PayRefusal};

use crate::{DEFAULT_MIN_AGE_SECS, OrderSweeper};

/// The longest that one order or refund may take, so that one that hangs leaves time for others.
const EACH: Duration = Duration::from_secs(9);

/// What has not come to its end so long after it should have is for a person to look at.
const STUCK_AFTER: Duration = Duration::from_secs(3600);

/// How long a refund may take that WeChat Pay has accepted: a bank up to three working days, and a weekend may be in
/// between.
/// Source: WeChat Pay v3, "Query a refund".
const BANKS_TAKE: Duration = Duration::from_secs(5 * 24 * 3600);

/// When something is asked about again of which WeChat Pay told nothing.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) work: Work<'a>,
    /// When the last one is begun: what is left then is for that.
    pub(crate) last_start: Deadline,
    deadline: Deadline,
    /// What is due later is for a later run. `None` if somebody wants all of it now.
    until: Option<Moment>,
    min_age_secs: u64,
    now: Timestamp,
    too_often: AtomicBool,
    out_of_time: AtomicBool,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) checked: u32,
    pub(crate) healed: u32,
    pub(crate) closed: u32,
    pub(crate) failures: u32,
}

/// What became of one order or refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is closed, and was not.
    Closed,
    /// It is still open, and should not be, or nobody knows.
    Failed,
    /// It is paid or settled, and was not.
    Healed,
    /// It is open, as it may be.
    Open,
    /// Somebody else has it, or it needs nobody any more.
    Skipped,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.healed += other.healed;
        self.closed += other.closed;
        self.failures += other.failures;
    }

    fn count(&mut self, outcome: Outcome) {
        self.checked += u32::from(outcome != Outcome::Skipped);
        match outcome {
            Outcome::Closed => self.closed += 1,
            Outcome::Failed => self.failures += 1,
            Outcome::Healed => self.healed += 1,
            Outcome::Open | Outcome::Skipped => {}
        }
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(invocation: &'a Invocation, min_age_secs: Option<u64>, clock: &Clock) -> Self {
        let deadline = invocation.deadline().leaving(Duration::from_millis(500));
        Self {
            work: Work { function: invocation.function(), request_id: invocation.request_id() },
            last_start: deadline.leaving(EACH),
            deadline,
            until: min_age_secs.is_none().then(|| clock.moment()),
            min_age_secs: min_age_secs.unwrap_or(DEFAULT_MIN_AGE_SECS),
            now: clock.timestamp(),
            too_often: AtomicBool::new(false),
            out_of_time: AtomicBool::new(false),
        }
    }

    /// Whether something is for this run. Refunds have no least age.
    fn takes(&self, due: &Due) -> bool {
        due.out_refund_no.is_some() || self.now.secs_since(due.created_at) >= self.min_age_secs
    }

    /// Whether nothing more is begun: there is no time left, or WeChat Pay has had enough.
    fn is_over(&self) -> bool {
        if self.last_start.left().is_zero() {
            self.out_of_time.store(true, Ordering::Relaxed);
        }
        self.has_stopped()
    }

    /// Whether something may be left for the next run.
    pub(crate) fn has_stopped(&self) -> bool {
        self.too_often.load(Ordering::Relaxed) || self.out_of_time.load(Ordering::Relaxed)
    }

    /// If WeChat Pay is asked too often, the run ends. RULE_LIMIT is not that: it may be a matter of one order.
    pub(crate) fn has_failed(&self, err: &PayError) {
        // A gateway in front of it has the status, and no code.
        let is_too_often = |refusal: &PayRefusal| refusal.status == 429 || refusal.code == PayCode::FrequencyLimited;
        if err.refusal().is_some_and(is_too_often) {
            self.too_often.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn log_failure(&self, due: &Due, cause: &str) {
        let Work { function, request_id } = self.work;
        let order = due.out_trade_no.as_str();
        let refund = due.out_refund_no.as_ref().map(OutRefundNo::as_str);
        tracing::error!(function, requestId = request_id, outTradeNo = order, outRefundNo = refund, cause, "failed");
    }

    /// Whether something should have come to its end long ago.
    pub(crate) fn is_old(&self, due: &Due) -> bool {
        self.now.secs_since(due.time_expire.unwrap_or(due.created_at)) >= STUCK_AFTER.as_secs()
    }

    /// Says that a person should look at a refund that was last asked for at `asked_at` and is still being processed, if
    /// no bank takes so long.
    pub(crate) fn check_refund(&self, due: &Due, asked_at: Timestamp) {
        if self.now.secs_since(asked_at) >= BANKS_TAKE.as_secs() {
            self.stuck(due);
        }
    }

    /// Says that a person should look at something.
    fn stuck(&self, due: &Due) {
        let Work { function, request_id } = self.work;
        let order = due.out_trade_no.as_str();
        let refund = due.out_refund_no.as_ref().map(OutRefundNo::as_str);
        tracing::error!(function, requestId = request_id, outTradeNo = order, outRefundNo = refund, "stuck");
        Metric::Stuck.count(function, request_id);
    }
}

impl OrderSweeper {
    /// Goes through the pages of a shard. One that was moved on to a later time may turn up once more.
    pub(crate) async fn pages(&self, shard: u8, run: &Run<'_>, counts: &mut Counts) -> Result<(), StoreError> {
        let (mut seen, mut start) = (HashSet::new(), Start::default());
        loop {
            let page = self.sweep.page(shard, run.until, start, run.deadline).await?;
            counts.failures += page.unreadable;
            for due in page.due.iter().filter(|due| run.takes(due)) {
                if run.is_over() {
                    return Ok(());
                }
                let number = due.out_refund_no.as_ref().map(|number| number.as_str().to_owned());
                if seen.insert((due.out_trade_no.as_str().to_owned(), number)) {
                    counts.count(self.one(due, run).await);
                }
            }
            match page.next {
                Some(next) => start = next,
                None => return Ok(()),
            }
        }
    }

    async fn one(&self, due: &Due, run: &Run<'_>) -> Outcome {
        let deadline = run.deadline.at_most(EACH);
        let outcome = match &due.out_refund_no {
            None => self.order(due, run, deadline).await,
            Some(number) => self.refund(due, number, run, deadline).await,
        };
        let outcome = outcome.unwrap_or_else(|err| {
            run.log_failure(due, &cause::chain(&err));
            Outcome::Failed
        });
        if outcome == Outcome::Failed && run.is_old(due) {
            run.stuck(due);
        }
        outcome
    }

    /// WeChat Pay gave no good answer about something, which is no reason to let it wait for its regular time; a refusal
    /// is.
    pub(crate) async fn no_answer(
        &self,
        due: &Due,
        err: &PayError,
        run: &Run<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, StoreError> {
        run.has_failed(err);
        if err.refusal().is_some_and(|refusal| refusal.status < 500 && refusal.status != 429) {
            // It would say the same in a minute.
            return Ok(Outcome::Failed);
        }
        self.sweep.sooner(due, self.clock.moment() + ASK_AGAIN, deadline).await?;
        Ok(Outcome::Failed)
    }
}
