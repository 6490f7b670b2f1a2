//! What an order is prepared with. Source: WeChat Pay v3, "JSAPI order".

use serde_json::json;

use crate::clock::Timestamp;
use crate::fen::Fen;
use crate::secret::Secret;
use crate::wechat::{AppId, OpenId};
use crate::wechatpay::{MchId, NotifyUrl, OutTradeNo};

/// The longest description. The documentation says 127 characters, and at times bytes; bytes are the fewer.
const LONGEST_DESCRIPTION: usize = 127;

/// The description where nothing is left of what was given ("goods").
const NAMELESS: &str = "商品";

/// An order that is to be prepared.
#[derive(Clone, Copy, Debug)]
pub struct PrepayRequest<'a> {
    /// The mini program of the payer.
    pub app_id: &'a AppId,
    /// Who is paid.
    pub mch_id: &'a MchId,
    /// What the payer reads. It is cut and cleaned as WeChat Pay needs it.
    pub description: &'a str,
    /// Our number of the order.
    pub out_trade_no: &'a OutTradeNo,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// Where WeChat Pay tells of the payment.
    pub notify_url: &'a NotifyUrl,
    /// What is to be paid.
    pub total: Fen,
    /// Who pays, in that mini program.
    pub openid: &'a OpenId,
}

impl PrepayRequest<'_> {
    /// The body of the request. WeChat Pay refuses another body for the same number, so this text is kept, and is what
    /// is sent each time.
    pub fn to_body(self) -> Secret {
        let body = json!({
            "appid": self.app_id.as_str(),
            "mchid": self.mch_id.as_str(),
            "description": description(self.description),
            "out_trade_no": self.out_trade_no.as_str(),
            "time_expire": self.expires_at.to_rfc3339_china(),
            "notify_url": self.notify_url.as_str(),
            "amount": { "total": self.total, "currency": "CNY" },
            "payer": { "openid": self.openid.expose() },
        });
        Secret::new(body.to_string())
    }
}

/// WeChat Pay takes no characters of four bytes in UTF-8, such as emoji.
fn description(text: &str) -> String {
    let mut clean: String = text.chars().filter(|c| !c.is_control() && c.len_utf8() < 4).collect();
    clean.truncate(clean.floor_char_boundary(LONGEST_DESCRIPTION));
    let clean = clean.trim();
    if clean.is_empty() { NAMELESS.to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_to_127_bytes_of_characters_that_wechat_pay_takes() {
        for (text, expected) in [
            ("Image形象店-深圳腾大-QQ公仔", "Image形象店-深圳腾大-QQ公仔"),
            (" 两杯茶 🍵 \n和水\u{7f}\u{85}\0 ", "两杯茶  和水"),
            ("", NAMELESS),
            ("🍵", NAMELESS),
            (" \t\u{3000}", NAMELESS),
            (&"x".repeat(127), &"x".repeat(127)),
            (&"x".repeat(128), &"x".repeat(127)),
            (&"茶".repeat(50), &"茶".repeat(42)),
            (&format!("xx{}", "é".repeat(63)), &format!("xx{}", "é".repeat(62))),
        ] {
            assert_eq!(description(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_body_is_the_documented_one() {
        let body = PrepayRequest {
            app_id: &AppId::new("wx1"),
            mch_id: &MchId::new("1900007291"),
            description: "茶 \"x\"",
            out_trade_no: &OutTradeNo::try_from("order-1".to_owned()).unwrap(),
            expires_at: Timestamp::from_secs(1_528_425_296),
            notify_url: &NotifyUrl::parse("https://x.example/pay-notify").unwrap(),
            total: Fen::new(100),
            openid: &OpenId::new("o1"),
        }
        .to_body();
        let expected = json!({
            "appid": "wx1", "mchid": "1900007291", "description": "茶 \"x\"", "out_trade_no": "order-1",
            "time_expire": "2018-06-08T10:34:56+08:00", "notify_url": "https://x.example/pay-notify",
            "amount": { "total": 100, "currency": "CNY" }, "payer": { "openid": "o1" },
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(body.expose()).unwrap(), expected);
        assert!(body.expose().contains("茶") && !body.expose().contains("\\u"));
    }
}
