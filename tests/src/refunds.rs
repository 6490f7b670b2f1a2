//! Refunds and sweeps: what staff, the schedule and WeChat Pay do, and what the table has of it.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::World;

/// Where WeChat Pay closes an order.
pub const CLOSE: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}/close";
/// Where it is asked for a refund.
pub const REFUND: &str = "/v3/refund/domestic/refunds";
/// Where it is asked about one.
pub const REFUND_QUERY: &str = "/v3/refund/domestic/refunds/{out_refund_no}";

/// What `refund-order` takes.
pub fn refund_event(order: &str, fen: u64, request_id: &str) -> Value {
    json!({ "outTradeNo": order, "refundFen": fen, "requestId": request_id })
}

/// How a refund stands by a reply of `refund-order`, or the code of its refusal.
pub fn outcome(reply: &Reply) -> String {
    let text = if reply.header("x-amz-function-error").is_empty() { "status" } else { "errorType" };
    reply.json[text].as_str().unwrap_or_else(|| panic!("{:?}", reply.json)).to_owned()
}

impl World {
    /// Staff asks for a refund: how it stands, or the code of the refusal.
    pub async fn refund(&self, order: &str, fen: u64, request_id: &str) -> String {
        outcome(&self.invoke("refund-order", &refund_event(order, fen, request_id)).await)
    }

    /// A run of `order-sweeper`: the reply.
    pub async fn sweep(&self, input: Value) -> Value {
        let reply = self.invoke("order-sweeper", &input).await;
        assert_eq!(reply.header("x-amz-function-error"), "", "{:?}", reply.json);
        reply.json
    }

    /// The refunds that WeChat Pay has.
    pub async fn refunds_at_wechat_pay(&self) -> Vec<Value> {
        self.sandbox("GET", "/refunds", Value::Null).await["refunds"].as_array().unwrap().clone()
    }
}
