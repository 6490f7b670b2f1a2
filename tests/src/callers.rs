//! People who are logged in to the apps of a world, and what WeChat holds of them.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::{Row, World};

/// Where WeChat is asked about a code of `wx.login`.
pub const CODE2SESSION: &str = "/sns/jscode2session";

/// Somebody who is logged in to an app.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The person, as the sandbox calls it.
    pub person: String,
    /// The app.
    pub app_id: String,
    /// The user's id here.
    pub id: String,
    /// The session's token.
    pub token: String,
}

impl Caller {
    /// Calls a function.
    pub async fn call(&self, world: &World, function: &str, body: Value) -> Reply {
        world.call(function, Some(&self.token), body).await
    }

    /// What `user-info` says of the caller.
    pub async fn user(&self, world: &World) -> Value {
        let mut reply = self.call(world, "user-info", json!({})).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        reply.json["user"].take()
    }

    /// The caller's row.
    pub async fn row(&self, world: &World) -> Row {
        world.rows_at(&format!("USER#{}", self.id), "USER").await.remove(0)
    }

    /// The live session_key of the caller, as WeChat has it. Asking for it is a login at WeChat, and none here.
    pub async fn session_key(&self, world: &World) -> String {
        let (code, secret) = (world.code_for(&self.person, &self.app_id).await, world.secret_of(&self.app_id));
        let query = format!("appid={}&secret={secret}&js_code={code}&grant_type=authorization_code", self.app_id);
        let reply = world.wechat("GET", &format!("/sns/jscode2session?{query}"), Value::Null).await;
        reply.json["session_key"].as_str().unwrap().to_owned()
    }

    /// What the button for the phone number gives. `plaintext` is what is different in it.
    pub async fn phone_button(&self, world: &World, plaintext: Value) -> Value {
        let wish = json!({ "user": self.person, "appId": self.app_id, "plaintext": plaintext });
        world.sandbox("POST", "/getPhoneNumber", wish).await
    }
}

impl World {
    /// A new person without a unionid, who is logged in to the first app.
    pub async fn caller(&self) -> Caller {
        let app_id = self.apps()[0]["appId"].as_str().unwrap().to_owned();
        self.log_in(&self.person(Value::Null).await, &app_id).await
    }

    /// Logs a person in to an app of any kind.
    pub async fn log_in(&self, person: &str, app_id: &str) -> Caller {
        let code = self.code_for(person, app_id).await;
        let reply = self.call("login", None, json!({ "code": code, "appId": app_id })).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (id, token) = (text(&reply.json["user"]["id"]), text(&reply.json["token"]));
        Caller { person: person.to_owned(), app_id: app_id.to_owned(), id, token }
    }

    /// A code of a person for a login, of `wx.login` or of OAuth.
    pub async fn code_for(&self, person: &str, app_id: &str) -> String {
        if self.app(app_id)["kind"] == "mini-program" {
            return self.code_of(person, Some(app_id)).await;
        }
        let answer = self.sandbox("POST", "/oauth2/authorize", json!({ "user": person, "appId": app_id })).await;
        answer["code"].as_str().unwrap().to_owned()
    }

    fn app(&self, app_id: &str) -> Value {
        let apps = self.apps();
        apps.as_array().unwrap().iter().find(|app| app["appId"] == app_id).unwrap().clone()
    }

    fn secret_of(&self, app_id: &str) -> String {
        self.app(app_id)["appSecret"].as_str().unwrap().to_owned()
    }

    /// The token or ticket of an app that is good at WeChat.
    pub async fn live(&self, app_id: &str, kind: &str) -> String {
        let tokens = self.sandbox("GET", "/tokens", Value::Null).await;
        tokens[app_id][kind]["value"].as_str().unwrap().to_owned()
    }

    /// The calls of a path of WeChat's so far.
    pub async fn calls_of(&self, path: &str) -> Vec<Value> {
        let calls = self.sandbox("GET", &format!("/calls?path={path}"), Value::Null).await;
        calls["calls"].as_array().unwrap().clone()
    }

    /// How many these are.
    pub async fn count_of(&self, path: &str) -> usize {
        self.calls_of(path).await.len()
    }

    /// Lets the next calls of a path go wrong, and none that should have gone wrong until now, of whatever path.
    pub async fn fault(&self, path: &str, fault: Value) {
        self.sandbox("DELETE", "/faults", Value::Null).await;
        self.fault_too(path, fault).await;
    }

    /// The same, beside what goes wrong already.
    pub async fn fault_too(&self, path: &str, mut fault: Value) {
        fault["path"] = path.into();
        self.sandbox("POST", "/faults", fault).await;
    }

    /// Puts a row of texts and numbers into the table.
    pub async fn put(&self, row: Value) {
        let attribute = |value: &Value| match value {
            Value::Number(number) => AttributeValue::N(number.to_string()),
            text => AttributeValue::S(text.as_str().unwrap().to_owned()),
        };
        let row = row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value)));
        let table = self.table();
        table.client().put_item().table_name(table.name()).set_item(Some(row.collect())).send().await.unwrap();
    }

    /// Writes a text over an attribute of a row, as a person might by hand.
    pub async fn set_text(&self, pk: &str, sk: &str, name: &str, value: &str) {
        let table = self.table();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let update = table.client().update_item().table_name(table.name()).key("pk", text(pk)).key("sk", text(sk));
        let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        update.expression_attribute_values(":value", text(value)).send().await.unwrap();
    }

    /// Deletes a row, as a person might by hand.
    pub async fn delete(&self, pk: &str, sk: &str) {
        let table = self.table();
        let delete = table.client().delete_item().table_name(table.name());
        let [pk, sk] = [pk, sk].map(|text| AttributeValue::S(text.to_owned()));
        delete.key("pk", pk).key("sk", sk).send().await.unwrap();
    }

    /// The rows whose keys start with these texts.
    pub async fn rows_at(&self, pk: &str, sk: &str) -> Vec<Row> {
        let starts = |row: &Row, name: &str, with: &str| row[name].as_s().unwrap().starts_with(with);
        self.rows().await.into_iter().filter(|row| starts(row, "pk", pk) && starts(row, "sk", sk)).collect()
    }

    /// Whether a text is anywhere in the table, in the clear.
    pub async fn table_shows(&self, text: &str) -> bool {
        self.rows().await.iter().flat_map(|row| row.values()).any(|value| shows(value, text))
    }
}

fn shows(value: &AttributeValue, text: &str) -> bool {
    let bytes = match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.as_bytes(),
        AttributeValue::B(blob) => blob.as_ref(),
        AttributeValue::Bool(_) => return false,
        AttributeValue::L(list) => return list.iter().any(|value| shows(value, text)),
        AttributeValue::M(map) => return map.values().any(|value| shows(value, text)),
        other => panic!("{other:?}"),
    };
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
