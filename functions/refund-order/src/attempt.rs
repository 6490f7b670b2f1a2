//! One request for a refund, through whatever its repeats have done already.
//!
//! The amount is held before WeChat Pay is asked, and let go only when WeChat Pay has refused and says that it knows of no
//! such refund. In between nobody knows, and it stays held.

use std::time::Duration;

use shared::direct::{DirectFunction as _, Invocation};
use shared::error::{ApiError, ErrorCode};
use shared::healing::{Asked, AskedRefund};
use shared::pause::{Pauses, TooLate};
use shared::random;
use shared::settlement::Work;
use shared::store::orders::{Order, OrderState};
use shared::store::refunds::{NewRefund, Refund, RefundState, Reserved};
use shared::wechatpay::v3::{PayError, RefundRequest};
use shared::wechatpay::{CannotSign, OutRefundNo};

use crate::refusal::{FormerMerchant, Refusal, open, refused};
use crate::{RefundInput, RefundOrder};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often WeChat Pay is asked for the refund at most, in one call.
const ROUNDS: u32 = 3;

/// The pause before WeChat Pay is asked again about a refund that it does not know, up to half of which is left out: who
/// waits for an answer gives up after 3 s.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Left for the table when WeChat Pay is asked.
const FOR_THE_TABLE: Duration = Duration::from_secs(2);

pub(crate) struct Attempt<'a> {
    function: &'a RefundOrder,
    invocation: &'a Invocation,
    input: &'a RefundInput,
    number: &'a OutRefundNo,
}

/// How far a step has come. `Wait`: what was read is no longer so.
enum Step {
    Done(RefundState),
    Wait,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        function: &'a RefundOrder,
        invocation: &'a Invocation,
        input: &'a RefundInput,
        number: &'a OutRefundNo,
    ) -> Self {
        Self { function, invocation, input, number }
    }

    /// How the refund stands in the end.
    pub(crate) async fn run(&self) -> Result<RefundState, ApiError> {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, self.invocation.deadline());
        loop {
            if let Step::Done(state) = self.step().await? {
                return Ok(state);
            }
            pauses.next().await.map_err(|TooLate| ApiError::new(ErrorCode::Busy))?;
        }
    }

    async fn step(&self) -> Result<Step, ApiError> {
        let (function, deadline) = (self.function, self.invocation.deadline());
        let order = function.orders.find(&self.input.out_trade_no, deadline).await?;
        let mut order = order.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
        if order.mch_id != *function.merchant.mch_id() {
            return Err(ApiError::new(ErrorCode::Misconfigured).with_source(FormerMerchant));
        }
        match function.refunds.find(&order.out_trade_no, self.number, deadline).await? {
            Some(refund) if refund.amount != self.input.refund_fen => {
                Err(ApiError::new(ErrorCode::IdempotencyKeyReused))
            }
            Some(refund) if refund.state.is_settled() => Ok(Step::Done(refund.state)),
            Some(refund) => self.go_on(&mut order, refund).await,
            None => match self.reserve(&mut order).await? {
                Some(refund) => self.ask(&mut order, refund, false).await,
                None => Ok(Step::Wait),
            },
        }
    }

    /// Holds the amount, unless it is more than is left. `None` if somebody else was faster.
    async fn reserve(&self, order: &mut Order) -> Result<Option<Refund>, ApiError> {
        self.check_paid(order).await?;
        let (function, amount) = (self.function, self.input.refund_fen);
        if order.held.checked_add(amount).is_none_or(|held| held > order.total) {
            return Err(ApiError::new(ErrorCode::RefundExceedsPaid));
        }
        if !function.merchant.signs() {
            return Err(ApiError::from_pay(CannotSign.into()));
        }
        let request = RefundRequest {
            out_trade_no: &order.out_trade_no,
            out_refund_no: self.number,
            reason: self.input.reason.as_deref(),
            notify_url: &function.notify_url,
            refund: amount,
            total: order.total,
        };
        let new = NewRefund {
            out_trade_no: order.out_trade_no.clone(),
            mch_id: order.mch_id.clone(),
            out_refund_no: self.number.clone(),
            request_id: self.input.request_id.clone(),
            amount,
            body: request.to_body(),
        };
        let deadline = self.invocation.deadline();
        match function.refunds.reserve(order, &new, function.clock.moment(), deadline).await? {
            Reserved::Now(refund) => Ok(Some(refund)),
            Reserved::Before | Reserved::Refused => Ok(None),
        }
    }

    /// The order is paid, as far as anybody knows: the notification may have been lost, also that of a payment that came
    /// after the order was closed.
    async fn check_paid(&self, order: &mut Order) -> Result<(), ApiError> {
        let function = self.function;
        let mut asked = Asked::Agreed;
        if matches!(order.state, OrderState::Closed | OrderState::NotPay) {
            // Whoever has asked a moment ago may have heard nothing.
            asked = function.healer.ask_now(&function.pay, order, self.work(), self.invocation.deadline()).await?;
        }
        match (order.state, asked) {
            (OrderState::Refund | OrderState::Success, _) => Ok(()),
            (_, Asked::NoAnswer(err)) => Err(ApiError::from_pay(err)),
            (_, Asked::Unclear) => Err(ApiError::new(ErrorCode::WechatUnavailable)),
            // WeChat Pay has forgotten it, which is not signed; but it had closed it, which was.
            (OrderState::Closed, _) => Err(refused("the order is closed unpaid")),
            (OrderState::NotPay, Asked::Forgotten) => Err(ApiError::new(ErrorCode::WechatUnavailable)),
            (OrderState::NotPay, Asked::Agreed | Asked::NoSuchOrder | Asked::NotNow) => {
                Err(refused("the order is not paid"))
            }
        }
    }

    /// A refund that was asked for before, by a repeat of this request: nobody asks anew before WeChat Pay says that it
    /// knows of none.
    async fn go_on(&self, order: &mut Order, mut refund: Refund) -> Result<Step, ApiError> {
        let (function, deadline) = (self.function, self.invocation.deadline());
        let before = refund.state;
        let asked = function.healer.ask_refund(&function.pay, order, refund.clone(), self.work(), deadline).await?;
        match asked {
            AskedRefund::Agreed(state) => Ok(Step::Done(state)),
            // It was accepted: what is known is no worse than it was a moment ago.
            _ if before != RefundState::Reserved => Ok(Step::Done(before)),
            AskedRefund::NoSuchRefund => {
                if !function.refunds.ask_again(&mut refund, function.clock.moment(), deadline).await? {
                    return Ok(Step::Wait);
                }
                self.ask(order, refund, true).await
            }
            AskedRefund::NoAnswer(err) => Err(open(err)),
            AskedRefund::Unclear => Err(ApiError::new(ErrorCode::WechatUnavailable)),
        }
    }

    /// Asks for the refund, and again where it is open whether it was taken: the same number is refunded once. `is_open`:
    /// an earlier request may still be on its way.
    async fn ask(&self, order: &mut Order, refund: Refund, mut is_open: bool) -> Result<Step, ApiError> {
        let deadline = self.invocation.deadline();
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, deadline);
        let mut rounds = 1..=ROUNDS;
        loop {
            let failed = match self.ask_once(order, &refund).await? {
                Ok(state) => return Ok(Step::Done(state)),
                Err(failed) => failed,
            };
            match Refusal::of(failed) {
                Refusal::Final(refusal) => {
                    if is_open && let Some(state) = self.look_again(order, &refund).await? {
                        return Ok(Step::Done(state));
                    }
                    // If it is not as it was, somebody has asked again, or WeChat Pay has told of it after all.
                    let is_released = self.function.refunds.release(&refund, deadline).await?;
                    if !is_released {
                        return Ok(Step::Wait);
                    }
                    return Err(self.function.refused(order, refusal, self.work(), deadline).await);
                }
                Refusal::Held(refusal) => return Err(refusal),
                Refusal::Open(err) => {
                    is_open = true;
                    rounds.next();
                    if rounds.is_empty() || pauses.next().await.is_err() {
                        return Err(open(err));
                    }
                }
            }
        }
    }

    /// After a refusal, whether an earlier request has arrived after all: nothing final follows from two answers that are
    /// not signed, while one is on its way.
    async fn look_again(&self, order: &mut Order, refund: &Refund) -> Result<Option<RefundState>, ApiError> {
        let (function, deadline) = (self.function, self.invocation.deadline());
        tokio::time::sleep(random::jitter(LOOK_AGAIN)).await;
        match function.healer.ask_refund(&function.pay, order, refund.clone(), self.work(), deadline).await? {
            AskedRefund::Agreed(state) => Ok(Some(state)),
            AskedRefund::NoSuchRefund => Ok(None),
            AskedRefund::NoAnswer(err) => Err(open(err)),
            AskedRefund::Unclear => Err(ApiError::new(ErrorCode::WechatUnavailable)),
        }
    }

    /// Asks once. What is not answered well is followed by a query, before anything else: why WeChat Pay has taken nothing,
    /// if it says that it knows of no such refund.
    async fn ask_once(&self, order: &mut Order, refund: &Refund) -> Result<Result<RefundState, PayError>, ApiError> {
        let (function, deadline) = (self.function, self.invocation.deadline());
        // A row without a body is of a refund on the merchant platform, which is not reserved.
        let Some(body) = &refund.body else { return Err(ApiError::new(ErrorCode::Internal)) };
        let answer = function.pay.refund(self.number, body.expose(), deadline.leaving(FOR_THE_TABLE)).await;
        let (asked, failed) = match answer {
            Ok(result) => {
                let asked = function.healer.take_refund(order, refund.clone(), &result, self.work(), deadline);
                (asked.await?, None)
            }
            Err(err) => {
                let asked = function.healer.ask_refund(&function.pay, order, refund.clone(), self.work(), deadline);
                (asked.await?, Some(err))
            }
        };
        match (asked, failed) {
            (AskedRefund::Agreed(state), _) => Ok(Ok(state)),
            (AskedRefund::NoSuchRefund, Some(failed)) => Ok(Err(failed)),
            (_, Some(failed)) | (AskedRefund::NoAnswer(failed), None) => Err(open(failed)),
            (AskedRefund::NoSuchRefund | AskedRefund::Unclear, None) => {
                Err(ApiError::new(ErrorCode::WechatUnavailable))
            }
        }
    }

    fn work(&self) -> Work<'_> {
        Work { function: RefundOrder::NAME, request_id: self.invocation.request_id() }
    }
}
