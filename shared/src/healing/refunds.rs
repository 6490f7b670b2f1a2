//! Asking WeChat Pay how a refund stands.

use super::{FOR_THE_TABLE, Healer};
use crate::cause;
use crate::deadline::Deadline;
use crate::settlement::{Settled, Told, Work};
use crate::store::StoreError;
use crate::store::orders::Order;
use crate::store::refunds::{Refund, RefundState};
use crate::wechatpay::v3::{PayClient, PayCode, PayError};
use crate::wechatpay::{RefundResult, Verified};

/// What came of asking about a refund.
#[derive(Debug)]
pub enum AskedRefund {
    /// The refund is as WeChat Pay says: so, or further on already.
    Agreed(RefundState),
    /// There was no usable answer.
    NoAnswer(PayError),
    /// WeChat Pay knows of no such refund. That is not signed.
    NoSuchRefund,
    /// How the refund stands is open: what was signed does not match it or is not known, or it is another merchant's.
    Unclear,
}

impl Healer {
    /// Asks about a refund, and moves it on, and its order with it.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn ask_refund(
        &self,
        pay: &PayClient,
        order: &mut Order,
        refund: Refund,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<AskedRefund, StoreError> {
        if order.mch_id != *pay.mch_id() {
            return Ok(unclear("its order is a former merchant's", &refund, work));
        }
        match pay.query_refund(&refund.out_refund_no, deadline.leaving(FOR_THE_TABLE)).await {
            Ok(result) => self.take_refund(order, refund, &result, work, deadline).await,
            Err(PayError::Refused(refusal)) if refusal.code == PayCode::ResourceNotExists => {
                Ok(AskedRefund::NoSuchRefund)
            }
            Err(err) => {
                let Work { function, request_id } = work;
                let (number, cause) = (refund.out_refund_no.as_str(), cause::chain(&err));
                tracing::warn!(
                    function,
                    requestId = request_id,
                    outRefundNo = number,
                    cause,
                    "WeChat Pay tells nothing of the refund"
                );
                Ok(AskedRefund::NoAnswer(err))
            }
        }
    }

    /// Moves a refund on by an answer of WeChat Pay about it, and its order with it.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn take_refund(
        &self,
        order: &mut Order,
        refund: Refund,
        result: &Verified<RefundResult>,
        work: Work<'_>,
        deadline: Deadline,
    ) -> Result<AskedRefund, StoreError> {
        let id = format!("{}#{}", refund.out_refund_no.as_str(), result.status.as_str());
        let told = Told { source: self.source, id: &id, event_type: "QUERY", body: None };
        let known = Some(refund.clone());
        let settled = self.settlement.settle_refund(order, known, result, &told, work, deadline).await?;
        Ok(match settled {
            (_, Some(state)) => AskedRefund::Agreed(state),
            (Settled::Unknown, None) => unclear("its state is not known here", &refund, work),
            (_, None) => AskedRefund::Unclear,
        })
    }
}

/// How a refund stands is open, and no repeat alone will tell.
fn unclear(why: &'static str, refund: &Refund, Work { function, request_id }: Work<'_>) -> AskedRefund {
    let number = refund.out_refund_no.as_str();
    tracing::warn!(function, requestId = request_id, outRefundNo = number, why, "it is open how the refund stands");
    AskedRefund::Unclear
}
