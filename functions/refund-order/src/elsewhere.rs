//! After a refund that WeChat Pay has refused: whether there is one that was made elsewhere, on the merchant platform.

use shared::cause;
use shared::deadline::Deadline;
use shared::error::{ApiError, ErrorCode};
use shared::settlement::Work;
use shared::store::orders::{Order, OrderState};

use crate::RefundOrder;

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
        if let Err(err) = self.healer.ask_now(&self.pay, order, work, deadline).await {
            let (Work { function, request_id }, cause) = (work, cause::chain(&err));
            tracing::warn!(function, requestId = request_id, cause, "the table does not tell how the order stands");
        }
        if order.state != OrderState::Refund {
            return refusal;
        }
        let message = format!("{}; the order has a refund that was made elsewhere", refusal.message);
        ApiError { message: message.into(), ..refusal }
    }
}
