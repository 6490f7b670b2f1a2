//! From an order that exists to its payment, or to why there is none any more.

use std::time::Duration;

use shared::cause;
use shared::clock::Moment;
use shared::error::{ApiError, ErrorCode};
use shared::healing::Asked;
use shared::http::HttpFunction as _;
use shared::settlement::Work;
use shared::store::orders::{Order, OrderState};
use shared::wechatpay::PrepayId;
use shared::wechatpay::v3::{PayError, RequestPayment, Stamp};

use crate::attempt::{Attempt, Step};
use crate::memory::Memory;
use crate::refusal::Refusal;
use crate::{CreateOrder, CreateOrderReply};

/// Who has set out for a prepay_id and is not back for so long is taken for dead. If it is not, WeChat Pay is told the
/// same twice.
const LEASE: Duration = Duration::from_secs(4);
/// A request that comes so long after the order is no double click: its payment may have been made meanwhile.
const DOUBLE_CLICK: Duration = Duration::from_secs(3);
/// What WeChat Pay has said so short a time ago, it is not asked again.
const JUST_NOW: Duration = Duration::from_secs(3);
/// WeChat Pay moves a time that is nearer than a minute to a minute from then, so a payment may come that long after.
/// Source: WeChat Pay v3, "JSAPI order", time_expire.
const LAST_PAYMENTS: Duration = Duration::from_secs(60);
/// Left for the answer when the prepay_id is kept.
const FOR_THE_ANSWER: Duration = Duration::from_millis(100);
/// Left for the table when WeChat Pay is asked.
const FOR_THE_TABLE: Duration = Duration::from_secs(1);
/// How long a payment that is ready may wait for WeChat Pay's word that it was not made already.
const CHECK_WITHIN: Duration = Duration::from_secs(6);

impl Attempt<'_> {
    /// What comes next for an order that exists.
    pub(crate) async fn go_on(&self, mut order: Order, memory: &mut Memory) -> Result<Step, ApiError> {
        let function = self.function;
        if let Some(ended) = ended(&order) {
            return ended;
        }
        if order.mch_id != *function.merchant.mch_id() {
            return Err(ApiError::new(ErrorCode::Misconfigured).with_source(FormerMerchant));
        }
        if order.time_expire <= function.clock.timestamp() {
            return self.out_of_time(order).await;
        }
        if order.prepay_id.is_some() {
            if self.now().since(order.prepay_asked_at) >= DOUBLE_CLICK {
                // Where there is no answer, the payment is ready all the same: WeChat Pay takes none twice.
                let deadline = self.call.deadline().at_most(CHECK_WITHIN);
                function.healer.ask(&function.pay, &mut order, self.work(), deadline).await?;
            }
            if let Some(ended) = ended(&order) {
                return ended;
            }
            return match &order.prepay_id {
                Some(prepay_id) => self.reply(&order, prepay_id),
                None => Ok(Step::Wait),
            };
        }
        let is_mine = self.is_over(order.prepay_asked_at, LEASE, memory)
            && function.orders.take_over_prepay(&mut order, self.now(), self.call.deadline()).await?;
        if is_mine { self.prepay(order).await } else { Ok(Step::Wait) }
    }

    /// Has WeChat Pay wait for the payment.
    pub(crate) async fn prepay(&self, order: Order) -> Result<Step, ApiError> {
        let function = self.function;
        let deadline = self.call.deadline().leaving(FOR_THE_TABLE);
        let prepay_id = match function.pay.prepay(order.prepay_body.expose(), deadline).await {
            Ok(prepay_id) => prepay_id,
            Err(err) => return self.not_prepaid(order, err).await,
        };
        let deadline = self.call.deadline().leaving(FOR_THE_ANSWER);
        match function.orders.keep_prepay_id(&order.out_trade_no, &prepay_id, deadline).await {
            Ok(true) => self.reply(&order, &prepay_id),
            // It has ended meanwhile, and what it had taken has gone back.
            Ok(false) => Ok(Step::Wait),
            // Another request may have taken over by now, and have ended the order: a repeat finds out.
            Err(err) if self.now().since(order.prepay_asked_at) >= LEASE => {
                Err(ApiError::new(ErrorCode::Busy).with_source(err))
            }
            Err(err) => {
                // The payment can begin all the same. A repeat asks WeChat Pay again.
                let (name, cause) = (CreateOrder::NAME, cause::chain(&err));
                tracing::warn!(function = name, requestId = self.call.request_id(), cause, "the prepay_id is not kept");
                self.reply(&order, &prepay_id)
            }
        }
    }

    /// WeChat Pay does not wait for the payment. Where that says something of the order, WeChat Pay is asked how it
    /// stands: a refusal is not signed.
    async fn not_prepaid(&self, mut order: Order, err: PayError) -> Result<Step, ApiError> {
        let refusal = err.refusal().map_or(Refusal::Passing, Refusal::of);
        if refusal == Refusal::Passing {
            return Err(ApiError::from_pay(err).of_app(&order.app_id));
        }
        let (function, deadline, asked_at) = (self.function, self.call.deadline(), order.prepay_asked_at);
        // Whoever has asked before: this is news.
        let asked = function.healer.ask_now(&function.pay, &mut order, self.work(), deadline).await?;
        if let Some(ended) = ended(&order) {
            return ended;
        }
        match (refusal, asked) {
            (Refusal::Doubtful | Refusal::Final, Asked::NoSuchOrder) => self.end(order, asked_at, err).await,
            (Refusal::Final, _) => Err(ApiError::from_pay(err).of_app(&order.app_id)),
            // Signed: it is not paid and not closed. So either our request is wrong, or one of the two answers was.
            (Refusal::Doubtful | Refusal::Used, Asked::Agreed | Asked::NoSuchOrder) => {
                Err(ApiError::from_pay(err).of_app(&order.app_id))
            }
            (_, Asked::NoAnswer(err)) => Err(unavailable(err)),
            (_, _) => Err(unavailable(err)),
        }
    }

    /// Ends an order that WeChat Pay has refused, and then said twice that it does not know it, without waiting until
    /// its time is over. Where another request has it in hand, that one goes on with it.
    async fn end(&self, mut order: Order, asked_at: Moment, err: PayError) -> Result<Step, ApiError> {
        let (orders, deadline) = (&self.function.orders, self.call.deadline());
        let code = err.refusal().and_then(|refusal| refusal.code_text.as_deref()).unwrap_or("without a code");
        let why = format!("refused {code}");
        if !orders.end_refused(&mut order, asked_at, &self.request, why, self.now(), deadline).await? {
            return Ok(Step::Wait);
        }
        let Work { function, request_id } = self.work();
        let (number, cause) = (order.out_trade_no.as_str(), cause::chain(&err));
        tracing::warn!(
            function,
            requestId = request_id,
            outTradeNo = number,
            cause,
            "an order that WeChat Pay refuses has ended"
        );
        Err(ApiError::from_pay(err).of_app(&order.app_id))
    }

    /// An order that can no longer be paid, and was not paid as far as we know.
    async fn out_of_time(&self, mut order: Order) -> Result<Step, ApiError> {
        let function = self.function;
        if self.is_known_unpaid(&order) {
            return Err(ApiError::new(ErrorCode::OrderClosed));
        }
        let asked = function.healer.ask(&function.pay, &mut order, self.work(), self.call.deadline()).await?;
        if let Some(ended) = ended(&order) {
            return ended;
        }
        match asked {
            Asked::Agreed | Asked::NoSuchOrder => Err(ApiError::new(ErrorCode::OrderClosed)),
            Asked::NoAnswer(err) => Err(unavailable(err)),
            // Somebody else is asking, or has just asked and found out.
            Asked::NotNow => Ok(Step::Wait),
            Asked::Forgotten | Asked::Unclear => Err(ApiError::new(ErrorCode::WechatUnavailable)),
        }
    }

    /// Whether WeChat Pay need not be asked: it has just said that the order is not paid, or has said so when no payment
    /// could be under way any more.
    fn is_known_unpaid(&self, order: &Order) -> bool {
        order.found_unpaid_at.is_some_and(|found| {
            let last = order.time_expire + LAST_PAYMENTS;
            self.now().since(found) < JUST_NOW || found.as_timestamp() >= last
        })
    }

    fn work(&self) -> Work<'_> {
        Work { function: CreateOrder::NAME, request_id: self.call.request_id() }
    }

    fn reply(&self, order: &Order, prepay_id: &PrepayId) -> Result<Step, ApiError> {
        let (merchant, stamp) = (&self.function.merchant, Stamp::new(&self.function.clock));
        let payment = RequestPayment::new(merchant, &order.app_id, prepay_id, &stamp);
        Ok(Step::Done(CreateOrderReply {
            out_trade_no: order.out_trade_no.as_str().to_owned(),
            total_fen: order.total.as_u64(),
            payment: payment.map_err(|err| ApiError::from_pay(err.into()))?,
        }))
    }
}

/// An order of another time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the order is of a merchant who is configured no more")]
struct FormerMerchant;

/// How the order stands is open.
fn unavailable(err: PayError) -> ApiError {
    ApiError::new(ErrorCode::WechatUnavailable).with_source(err)
}

/// What comes of a request for an order that is past its payment.
fn ended(order: &Order) -> Option<Result<Step, ApiError>> {
    match order.state {
        // Its key is free, and this request makes another.
        OrderState::Closed if order.prepay_refused => Some(Ok(Step::Wait)),
        OrderState::Closed => Some(Err(ApiError::new(ErrorCode::OrderClosed))),
        OrderState::NotPay => None,
        OrderState::Refund | OrderState::Success => Some(Err(ApiError::new(ErrorCode::OrderPaid))),
    }
}
