//! After a refund that WeChat Pay has refused: whether the order has one already, perhaps one that was made elsewhere, on
//! the merchant platform.

use std::time::Duration;

use shared::cause;
use shared::deadline::Deadline;
use shared::error::{ApiError, ErrorCode};
use shared::fen::Fen;
use shared::healing::Asked;
use shared::settlement::Work;
use shared::store::StoreError;
use shared::store::orders::{Order, OrderState};

use crate::RefundOrder;

/// How long the caller waits for what the question adds to the refusal.
const ASK_WITHIN: Duration = Duration::from_secs(6);

impl RefundOrder {
    /// Asks how the order of a refund stands that WeChat Pay will not make. Its codes do not tell "nothing is left"
    /// from other reasons; what is wrong with the merchant is no reason to ask. Without an answer the next
    /// `query-order` asks.
    ///
    /// The refusal as the caller is told it.
    pub(crate) async fn refused(
        &self,
        order: &mut Order,
        refusal: ApiError,
        work: Work<'_>,
        deadline: Deadline,
    ) -> ApiError {
        if refusal.code != ErrorCode::RefundRefused || order.state != OrderState::Success {
            return refusal;
        }
        match self.refund_there(order, work, deadline.at_most(ASK_WITHIN)).await {
            Ok(None) => refusal,
            Ok(Some(found)) => ApiError { message: format!("{}; {found}", refusal.message).into(), ..refusal },
            Err(err) => {
                let (Work { function, request_id }, cause) = (work, cause::chain(&err));
                tracing::warn!(function, requestId = request_id, cause, "the table does not tell how the order stands");
                refusal
            }
        }
    }

    /// What there is to say about a refund that WeChat Pay has of an order. It may be one of this function's that the
    /// table does not know to be made: such a one holds its amount.
    async fn refund_there(
        &self,
        order: &mut Order,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<Option<&'static str>, StoreError> {
        let Asked::Agreed = self.healer.ask_now(&self.pay, order, work, deadline).await? else { return Ok(None) };
        let Some(mut order) = self.orders.find(&order.out_trade_no, deadline).await? else { return Ok(None) };
        if order.state != OrderState::Refund {
            // This was the question that was due after the refusal: `query-order` need not ask once more.
            self.orders.may_query(&mut order, self.clock.moment(), deadline).await?;
            return Ok(None);
        }
        let is_elsewhere = order.held == Fen::ZERO;
        Ok(Some(if is_elsewhere {
            "the order has a refund that was made elsewhere"
        } else {
            "the order has a refund already"
        }))
    }
}
