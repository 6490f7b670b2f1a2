//! Every sample event, and the answer to it: what the READMEs of the functions promise. They are sent through a
//! [`Door`]: to a function in this process, or to the binary that is deployed.

mod direct;
mod orders;
mod users;

use std::fmt;

use local::demo_order::DEMO_ORDER;
use local::functions::Instance;
use local::sample;
use serde_json::{Value, json};

use crate::root;
use crate::world::{World, reply};

/// An event's name, and what is expected: a reply's body with its `statusCode`, or what a direct function returns, or
/// its error as `functionError`.
pub type Case = (&'static str, Value);

/// What a function has returned, or its error.
pub type Outcome = Result<Value, Value>;

/// A way into a function of a world.
pub trait Door {
    /// What is invoked: it has one memory.
    type Instance: Invoke;

    /// Whether the function has a clock of its own, which does not stand still as the world's does.
    const HAS_OWN_CLOCK: bool;

    /// Starts an instance.
    fn open(&self, world: &World, function: &str) -> impl Future<Output = Self::Instance>;
}

/// Something that is invoked as Lambda invokes it.
pub trait Invoke {
    /// Invokes it with an event.
    fn invoke(&self, event: &Value, world: &World) -> impl Future<Output = Outcome>;
}

impl Invoke for Instance {
    async fn invoke(&self, event: &Value, world: &World) -> Outcome {
        let result = self.invoke(event.to_string().into_bytes(), world.now()).await;
        result.map(|reply| serde_json::from_slice(&reply).unwrap()).map_err(|err| json!(err))
    }
}

/// An answer that is not the one that was expected.
#[derive(Debug)]
pub struct Difference {
    case: String,
    expected: Value,
    actual: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, expected, actual } = self;
        write!(f, "{case}\n  expected {expected}\n  but got  {actual}")
    }
}

/// What is expected of all events of a function, in the order in which they are sent.
pub fn expected(function: &str) -> Vec<Case> {
    match function {
        "card-ext" => users::card_ext(),
        "create-order" => orders::create_order(),
        "login" => users::login(),
        "logout" => users::logout(),
        "order-sweeper" => direct::order_sweeper(),
        "pay-notify" => orders::pay_notify(),
        "phone-decrypt" => users::phone_decrypt(),
        "query-order" => orders::query_order(),
        "refund-order" => direct::refund_order(),
        "token-refresher" => direct::token_refresher(),
        "user-info" => users::user_info(),
        _ => Vec::new(),
    }
}

/// Those that leave something behind which changes the next answer: each event is sent to a machine of its own.
const EACH_ALONE: [&str; 2] = ["order-sweeper", "token-refresher"];

/// Sends every event of a function through a door, made fresh and signed where it ages, and says what has come back
/// that was not expected. A file without an expectation is a difference too, and so is an expectation without a file.
pub async fn play<D: Door>(function: &str, door: &D) -> Vec<Difference> {
    let expected = expected(function);
    let mut differences = unexpected(function, &expected);
    let is_each_alone = EACH_ALONE.contains(&function);
    let mut opened = None;
    for (case, expected) in expected {
        if opened.is_none() || is_each_alone {
            let world = World::start_embedded().await;
            let instance = door.open(&world, function).await;
            opened = Some((instance, world));
        }
        let (instance, world) = opened.as_ref().expect("it was opened");
        let event = sample::fresh(&root(), function, case, world.now());
        let event = event.and_then(|event| sample::sign(event, world.machine.pay_keys(), world.now()));
        let mut actual = match event {
            Ok(event) => comparable(function, case, instance.invoke(&event, world).await),
            Err(err) => json!({ "noEvent": err.to_string() }),
        };
        if function == "pay-notify" {
            actual["order"] = order_state(world).await;
        }
        if D::HAS_OWN_CLOCK {
            forget_how_long_it_took(&mut actual);
        }
        if actual != expected {
            differences.push(Difference { case: case.to_owned(), expected, actual });
        }
    }
    differences
}

fn unexpected(function: &str, expected: &[Case]) -> Vec<Difference> {
    let files = sample::cases(&root(), function).into_iter();
    let unexpected = files.filter(|file| expected.iter().all(|(case, _)| case != file));
    unexpected.map(|case| Difference { case, expected: "nothing".into(), actual: "a file".into() }).collect()
}

/// What is to be compared of an outcome: without what is random in it.
fn comparable(function: &str, case: &str, outcome: Outcome) -> Value {
    let result = match outcome {
        Err(error) => return json!({ "functionError": error }),
        Ok(result) if result.get("statusCode").is_none() => return result,
        Ok(result) => result,
    };
    let reply = reply(result.to_string().as_bytes());
    let mut body = reply.json.clone();
    if body.is_null() && !reply.body.is_empty() {
        body = json!({ "text": String::from_utf8_lossy(&reply.body) });
    }
    if let Some(text) = body["cardExt"].as_str() {
        body["cardExt"] = serde_json::from_str(text).unwrap_or_default();
    }
    for (object, name) in random(function, case, reply.status) {
        let Some(object) = body.pointer_mut(object).and_then(Value::as_object_mut) else { continue };
        if object.remove(*name).is_none_or(|random| random.as_str().is_none_or(str::is_empty)) {
            object.insert((*name).to_owned(), "missing".into());
        }
    }
    body["statusCode"] = reply.status.into();
    if function != "pay-notify" {
        for (header, value) in [("content-type", "application/json"), ("cache-control", "no-store")] {
            if reply.header(header) != value {
                body[header] = reply.header(header).into();
            }
        }
    }
    body
}

/// What is left of a token's two hours is told in whole seconds, and less than it was when some time has passed.
fn forget_how_long_it_took(actual: &mut Value) {
    for token in actual.get_mut("refreshed").and_then(Value::as_array_mut).into_iter().flatten() {
        if token["expiresIn"].as_u64().is_some_and(|secs| (7190..7200).contains(&secs)) {
            token["expiresIn"] = 7200.into();
        }
    }
}

/// The parts of a reply that are random: the object that they are in, and their names.
fn random(function: &str, case: &str, status: u16) -> &'static [(&'static str, &'static str)] {
    const CARD_EXT: &[(&str, &str)] = &[
        ("/cardExt", "nonce_str"),
        ("/cardExt", "signature"),
        ("/cardExt", "timestamp"),
        ("/cardExt", "code"), // The last one, where it is ours.
    ];
    const CREATE_ORDER: &[(&str, &str)] = &[
        ("", "outTradeNo"),
        ("/payment", "timeStamp"),
        ("/payment", "nonceStr"),
        ("/payment", "package"),
        ("/payment", "paySign"),
    ];
    match (function, case) {
        ("pay-notify", _) => &[],
        _ if status != 200 => &[("", "requestId")],
        ("login", _) => &[("", "token"), ("/user", "id")],
        ("user-info", _) => &[("/user", "id")],
        ("card-ext", "server-code") => CARD_EXT,
        ("card-ext", _) => &CARD_EXT[..3],
        ("create-order", _) => CREATE_ORDER,
        _ => &[],
    }
}

/// What has become of the demo order.
async fn order_state(world: &World) -> Value {
    let rows = world.rows().await;
    let key = (format!("ORDER#{DEMO_ORDER}"), "ORDER".to_owned());
    let is_it = |row: &&crate::world::Row| (row["pk"].as_s(), row["sk"].as_s()) == (Ok(&key.0), Ok(&key.1));
    let state = rows.iter().find(is_it).and_then(|row| row["tradeState"].as_s().ok());
    state.map_or(Value::Null, |state| state.as_str().into())
}

fn error(status: u16, code: &str, message: &str) -> Value {
    json!({ "statusCode": status, "code": code, "message": message })
}

fn unauthorized() -> Value {
    error(401, "session_invalid", "there is no such session (any more); log in")
}

fn code_invalid(code: &str) -> Value {
    error(400, code, "the code is wrong, too old or used up; get a new one")
}
