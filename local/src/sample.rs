//! Sample events: the files of `events/`, with what ages made fresh.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::wechat::SessionKey;
use shared::wechat::open_data::EncryptedData;

use crate::demo_user::DEMO_SESSION_KEY;
use crate::event::{epoch_millis, log_time};
use crate::functions::request_id;
use crate::pay_keys::PayKeys;
use crate::sandbox::encrypt;
use crate::sandbox::pay::{self, Tamper};

/// Why there is no such event.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SampleError {
    #[error("{} is not a JSON object", path.display())]
    Malformed { path: PathBuf },
    #[error("`sample` of the event does not say how to sign it")]
    Signing(#[source] serde_json::Error),
    #[error("there is no event {case} of {function}; there are: {}", known.join(", "))]
    Unknown { function: String, case: String, known: Vec<String> },
    #[error("`tamper` of the event changes nothing: what is encrypted can say it itself")]
    NoEffect,
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// The event `events/<function>/<case>.json` below `root`, as if it came in `now`, with what WeChat encrypted for the
/// demo user as if that were of `now` too.
///
/// # Errors
///
/// If there is none, or it is not a JSON object.
pub fn fresh(root: &Path, function: &str, case: &str, now: SystemTime) -> Result<Value, SampleError> {
    let mut event = read(root, function, case)?;
    if let Some(context) = event.get_mut("requestContext").and_then(Value::as_object_mut) {
        context.insert("requestId".to_owned(), request_id().into());
        context.insert("time".to_owned(), log_time(now).into());
        context.insert("timeEpoch".to_owned(), epoch_millis(now).into());
    }
    if let Some(body) = event["body"].as_str().and_then(|body| with_fresh_watermark(body, now)) {
        event["body"] = body.into();
    }
    Ok(event)
}

/// The body with its data encrypted anew. `None` if there is none in it that the demo user's session_key opens. The new
/// body is as long as the old one, because a time is.
fn with_fresh_watermark(body: &str, now: SystemTime) -> Option<String> {
    let mut input: Value = serde_json::from_str(body).ok()?;
    let data = EncryptedData::parse(input["encryptedData"].as_str()?, input["iv"].as_str()?).ok()?;
    let mut plaintext = data.open::<Value>(&SessionKey::new(DEMO_SESSION_KEY))?.data;
    plaintext["watermark"]["timestamp"] = Timestamp::from(now).as_secs().into();
    let encrypted = encrypt(DEMO_SESSION_KEY, &plaintext)?;
    input["encryptedData"] = encrypted.encrypted_data.into();
    input["iv"] = encrypted.iv.into();
    Some(input.to_string())
}

/// The field beside those of an event which says that WeChat Pay sends it.
const SIGNED: &str = "sample";

/// How WeChat Pay signs a sample event.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signing {
    tamper: Option<Tamper>,
}

/// Whether WeChat Pay sends this event, so that it has to be signed.
pub fn is_of_wechat_pay(event: &Value) -> bool {
    event.get(SIGNED).is_some()
}

/// The event with its notification encrypted and signed as by the WeChat Pay of these keys `now`. One that is not WeChat
/// Pay's stays as it is.
///
/// In the file, `resource.plaintext` of the body is what is to be encrypted, and `sample` of the event has the one thing
/// that is to be wrong, as `tamper`.
///
/// # Errors
///
/// If `sample` is something else, or names what would change nothing.
pub fn sign(mut event: Value, keys: &PayKeys, now: SystemTime) -> Result<Value, SampleError> {
    let Some(signing) = event.as_object_mut().and_then(|event| event.remove(SIGNED)) else { return Ok(event) };
    let Signing { tamper } = serde_json::from_value(signing).map_err(SampleError::Signing)?;
    if tamper.is_some_and(Tamper::is_of_content) {
        return Err(SampleError::NoEffect);
    }
    let body = event["body"].as_str().unwrap_or_default();
    let body = encrypted(body, keys, now, tamper).unwrap_or_else(|| body.to_owned());
    let signed = pay::Signatory::known(keys).sign(body, Timestamp::from(now).as_secs(), tamper);
    event["headers"]["content-length"] = signed.body.len().to_string().into();
    for (name, value) in signed.headers {
        event["headers"][name.to_ascii_lowercase()] = value.into();
    }
    event["body"] = signed.body.into();
    Ok(event)
}

/// `None` if there is nothing to be encrypted in the body.
fn encrypted(body: &str, keys: &PayKeys, now: SystemTime, tamper: Option<Tamper>) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let resource = body.get("resource")?;
    let (plaintext, original_type) = (resource.get("plaintext")?.to_string(), resource.get("original_type")?.as_str()?);
    body["resource"] = pay::encrypted(&plaintext, original_type, &keys.api_v3, tamper);
    body["create_time"] = json!(pay::beijing_time(now.into()));
    Some(body.to_string())
}

/// The event as it is in the file.
///
/// # Errors
///
/// If there is none, or it is not a JSON object.
pub fn read(root: &Path, function: &str, case: &str) -> Result<Value, SampleError> {
    let path = root.join("events").join(function).join(format!("{case}.json"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            let (function, case, known) = (function.to_owned(), case.to_owned(), cases(root, function));
            return Err(SampleError::Unknown { function, case, known });
        }
        Err(source) => return Err(SampleError::Unreadable { path, source }),
    };
    let event: Value = serde_json::from_str(&text).map_err(|_| SampleError::Malformed { path: path.clone() })?;
    if event.is_object() { Ok(event) } else { Err(SampleError::Malformed { path }) }
}

/// The names of a function's events, sorted.
pub fn cases(root: &Path, function: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("events").join(function)).into_iter().flatten().flatten();
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned());
    let mut cases: Vec<_> = entries.filter_map(|entry| name(entry.path())).collect();
    cases.sort();
    cases
}
