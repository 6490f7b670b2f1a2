//! Cards, and what signs them.

use serde_json::Value;

use crate::callers::Caller;
use crate::open_data::sha1;
use crate::world::World;

/// The most characters of a card's code. Source: card documentation, "card/qrcode/create", `code`.
const LONGEST_CODE: usize = 20;
/// The most characters of `nonce_str`. Source: mini program documentation, "wx.addCard".
const LONGEST_NONCE: usize = 32;
/// Digits of a time in seconds, from 2001 to 2286.
const DIGITS_OF_A_TIME: usize = 10;

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

/// The parts that the values of a signature play.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The card.
    pub card_id: String,
    code: String,
    nonce: String,
    openid: String,
    timestamp: String,
}

/// A part of a [`Split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Card,
    Code,
    Nonce,
    Openid,
    Timestamp,
}

const PARTS: [Part; 5] = [Part::Card, Part::Code, Part::Nonce, Part::Openid, Part::Timestamp];

impl Split {
    /// The parts as a `cardExt` has them.
    pub fn of(card_id: &str, ext: &Value) -> Self {
        let [code, openid, timestamp, nonce] = SIGNED.map(|name| ext[name].as_str().unwrap_or_default().to_owned());
        Self { card_id: card_id.to_owned(), code, nonce, openid, timestamp }
    }

    fn part(&mut self, part: Part) -> &mut String {
        match part {
            Part::Card => &mut self.card_id,
            Part::Code => &mut self.code,
            Part::Nonce => &mut self.nonce,
            Part::Openid => &mut self.openid,
            Part::Timestamp => &mut self.timestamp,
        }
    }

    /// The text that is signed, before the ticket and after it.
    pub fn around(&self, ticket: &str) -> [String; 2] {
        let mut values = [&self.card_id, &self.code, &self.nonce, &self.openid, &self.timestamp].map(String::as_str);
        values.sort_unstable();
        let (before, after): (Vec<&str>, Vec<&str>) = values.iter().partition(|value| **value < ticket);
        [before.concat(), after.concat()]
    }
}

/// Every split of the same text that WeChat could take: a card of ours, the caller's openid or none, a time of ten digits,
/// a code and a nonce, or none, that are not longer than documented.
pub fn splits(around: &[String; 2], card_ids: &[&str], openid: &str) -> Vec<Split> {
    let mut found = Vec::new();
    let [before, after] = around;
    go_on(&Split::default(), "", before, Some(after), (card_ids, openid), &mut found);
    found
}

/// Takes one more value from the text, which is not less than the last one.
fn go_on(split: &Split, last: &str, text: &str, after: Option<&str>, known: (&[&str], &str), found: &mut Vec<Split>) {
    if text.is_empty() {
        match after {
            Some(after) => go_on(split, "", after, None, known, found),
            None if split.card_id.is_empty() || split.timestamp.is_empty() || found.contains(split) => {}
            None => found.push(split.clone()),
        }
        return;
    }
    for part in PARTS {
        if !split.clone().part(part).is_empty() {
            continue;
        }
        for value in (1..=text.len().min(LONGEST_NONCE)).filter_map(|len| text.get(..len)) {
            if value >= last && may_be(part, value, known) {
                let mut split = split.clone();
                value.clone_into(split.part(part));
                go_on(&split, value, &text[value.len()..], after, known, found);
            }
        }
    }
}

fn may_be(part: Part, value: &str, (card_ids, openid): (&[&str], &str)) -> bool {
    match part {
        Part::Card => card_ids.contains(&value),
        Part::Code => value.len() <= LONGEST_CODE,
        Part::Nonce => value.len() <= LONGEST_NONCE,
        Part::Openid => value == openid,
        Part::Timestamp => value.len() == DIGITS_OF_A_TIME && value.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
