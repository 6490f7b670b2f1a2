//! An order as WeChat Pay tells of it.

use serde_json::{Value, json};
use shared::clock::Timestamp;

use super::beijing_time;
use super::order::{Order, Payment};

impl Order {
    /// The object of a query. It has more empty fields than that of the notification, as WeChat Pay's answers have them
    /// that merchants have published.
    pub(super) fn query_answer(&self, now: Timestamp) -> Value {
        let mut answer = self.transaction(now);
        if answer.get("promotion_detail").is_none() {
            answer["promotion_detail"] = json!([]);
        }
        if self.payment.is_none() && answer.get("scene_info").is_none() {
            answer["scene_info"] = json!({ "device_id": "" });
        }
        answer
    }

    /// The object of the notification. Source: 支付成功回调通知.
    pub(super) fn transaction(&self, now: Timestamp) -> Value {
        let request = &self.request;
        let state = self.state(now);
        let mut transaction = json!({
            "appid": request.appid,
            "mchid": request.mchid,
            "out_trade_no": request.out_trade_no,
            "trade_state": state,
            "trade_state_desc": match state {
                "SUCCESS" => "支付成功",
                "REFUND" => "转入退款",
                "CLOSED" => "订单已关闭",
                _ => "订单未支付",
            },
            "amount": { "total": request.total, "payer_currency": "CNY" },
        });
        if let Some(device_id) = &request.device_id {
            transaction["scene_info"] = json!({ "device_id": device_id });
        }
        if let Some(payment) = &self.payment {
            self.add_payment(&mut transaction, payment);
        }
        transaction
    }

    fn add_payment(&self, transaction: &mut Value, payment: &Payment) {
        transaction["transaction_id"] = payment.transaction_id.as_str().into();
        transaction["trade_type"] = "JSAPI".into();
        transaction["bank_type"] = "OTHERS".into();
        transaction["attach"] = self.request.attach.as_deref().unwrap_or_default().into();
        transaction["success_time"] = beijing_time(payment.paid_at).into();
        transaction["payer"] = json!({ "openid": self.request.openid });
        transaction["amount"]["payer_total"] = payment.payer_total.into();
        transaction["amount"]["currency"] = "CNY".into();
        let coupon = self.request.total - payment.payer_total;
        if coupon > 0 {
            transaction["promotion_detail"] = json!([{
                "coupon_id": "109519",
                "name": "立减券",
                "scope": "GLOBAL",
                "type": "CASH",
                "amount": coupon,
                "stock_id": "931386",
                "wechatpay_contribute": coupon,
                "merchant_contribute": 0,
                "other_contribute": 0,
                "currency": "CNY",
            }]);
        }
    }
}
