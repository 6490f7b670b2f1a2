//! Refunds one by one: what the table has of each, and what staff and WeChat Pay do.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::notifications::Notice;
use crate::world::{Row, World};

/// What the table has of a refund, as far as it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// Its number.
    pub number: String,
    /// How much of the payment.
    pub fen: u64,
    /// How it stands.
    pub state: String,
    /// What it has become, and by what: `RESERVED refund, SUCCESS notify`.
    pub story: String,
    /// What it was asked for by, if that was here.
    pub request_id: Option<String>,
    /// Whether the sweep asks about it.
    pub is_swept: bool,
}

impl RefundRow {
    /// Of a row of the table.
    pub fn of(row: &Row) -> Self {
        let text = |row: &Row, name: &str| Some(row.get(name)?.as_s().unwrap().clone());
        let entry = |entry: &AttributeValue| {
            let entry = entry.as_m().unwrap();
            format!("{} {}", text(entry, "refundStatus").unwrap(), text(entry, "by").unwrap())
        };
        let story: Vec<_> = row["history"].as_l().unwrap().iter().map(entry).collect();
        Self {
            number: text(row, "outRefundNo").unwrap(),
            fen: number_of(row, "refundFen"),
            state: text(row, "refundStatus").unwrap(),
            story: story.join(", "),
            request_id: text(row, "requestId"),
            is_swept: row.contains_key("sweepShard") && row.contains_key("sweepAtMs"),
        }
    }
}

/// A number of a row, zero if it is not there.
pub fn number_of(row: &Row, name: &str) -> u64 {
    row.get(name).map_or(0, |number| number.as_n().unwrap().parse().unwrap())
}

impl World {
    /// A world in which WeChat Pay tells nothing by itself, and somebody who buys.
    pub async fn start_untold() -> (Self, Caller) {
        let world = Self::start().await;
        let buyer = world.untold().await;
        (world, buyer)
    }

    /// From now on WeChat Pay tells nothing by itself. Somebody who buys.
    pub async fn untold(&self) -> Caller {
        self.sandbox("PUT", "/notifications", json!({ "enabled": false })).await;
        self.caller().await
    }

    /// An order of 3900 fen that is paid, as everybody knows: its number.
    pub async fn paid_order(&self, buyer: &Caller) -> String {
        let number = buyer.buy(self, "demo-mug").await;
        self.pay_silently(&number).await;
        assert_eq!(Notice::of(self, &number).await.send(self).await.status, 204);
        number
    }

    /// Invokes a function that is not behind the gateway: its reply, or the code of its refusal.
    ///
    /// # Errors
    ///
    /// The code.
    pub async fn direct(&self, function: &str, input: &Value) -> Result<Value, String> {
        let reply = self.invoke(function, input).await;
        let refusal = reply.json["errorType"].as_str().map(str::to_owned);
        assert_eq!(refusal.is_some(), !reply.header("x-amz-function-error").is_empty(), "{:?}", reply.json);
        refusal.map_or(Ok(reply.json), Err)
    }

    /// A sweep of what is due: the counts.
    pub async fn sweep_due(&self) -> Value {
        self.sweep(json!({})).await
    }

    /// A sweep of everything.
    pub async fn sweep_all(&self) -> Value {
        self.sweep(json!({ "minAgeSecs": 0 })).await
    }

    /// Changes a text of a row, as somebody might by hand.
    pub async fn alter(&self, pk: &str, sk: &str, name: &str, value: &str) {
        let table = self.table();
        let update = table.client().update_item().table_name(table.name());
        let [pk, sk, value] = [pk, sk, value].map(|text| AttributeValue::S(text.to_owned()));
        let update = update.key("pk", pk).key("sk", sk).update_expression("SET #name = :value");
        update
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .unwrap();
    }

    /// What is held of an order's payment, and what is refunded of it.
    pub async fn amounts(&self, order: &str) -> (u64, u64) {
        let row = self.row(&format!("ORDER#{order}"), "ORDER").await.unwrap();
        (number_of(&row, "heldFen"), number_of(&row, "refundedFen"))
    }

    /// What the table has of an order's refunds, sorted by their numbers.
    pub async fn refunds_of(&self, order: &str) -> Vec<RefundRow> {
        let rows = self.rows_at(&format!("ORDER#{order}"), "REFUND#").await;
        let mut rows: Vec<_> = rows.iter().map(RefundRow::of).collect();
        rows.sort_by(|one, other| one.number.cmp(&other.number));
        rows
    }

    /// The one refund that the table has of an order.
    pub async fn refund_row(&self, order: &str) -> RefundRow {
        let mut rows = self.refunds_of(order).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    /// What WeChat Pay has of an order's refunds, in the order in which they were made.
    pub async fn refunds_at_wechat(&self, order: &str) -> Vec<Value> {
        self.order_at_wechat(order).await["refunds"].as_array().unwrap().clone()
    }

    /// What becomes of refunds at WeChat Pay from now on.
    pub async fn refunds_become(&self, settings: Value) {
        self.sandbox("PUT", "/refunds", settings).await;
    }

    /// A refund becomes something else at WeChat Pay, which does not tell.
    pub async fn settle_silently(&self, refund: &str, status: &str) {
        let wish = json!({ "outRefundNo": refund, "status": status, "notify": false });
        self.sandbox("POST", "/refunds/settle", wish).await;
    }

    /// Staff refunds on the merchant platform: the refund's number. How, if not at once and without a word.
    pub async fn staff_refund(&self, order: &str, fen: u64, mut how: Value) -> String {
        (how["outTradeNo"], how["refundFen"]) = (order.into(), fen.into());
        if how["notify"].is_null() {
            how["notify"] = "none".into();
        }
        let view = self.sandbox("POST", "/refunds", how).await;
        view["outRefundNo"].as_str().unwrap().to_owned()
    }

    /// What WeChat Pay would tell of a refund that stands so.
    pub async fn refund_of(&self, order: &str, refund: &str, fen: u64, status: &str) -> Value {
        let payment = self.payment_of(order).await;
        json!({
            "mchid": "1900000001",
            "out_trade_no": order,
            "transaction_id": payment["transaction_id"],
            "out_refund_no": refund,
            "refund_id": "50000000382019052709732678859",
            "refund_status": status,
            "user_received_account": "支付用户零钱",
            "amount": { "total": payment["amount"]["total"], "refund": fen, "payer_total": 1, "payer_refund": 1 },
        })
    }
}

impl Notice {
    /// The one of a refund that is told in these words.
    pub async fn telling_refund(world: &World, refund: &Value) -> Self {
        let event_type = format!("REFUND.{}", refund["refund_status"].as_str().unwrap_or_default());
        let wish = json!({ "resource": refund, "eventType": event_type, "originalType": "refund" });
        Self::forge(world, wish).await
    }
}
