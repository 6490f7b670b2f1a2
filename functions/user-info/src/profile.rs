//! What a profile may hold.

use serde::Deserialize;
use shared::secret::Secret;
use url::Url;

/// The most characters of a nickname. WeChat's own have 32.
const LONGEST_NICK_NAME: usize = 64;

/// The most bytes of the URL of a picture.
const LONGEST_AVATAR_URL: usize = 1024;

/// The nickname that WeChat gives everybody since it tells the real one no more.
/// Source: mini program documentation, "Adjustment of the user information interface" (2022).
const ANONYMOUS: &str = "微信用户";

/// A nickname: 1 to 64 characters of any script, none of which controls the text around it. Personal data.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct NickName(Secret);

/// The URL of a picture: https. Personal data.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AvatarUrl(Secret);

impl NickName {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it is the one that WeChat gives everybody.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.expose() == ANONYMOUS
    }
}

impl TryFrom<String> for NickName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_short = (1..=LONGEST_NICK_NAME).contains(&name.chars().count());
        (is_short && !name.chars().any(controls)).then(|| Self(Secret::new(name))).ok_or("not a nickname")
    }
}

/// Whether a character is a control character, breaks lines, or turns the direction of the text that follows.
fn controls(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl AvatarUrl {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// A URL of WeChat's. Older ones are http; the same host serves them by https.
    pub(crate) fn of_wechat(url: &str) -> Option<Self> {
        let is_of_wechat = |url: &Url| url.host_str().is_some_and(|host| host.ends_with(".qlogo.cn"));
        let secure = url.strip_prefix("http://").filter(|_| Url::parse(url).as_ref().is_ok_and(is_of_wechat));
        let url = secure.map_or_else(|| url.to_owned(), |rest| format!("https://{rest}"));
        Self::try_from(url).ok()
    }
}

impl TryFrom<String> for AvatarUrl {
    type Error = &'static str;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let is_https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let parsed = Url::parse(&url).ok().filter(|_| is_https && url.len() <= LONGEST_AVATAR_URL);
        let is_good = |parsed: &Url| parsed.username().is_empty() && parsed.password().is_none();
        let is_plain = url.chars().all(stands_in_a_url) && url.get(8..).is_some_and(|rest| !rest.starts_with('/'));
        parsed.filter(is_good).filter(|_| is_plain).map(|_| Self(Secret::new(url))).ok_or("not an https URL")
    }
}

/// Whether a character may stand in a URL as it is, or is a letter or digit of another script, which browsers encode. No
/// other character means the same to a parser, to a browser and to whoever puts the URL into a page.
/// Source: RFC 3986, section 2.
fn stands_in_a_url(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c) } else { c.is_alphanumeric() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> bool {
        NickName::try_from(text.to_owned()).is_ok()
    }

    fn url(text: &str) -> bool {
        AvatarUrl::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn any_script_and_any_emoji_is_a_name() {
        for text in ["a", "张三", "Ünïcödé", "👨‍👩‍👧‍👦", "שלום", "नमस्ते", &"字".repeat(64)]
        {
            assert!(name(text), "{text}");
        }
    }

    #[test]
    fn control_characters_and_endless_names_are_none() {
        for text in
            ["", "a\n", "a\u{0}b", "\u{1b}[31m", "a\u{7f}", "\u{85}", "\u{202e}abc", "\u{2028}", &"字".repeat(65)]
        {
            assert!(!name(text), "{text:?}");
        }
    }

    #[test]
    fn only_https_is_a_picture() {
        for text in ["https://example.com/a.png?x=1#y", "HTTPS://EXAMPLE.COM", "https://例子.cn/头像.png"] {
            assert!(url(text), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(1005));
        for text in [
            "",
            "http://example.com",
            "javascript:alert(1)",
            "data:image/png;base64,x",
            "//example.com",
            "https://",
            "https://user@example.com",
            "https://:p@example.com",
            "https://example.com/a b",
            "https://exa\tmple.com",
            "https:example.com",
            "https:\\\\example.com",
            "https:///example.com",
            "https://a\u{200b}b.com",
            "https://example.com/\"><script>",
            &long,
        ] {
            assert!(!url(text), "{text}");
        }
        assert!(url(&long[..1024]));
    }

    #[test]
    fn an_old_picture_of_wechat_is_fetched_by_https() {
        let of_wechat = |url: &str| AvatarUrl::of_wechat(url).map(|url| url.expose().to_owned());
        assert_eq!(of_wechat("http://wx.qlogo.cn/a/0").as_deref(), Some("https://wx.qlogo.cn/a/0"));
        assert_eq!(of_wechat("https://thirdwx.qlogo.cn/a").as_deref(), Some("https://thirdwx.qlogo.cn/a"));
        assert_eq!(of_wechat("http://example.com/a"), None);
        assert_eq!(of_wechat("http://example.com/.qlogo.cn"), None);
        assert_eq!(of_wechat(""), None);
    }
}
