//! One request for an order: from its key to a payment, through whatever its repeats have done already.
//!
//! Each step reads how far things are and does what comes next, so it does not matter who did the steps before: this
//! request, a parallel one, or one that crashed a minute ago.

use std::time::Duration;

use shared::cause;
use shared::clock::Moment;
use shared::deadline::Deadline;
use shared::error::{ApiError, ErrorCode};
use shared::healing::Asked;
use shared::http::{Call, HttpFunction as _};
use shared::pause::{Pauses, TooLate};
use shared::settlement::Work;
use shared::store::orders::{Claim, Claimed, Created, IdempotentRequest, NewOrder, Order, OrderState};
use shared::store::{Session, StoreError};
use shared::wechatpay::v3::{PayCode, PayError, PrepayRequest, RequestPayment, Stamp};
use shared::wechatpay::PrepayId;
use tokio::time::Instant;

use crate::cart::{Cart, Priced};
use crate::memory::Memory;
use crate::{CreateOrder, CreateOrderReply};

/// Who has claimed a key and has made no order for so long is taken for dead. If it is not, both make the same order, and
/// one of them finds it made.
const CLAIM: Duration = Duration::from_secs(2);
/// Who has set out for a prepay_id and is not back for so long is taken for dead. If it is not, WeChat Pay is told the
/// same twice.
const LEASE: Duration = Duration::from_secs(4);
/// A request that comes so long after the order is no double click: its payment may have been made meanwhile.
const DOUBLE_CLICK: Duration = Duration::from_secs(3);
/// Who waits for others to ask WeChat Pay, asks after that long.
const OTHERS_ASK: Duration = Duration::from_secs(3);

const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Left for WeChat Pay when an order is made.
const FOR_WECHAT_PAY: Duration = Duration::from_secs(4);
/// Left for the answer when the prepay_id is kept.
const FOR_THE_ANSWER: Duration = Duration::from_millis(100);
/// Left for the table when WeChat Pay is asked.
const FOR_THE_TABLE: Duration = Duration::from_secs(1);
/// How long a payment that is ready may wait for WeChat Pay's word that it was not made already.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Attempt<'a> {
    function: &'a CreateOrder,
    call: &'a Call,
    session: &'a Session,
    request: IdempotentRequest<'a>,
    cart: &'a Cart,
    started: Instant,
}

/// How far a step has come. `Wait`: others are at it, or what was read is no longer so.
enum Step {
    Done(CreateOrderReply),
    Wait,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        function: &'a CreateOrder,
        call: &'a Call,
        session: &'a Session,
        request: IdempotentRequest<'a>,
        cart: &'a Cart,
    ) -> Self {
        Self { function, call, session, request, cart, started: Instant::now() }
    }

    pub(crate) async fn run(&self) -> Result<CreateOrderReply, ApiError> {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, self.call.deadline());
        let mut memory = Memory::default();
        let mut known = None;
        loop {
            if let Step::Done(reply) = self.step(known, &mut memory).await? {
                return Ok(reply);
            }
            pauses.next().await.map_err(|TooLate| ApiError::new(ErrorCode::Busy))?;
            known = self.function.orders.find_claim(&self.request, self.now(), self.call.deadline()).await?;
        }
    }

    /// `known` is the claim that was found after a wait.
    async fn step(&self, known: Option<Claim>, memory: &mut Memory) -> Result<Step, ApiError> {
        let deadline = self.call.deadline();
        let claimed = match known {
            Some(claim) => Claimed::Before(claim),
            None => self.function.orders.claim(&self.request, self.now(), deadline).await?,
        };
        let claim = match claimed {
            Claimed::Now(claim) => claim,
            Claimed::Before(claim) if !claim.is_of(&self.request) => {
                return Err(ApiError::new(ErrorCode::IdempotencyKeyReused));
            }
            Claimed::Before(claim) if claim.has_order => {
                return match self.function.orders.find(&claim.out_trade_no, deadline).await? {
                    Some(order) => self.go_on(order, memory).await,
                    // The rows of a transaction do not become visible at the same instant.
                    None => Ok(Step::Wait),
                };
            }
            Claimed::Before(claim) if memory.own.as_ref() == Some(&claim.out_trade_no) => claim,
            Claimed::Before(claim) if self.is_over(claim.claimed_at, CLAIM, memory) => claim,
            Claimed::Before(_) => return Ok(Step::Wait),
        };
        memory.own = Some(claim.out_trade_no.clone());
        self.make(&claim).await
    }

    /// Makes the order of a claim. A refusal frees the key.
    async fn make(&self, claim: &Claim) -> Result<Step, ApiError> {
        let deadline = self.call.deadline().leaving(FOR_WECHAT_PAY);
        let function = self.function;
        let priced = match function.products.find(self.cart.skus(), deadline).await {
            Ok(products) => self.cart.price(&products),
            // Somebody has to mend the item, and the client may leave it out.
            Err(err @ StoreError::Corrupt(_)) => Err(err.into()),
            Err(err) => return Err(err.into()),
        };
        let priced = match priced {
            Ok(priced) => priced,
            Err(refusal) => return self.refuse(claim, refusal).await,
        };
        let new = self.new_order(claim, priced);
        match function.orders.create(claim, new, function.max_open_orders, self.now(), deadline).await? {
            Created::Order(order) => self.prepay(*order).await,
            Created::TooManyOpen => {
                let message = "there are too many unpaid orders; pay one, or wait until one is closed";
                let refusal = ApiError { message: message.into(), ..ApiError::new(ErrorCode::RateLimited) };
                self.refuse(claim, refusal).await
            }
            Created::ClaimLost | Created::StockChanged => Ok(Step::Wait),
        }
    }

    fn new_order(&self, claim: &Claim, priced: Priced) -> NewOrder {
        let (function, session) = (self.function, self.session);
        let created_at = function.clock.timestamp();
        let time_expire = created_at + function.order_ttl;
        let prepay = PrepayRequest {
            app_id: &session.app_id,
            mch_id: function.merchant.mch_id(),
            description: &priced.description(),
            out_trade_no: &claim.out_trade_no,
            expires_at: time_expire,
            notify_url: &function.notify_url,
            total: priced.total,
            openid: &session.openid,
        };
        NewOrder {
            out_trade_no: claim.out_trade_no.clone(),
            user_id: session.user_id.clone(),
            app_id: session.app_id.clone(),
            mch_id: function.merchant.mch_id().clone(),
            prepay_body: prepay.to_body(),
            total: priced.total,
            lines: priced.lines,
            created_at,
            time_expire,
        }
    }

    /// Frees the key, so that the same request may be made again; unless somebody has made an order for it meanwhile.
    async fn refuse(&self, claim: &Claim, refusal: ApiError) -> Result<Step, ApiError> {
        let is_free = self.function.orders.free(claim, self.call.deadline()).await?;
        if is_free { Err(refusal) } else { Ok(Step::Wait) }
    }

    /// What comes next for an order that exists.
    async fn go_on(&self, mut order: Order, memory: &mut Memory) -> Result<Step, ApiError> {
        let function = self.function;
        if let Some(ended) = ended(order.state) {
            return Err(ended);
        }
        if order.mch_id != *function.merchant.mch_id() {
            return Err(ApiError::new(ErrorCode::Misconfigured)); // The order of a merchant who is configured no more.
        }
        if order.time_expire <= function.clock.timestamp() {
            return self.out_of_time(order).await;
        }
        if order.prepay_id.is_some() {
            if self.now().since(order.prepay_asked_at) >= DOUBLE_CLICK {
                // Where there is no answer, the payment is ready all the same: WeChat Pay takes none twice.
                self.ask(&mut order, CHECK_WITHIN).await?;
            }
            if let Some(ended) = ended(order.state) {
                return Err(ended);
            }
            return match &order.prepay_id {
                Some(prepay_id) => self.reply(&order, prepay_id),
                None => Ok(Step::Wait),
            };
        }
        let is_mine = self.is_over(order.prepay_asked_at, LEASE, memory)
            && function.orders.take_over_prepay(&order, self.now(), self.call.deadline()).await?;
        if is_mine { self.prepay(order).await } else { Ok(Step::Wait) }
    }

    /// Has WeChat Pay wait for the payment.
    async fn prepay(&self, order: Order) -> Result<Step, ApiError> {
        let function = self.function;
        let deadline = self.call.deadline().leaving(FOR_THE_TABLE);
        let prepay_id = match function.pay.prepay(order.prepay_body.expose(), deadline).await {
            Ok(prepay_id) => prepay_id,
            Err(err) => return self.not_prepaid(order, err).await,
        };
        let deadline = self.call.deadline().leaving(FOR_THE_ANSWER);
        if let Err(err) = function.orders.keep_prepay_id(&order.out_trade_no, &prepay_id, deadline).await {
            // The payment can begin all the same. A repeat asks WeChat Pay again.
            let (name, cause) = (CreateOrder::NAME, cause::chain(&err));
            tracing::warn!(function = name, requestId = self.call.request_id(), cause, "the prepay_id is not kept");
        }
        self.reply(&order, &prepay_id)
    }

    /// WeChat Pay does not wait for the payment. Where it says that the order is past that, it is asked how it stands: a
    /// refusal is not signed.
    async fn not_prepaid(&self, mut order: Order, err: PayError) -> Result<Step, ApiError> {
        let is_settled = match err.refusal().map(|refusal| refusal.code) {
            Some(PayCode::OrderClosed | PayCode::OrderPaid) => true,
            Some(PayCode::InvalidRequest | PayCode::OutTradeNoUsed) => false,
            _ => return Err(ApiError::from_pay(err)),
        };
        let asked = self.ask(&mut order, Deadline::REPLY_WITHIN).await?;
        if let Some(ended) = ended(order.state) {
            return Err(ended);
        }
        match asked {
            Asked::NotNow => Ok(Step::Wait),
            Asked::NoAnswer(err) => Err(unavailable(err)),
            // Signed: it is not paid and not closed. So either our request is wrong, or one of the two answers was.
            Asked::Agreed | Asked::NoSuchOrder if !is_settled => Err(ApiError::from_pay(err)),
            Asked::Agreed | Asked::NoSuchOrder | Asked::Unclear => Err(unavailable(err)),
        }
    }

    /// An order that can no longer be paid, and was not paid as far as we know.
    async fn out_of_time(&self, mut order: Order) -> Result<Step, ApiError> {
        let mut asked = self.ask(&mut order, Deadline::REPLY_WITHIN).await?;
        if ended(order.state).is_none() && matches!(asked, Asked::NotNow) {
            if self.started.elapsed() < OTHERS_ASK {
                return Ok(Step::Wait);
            }
            let (healer, pay) = (&self.function.healer, &self.function.pay);
            asked = healer.ask_now(pay, &mut order, self.work(), self.call.deadline()).await?;
        }
        if let Some(ended) = ended(order.state) {
            return Err(ended);
        }
        match asked {
            Asked::Agreed | Asked::NoSuchOrder => Err(ApiError::new(ErrorCode::OrderClosed)),
            Asked::NoAnswer(err) => Err(unavailable(err)),
            Asked::NotNow | Asked::Unclear => Err(ApiError::new(ErrorCode::WechatUnavailable)),
        }
    }

    async fn ask(&self, order: &mut Order, within: Duration) -> Result<Asked, ApiError> {
        let deadline = self.call.deadline().at_most(within);
        Ok(self.function.healer.ask(&self.function.pay, order, self.work(), deadline).await?)
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

    /// Whether what began at `at` has had its time, by the clock or by having been watched from here that long: clocks
    /// may be wrong.
    fn is_over(&self, at: Moment, time: Duration, memory: &mut Memory) -> bool {
        memory.watched(at) >= time || self.now().since(at) >= time
    }

    fn now(&self) -> Moment {
        self.function.clock.moment()
    }
}

/// How the order stands is open.
fn unavailable(err: PayError) -> ApiError {
    ApiError::new(ErrorCode::WechatUnavailable).with_source(err)
}

/// The refusal for an order that is past its payment.
fn ended(state: OrderState) -> Option<ApiError> {
    match state {
        OrderState::Closed => Some(ApiError::new(ErrorCode::OrderClosed)),
        OrderState::NotPay => None,
        OrderState::Refund | OrderState::Success => Some(ApiError::new(ErrorCode::OrderPaid)),
    }
}
