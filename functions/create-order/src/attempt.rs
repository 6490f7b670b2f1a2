//! One request for an order: from its key to a payment, through whatever its repeats have done already.
//!
//! Each step reads how far things are and does what comes next, so it does not matter who did the steps before: this
//! request, a parallel one, or one that crashed a minute ago.

use std::time::Duration;

use shared::clock::Moment;
use shared::error::{ApiError, ErrorCode};
use shared::http::Call;
use shared::pause::{Pauses, TooLate};
use shared::store::orders::{Claim, Claimed, Created, IdempotentRequest, NewOrder};
use shared::store::{Session, StoreError};
use shared::wechatpay::CannotSign;
use shared::wechatpay::v3::PrepayRequest;

use crate::cart::{Cart, Priced};
use crate::memory::Memory;
use crate::{CreateOrder, CreateOrderReply};

/// Who has claimed a key and has made no order for so long is taken for dead. If it is not, both make the same order, and
/// one of them finds it made.
const CLAIM: Duration = Duration::from_secs(2);

const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Left for WeChat Pay when an order is made.
const FOR_WECHAT_PAY: Duration = Duration::from_secs(4);

pub(crate) struct Attempt<'a> {
    pub(crate) function: &'a CreateOrder,
    pub(crate) call: &'a Call,
    session: &'a Session,
    pub(crate) request: IdempotentRequest<'a>,
    cart: &'a Cart,
}

/// How far a step has come. `Wait`: others are at it, or what was read is no longer so.
pub(crate) enum Step {
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
        Self { function, call, session, request, cart }
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
            // Whatever is wrong with the key, no order takes anything before it is mended.
            Ok(_) if !function.merchant.signs() => {
                return self.refuse(claim, ApiError::from_pay(CannotSign.into())).await;
            }
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

    /// Whether what began at `at` has had its time, by the clock or by having been watched from here that long: clocks
    /// may be wrong.
    pub(crate) fn is_over(&self, at: Moment, time: Duration, memory: &mut Memory) -> bool {
        memory.watched(at) >= time || self.now().since(at) >= time
    }

    pub(crate) fn now(&self) -> Moment {
        self.function.clock.moment()
    }
}
