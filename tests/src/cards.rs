//! Cards, and what signs them.

use serde_json::Value;

use crate::callers::Caller;
use crate::open_data::sha1;
use crate::world::World;

/// What is signed of a `cardExt`.
const SIGNED: [&str; 4] = ["code", "openid", "timestamp", "nonce_str"];

impl World {
    /// Puts a card into the table.
    pub async fn put_card(&self, card_id: &str, mut item: Value) {
        (item["pk"], item["sk"]) = (format!("CARD#{card_id}").into(), "CARD".into());
        item["cardId"] = card_id.into();
        self.put(item).await;
    }

    /// The `cardExt` that a caller gets, once its signature is found to be what WeChat will find, by the ticket that an
    /// account has there.
    pub async fn card_ext(&self, caller: &Caller, account: &str, body: Value) -> Value {
        let reply = caller.call(self, "card-ext", body.clone()).await;
        assert_eq!(reply.status, 200, "{body}: {:?}", reply.json);
        assert_eq!(reply.json.as_object().unwrap().len(), 2, "{:?}", reply.json);
        assert_eq!(reply.json["cardId"], body["cardId"]);
        let ext: Value = serde_json::from_str(reply.json["cardExt"].as_str().unwrap()).unwrap();
        let ticket = self.live(account, "wx_card").await;
        let values = SIGNED.iter().filter_map(|name| ext[*name].as_str());
        let mut values: Vec<&str> = values.chain([ticket.as_str(), body["cardId"].as_str().unwrap()]).collect();
        values.sort_unstable();
        assert_eq!(ext["signature"], sha1(&values.concat()), "{body}");
        ext
    }
}
