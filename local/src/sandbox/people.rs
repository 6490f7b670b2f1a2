//! People with phones.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use shared::clock::Timestamp;
use shared::random;

use crate::demo_user::DEMO_OPENID;

/// A login within this time keeps the session_key. WeChat has such a period and does not tell how long it is.
const SESSION_KEY_KEPT: Duration = Duration::from_secs(300);

/// A person with a phone.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    /// The id across apps, where the apps are bound to an Open Platform account.
    pub(crate) unionid: Option<String>,
    /// The id within each app.
    openids: BTreeMap<String, String>,
    /// Whether WeChat takes the user for dangerous.
    pub(crate) blocked: bool,
    /// The one live key within each app.
    #[serde(skip)]
    session_keys: HashMap<String, (String, Timestamp)>,
}

impl User {
    pub(crate) fn new(unionid: Option<String>) -> Self {
        Self { unionid, ..Self::default() }
    }

    /// The demo user, who is known in the default app.
    pub(crate) fn demo(app_id: Option<&str>) -> Self {
        let mut demo = Self::default();
        if let Some(app_id) = app_id {
            demo.openids.insert(app_id.to_owned(), DEMO_OPENID.to_owned());
        }
        demo
    }

    /// The id within an app.
    pub(crate) fn openid(&mut self, app_id: &str) -> String {
        self.openids.entry(app_id.to_owned()).or_insert_with(openid).clone()
    }

    /// The openid and the live session_key; a login after a while makes a new key.
    pub(crate) fn log_in(&mut self, app_id: &str, now: Timestamp) -> (String, String) {
        let (key, since) = self.session_keys.entry(app_id.to_owned()).or_insert_with(|| (session_key(), now));
        if now.secs_since(*since) > SESSION_KEY_KEPT.as_secs() {
            (*key, *since) = (session_key(), now);
        }
        let key = key.clone();
        (self.openid(app_id), key)
    }

    /// Makes the keys invalid: the next login gets new ones.
    pub(crate) fn rotate_session_keys(&mut self) {
        self.session_keys.clear();
    }
}

/// 28 characters, as WeChat's are.
pub(crate) fn openid() -> String {
    format!("o{}", random::base64url::<21>().get(..27).unwrap_or_default())
}

/// As WeChat's: 28 characters.
pub(crate) fn unionid() -> String {
    openid()
}

/// Base64 of 16 bytes, as WeChat's are.
fn session_key() -> String {
    STANDARD.encode(random::bytes::<16>())
}
