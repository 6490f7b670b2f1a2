//! The keys of WeChat Pay: who has which, and how they change.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::deadline::Deadline;
use shared::settlement::Work;
use shared::wechatpay::v3::{PayClient, RefreshError, Refreshed};

use crate::merchant::Message;
use crate::notifications::Notice;
use crate::world::{Row, World};

/// Where certificates come from.
pub const CERTIFICATES: &str = "/v3/certificates";

/// The partition of the merchant's rows.
const PARTITION: &str = "PAYKEY#1900000001";

impl World {
    /// A client of WeChat Pay's, as a new instance of a function has one.
    pub async fn pay_client(&self) -> PayClient {
        let setup = self.setup([]);
        let merchant = Arc::new(setup.merchant().await.unwrap());
        PayClient::new(setup.wechatpay().unwrap(), merchant, setup.table().unwrap(), setup.clock().clone())
    }

    /// What a schedule does.
    pub async fn refresh_keys(&self) -> Result<Refreshed, RefreshError> {
        let work = Work { function: "keys", request_id: "refresh" };
        self.pay_client().await.refresh_if_due(work, Deadline::after(Duration::from_secs(9))).await
    }

    /// From now on the merchant has these keys of WeChat Pay's.
    pub async fn set_keys(&self, mode: &str, percent: f64) {
        self.sandbox("PUT", "/keys", json!({ "mode": mode, "publicKeyPercent": percent })).await;
    }

    /// One step of a rotation.
    pub async fn rotate(&self, step: &str) {
        self.sandbox("POST", "/certificates/rotate", json!({ "step": step })).await;
    }

    /// The serial numbers of the certificates, in the order in which they were made.
    pub async fn serials(&self) -> Vec<String> {
        let keys = self.sandbox("GET", "/keys", Value::Null).await;
        let certificates = keys["certificates"].as_array().unwrap();
        certificates.iter().map(|certificate| certificate["serialNo"].as_str().unwrap().to_owned()).collect()
    }

    /// Those of the certificates in the table.
    pub async fn kept_serials(&self) -> Vec<String> {
        let rows = self.rows_at(PARTITION, "CERTIFICATE#").await;
        rows.iter().map(|row| row["serial"].as_s().unwrap().clone()).collect()
    }

    /// Somebody deletes all that the table has of the keys.
    pub async fn forget_keys(&self) {
        let table = self.table();
        for mut row in self.rows_at(PARTITION, "").await {
            let delete = table.client().delete_item().table_name(table.name());
            let [pk, sk] = ["pk", "sk"].map(|name| row.remove(name).unwrap());
            delete.key("pk", pk).key("sk", sk).send().await.unwrap();
        }
    }

    /// How far the refreshes are.
    pub async fn refreshes(&self) -> Option<Row> {
        self.row(PARTITION, "REFRESH").await
    }

    /// Changes a number of the row of a certificate, or of the refreshes.
    pub async fn set_key_number(&self, sk: &str, name: &str, number: u64) {
        let [pk, sk] = [PARTITION, sk].map(|text| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned()));
        let table = self.table();
        let update = table.client().update_item().table_name(table.name()).key("pk", pk).key("sk", sk);
        let number = aws_sdk_dynamodb::types::AttributeValue::N(number.to_string());
        let update = update.update_expression("SET #name = :number").expression_attribute_names("#name", name);
        update.expression_attribute_values(":number", number).send().await.unwrap();
    }

    /// How often WeChat Pay was asked for its certificates.
    pub async fn downloads(&self) -> usize {
        self.count_of(CERTIFICATES).await
    }

    /// A notification of a paid order, signed by `publicKey` or `certificate`.
    pub async fn notice_by(&self, signer: &str, number: &str) -> Notice {
        Notice::forge(self, json!({ "outTradeNo": number, "signer": signer })).await
    }
}

impl From<Message> for Notice {
    /// A notification that has come, to be sent on.
    fn from(message: Message) -> Self {
        let names = ["timestamp", "nonce", "signature", "serial", "signature-type"];
        let names = names.map(|name| format!("wechatpay-{name}"));
        let headers = names.map(|name| (name.clone(), message.header(&name).to_owned()));
        Self { headers: headers.into(), body: message.body }
    }
}
