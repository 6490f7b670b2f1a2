//! A row that this code cannot have written, and what the log may call it.

use std::fmt;

use super::item::Key;
use crate::wechatpay::OutTradeNo;

/// Characters of a name that are shown. Names that have a form of their own have 64 at most.
const LONGEST_NAME: usize = 64;

/// An attribute that is not there, or is not what it has to be; and of which row, as far as that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    row: Option<String>,
    attribute: &'static str,
}

impl Corrupt {
    /// An attribute of an order.
    pub fn order(number: &OutTradeNo, attribute: &'static str) -> Self {
        Self { row: Some(format!("ORDER {}", number.as_str())), attribute }
    }

    /// An attribute of the row with that key.
    pub(super) fn of(key: &Key, attribute: &'static str) -> Self {
        Self { row: name(key), attribute }
    }

    pub(super) fn attribute(&self) -> &'static str {
        self.attribute
    }

    /// An attribute of a row whose key is not known.
    pub(super) fn unnamed(attribute: &'static str) -> Self {
        Self { row: None, attribute }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = self.attribute;
        match &self.row {
            Some(row) => write!(f, "the row {row} has no valid attribute {attribute}"),
            None => write!(f, "a row has no valid attribute {attribute}"),
        }
    }
}

/// What the log calls a row: its kind, and behind that the name of what a shop sells or has sold, of an app or a merchant.
/// Keys of all other kinds name a person, or are a secret or made of one. `None` if the kind is none of ours.
fn name(key: &Key) -> Option<String> {
    let (kind, id) = key.pk().split_once('#').unwrap_or((key.pk(), ""));
    let name = match kind {
        "CARD" | "ORDER" | "PAYKEY" | "PRODUCT" | "TOKEN" => format!("{kind} {}", shown(id)),
        "CODE" | "OPENID" | "QUARANTINE" | "SESSION" | "UNIONID" | "USER" => kind.to_owned(),
        _ => return None,
    };
    // A row of another kind within the partition.
    let own = key.sk().split('#').next().filter(|own| *own != kind && OWN_KINDS.contains(own));
    Some(own.map_or_else(|| name.clone(), |own| format!("{name} {own}")))
}

/// Kinds of rows that are in the partition of another.
const OWN_KINDS: [&str; 9] =
    ["CARD", "CERTIFICATE", "CONFLICT", "IDEMPOTENCY", "OPENID", "ORDERS", "REFRESH", "REFUND", "SESSION"];

/// A name that may have been written by hand.
fn shown(name: &str) -> String {
    name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pk: &str, sk: &str) -> String {
        Corrupt::of(&Key::new(pk.to_owned(), sk), "x").to_string()
    }

    #[test]
    fn what_a_shop_sells_an_app_and_a_merchant_are_named() {
        for (pk, sk, name) in [
            ("PRODUCT#tea", "PRODUCT", "PRODUCT tea"),
            ("PRODUCT#a#b", "PRODUCT", "PRODUCT a#b"),
            ("PRODUCT#\u{1b}[2J", "PRODUCT", "PRODUCT \\u{1b}[2J"),
            ("CARD#pCard", "CARD", "CARD pCard"),
            ("ORDER#n1", "ORDER", "ORDER n1"),
            ("ORDER#n1", "REFUND#r1", "ORDER n1 REFUND"),
            ("TOKEN#wx1#wx_card", "TOKEN", "TOKEN wx1#wx_card"),
            ("PAYKEY#1900000001", "REFRESH", "PAYKEY 1900000001 REFRESH"),
            ("QUARANTINE", "EVENT#id#reason", "QUARANTINE"),
        ] {
            assert_eq!(of(pk, sk), format!("the row {name} has no valid attribute x"));
        }
        let cut = format!("the row PRODUCT {} has no valid attribute x", "a".repeat(64));
        assert_eq!(of(&format!("PRODUCT#{}", "a".repeat(65)), "PRODUCT"), cut);
    }

    #[test]
    fn a_secret_a_person_and_what_is_not_ours_are_not_named() {
        for (pk, sk, name) in [
            ("SESSION#hunter2", "SESSION", "SESSION"),
            ("CODE#hunter2", "CODE", "CODE"),
            ("OPENID#wx1#hunter2", "OPENID", "OPENID"),
            ("UNIONID#hunter2", "UNIONID", "UNIONID"),
            ("USER#hunter2", "USER", "USER"),
            ("USER#hunter2", "CONFLICT#hunter2", "USER CONFLICT"),
            ("USER#hunter2", "SESSION#hunter2", "USER SESSION"),
            ("USER#hunter2", "hunter2", "USER"),
        ] {
            assert_eq!(of(pk, sk), format!("the row {name} has no valid attribute x"));
        }
        for pk in ["hunter2", "hunter2#1", ""] {
            assert_eq!(of(pk, "hunter2"), "a row has no valid attribute x");
        }
    }
}
