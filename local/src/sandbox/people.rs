//! People with phones.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::random;

use crate::demo_user::{DEMO_AVATAR_URL, DEMO_NICK_NAME, DEMO_OPENID, DEMO_PHONE_NUMBER, DEMO_SESSION_KEY};

/// A login within this time keeps the session_key. WeChat has such a period and does not tell how long it is.
const SESSION_KEY_KEPT: Duration = Duration::from_secs(300);

/// A person with a phone.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    /// The id across apps, where the apps are bound to an Open Platform account.
    pub(crate) unionid: Option<String>,
    /// The id within each app.
    openids: BTreeMap<String, String>,
    /// Whether WeChat takes the user for dangerous.
    pub(crate) blocked: bool,
    #[serde(flatten)]
    pub(crate) phone: Phone,
    pub(crate) nick_name: String,
    pub(crate) avatar_url: String,
    /// The one live key within each app.
    #[serde(skip)]
    session_keys: HashMap<String, (String, Timestamp)>,
}

/// A phone number, as WeChat tells it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Phone {
    /// With the country's code, if that is not the mainland's.
    pub(crate) phone_number: String,
    pub(crate) pure_phone_number: String,
    pub(crate) country_code: String,
}

/// What a mini program is told of somebody, in WeChat's order. Nobody here tells more than a name and a picture.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile<'a> {
    nick_name: &'a str,
    gender: u8,
    language: &'a str,
    city: &'a str,
    province: &'a str,
    country: &'a str,
    avatar_url: &'a str,
}

impl User {
    pub(crate) fn new(nick_name: String, unionid: Option<String>) -> Self {
        Self {
            unionid,
            openids: BTreeMap::new(),
            blocked: false,
            phone: Phone::random(),
            nick_name,
            avatar_url: format!("https://thirdwx.qlogo.cn/mmopen/vi_32/{}/132", random::base64url::<24>()),
            session_keys: HashMap::new(),
        }
    }

    /// The demo user, who is known in the default app, with a key that no login replaces.
    pub(crate) fn demo(app_id: Option<&str>) -> Self {
        let mut demo = Self::new(DEMO_NICK_NAME.to_owned(), None);
        demo.phone = Phone::mainland(DEMO_PHONE_NUMBER.to_owned());
        demo.avatar_url = DEMO_AVATAR_URL.to_owned();
        if let Some(app_id) = app_id {
            let key = (DEMO_SESSION_KEY.to_owned(), Timestamp::from_secs(u64::MAX));
            demo.openids.insert(app_id.to_owned(), DEMO_OPENID.to_owned());
            demo.session_keys.insert(app_id.to_owned(), key);
        }
        demo
    }

    /// The id within an app, which there is from the first login on.
    pub(crate) fn openid(&self, app_id: &str) -> Option<&str> {
        self.openids.get(app_id).map(String::as_str)
    }

    /// The id within an app, from now on.
    pub(crate) fn enter(&mut self, app_id: &str) -> String {
        self.openids.entry(app_id.to_owned()).or_insert_with(openid).clone()
    }

    /// The live key within an app, if this is the user's openid there.
    pub(crate) fn session_key_of(&self, openid: &str, app_id: &str) -> Option<&str> {
        self.session_key(app_id).filter(|_| self.openid(app_id) == Some(openid))
    }

    /// The live key within an app, which there is from the first login on.
    pub(crate) fn session_key(&self, app_id: &str) -> Option<&str> {
        self.session_keys.get(app_id).map(|(key, _)| key.as_str())
    }

    /// The openid and the live session_key; a login after a while makes a new key.
    pub(crate) fn log_in(&mut self, app_id: &str, now: Timestamp) -> (String, String) {
        let openid = self.enter(app_id);
        let (key, since) = self.session_keys.entry(app_id.to_owned()).or_insert_with(|| (session_key(), now));
        if now.secs_since(*since) > SESSION_KEY_KEPT.as_secs() {
            (*key, *since) = (session_key(), now);
        }
        (openid, key.clone())
    }

    /// Replaces the keys: what is encrypted from now on, only the next login's key opens.
    pub(crate) fn rotate_session_keys(&mut self, now: Timestamp) {
        for key in self.session_keys.values_mut() {
            *key = (session_key(), now);
        }
    }

    pub(crate) fn profile(&self) -> Profile<'_> {
        Profile { nick_name: &self.nick_name, language: "zh_CN", avatar_url: &self.avatar_url, ..Profile::ANONYMOUS }
    }
}

impl Phone {
    /// A number of the mainland.
    pub(crate) fn mainland(number: String) -> Self {
        Self { phone_number: number.clone(), pure_phone_number: number, country_code: "86".to_owned() }
    }

    /// One that nobody else has, most likely.
    fn random() -> Self {
        let digits = u64::from_be_bytes(random::bytes()) % 1_000_000_000;
        Self::mainland(format!("13{digits:09}"))
    }
}

impl Profile<'static> {
    /// What WeChat tells since 2022, of everybody.
    pub(crate) const ANONYMOUS: Self = Self {
        nick_name: "微信用户",
        gender: 0,
        language: "",
        city: "",
        province: "",
        country: "",
        avatar_url: "https://thirdwx.qlogo.cn/mmopen/vi_32/POgEwh4mIHO4nibH0KlMECNjjGxQUq24ZEaGT4poC6icRiccVGKSyXwibcPq4BWmiaIGuG1icwxaQX6grC9VemZoJ8rg/132",
    };
}

impl Profile<'_> {
    /// What a page or a mobile app is told of the user.
    pub(crate) fn of_page(&self, openid: &str) -> Value {
        json!({
            "openid": openid,
            "nickname": self.nick_name,
            "sex": self.gender,
            "province": self.province,
            "city": self.city,
            "country": self.country,
            "headimgurl": self.avatar_url,
            "privilege": [],
        })
    }

    /// The text that WeChat signs.
    pub(crate) fn raw_data(&self) -> String {
        // Texts and a number always become JSON.
        serde_json::to_string(self).unwrap_or_default()
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
