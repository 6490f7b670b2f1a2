//! A merchant changes from certificates to the public key in the steps of WeChat Pay's, while orders are paid and
//! somebody forges notifications. Source: WeChat Pay v3, "From platform certificates to the public key".

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use local::pay_keys::KeyMode;
use serde_json::{Value, json};
use shared::random;
use shared::wechatpay::v3::Refreshed;
use tests::callers::Caller;
use tests::merchant::Inbox;
use tests::notifications::Notice;
use tests::orders::show;
use tests::world::World;

/// Percent of the notifications that the public key signs; at the beginning, none.
const STEPS: [f64; 8] = [0.0, 0.1, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0];
/// Orders in each step.
const ORDERS: usize = 40;
/// Calls under way at the same time.
const AT_ONCE: usize = 8;
/// From one step to the next. WeChat Pay takes seven days for all of them.
const STEP: Duration = Duration::from_secs(12 * 3600);

/// Whatever is wrong with a notification that somebody else makes.
const TAMPERS: [&str; 11] = [
    "signature",
    "body",
    "serial",
    "nonce",
    "timestamp",
    "futureTimestamp",
    "missing",
    "signtest",
    "key",
    "aad",
    "algorithm",
];

/// What a notification is, and how often it came to what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Genuine { by_public_key: bool },
    Forged,
}

struct Switch {
    world: World,
    caller: Caller,
    inbox: Inbox,
    /// Whose names forgers use: the public key's, and a certificate's.
    names: [String; 2],
    counts: BTreeMap<(Sent, u16), usize>,
}

impl Switch {
    async fn begin() -> Self {
        let inbox = Inbox::start([]).await;
        let variables = [("PAY_NOTIFY_URL", &*inbox.url), ("MAX_OPEN_ORDERS", "1000")];
        let world = World::start_with_keys(KeyMode::Both, variables).await;
        world.put_product("tea", 7, None).await;
        let keys = world.sandbox("GET", "/keys", Value::Null).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names = [text(&keys["publicKeyId"]), text(&keys["certificates"][0]["serialNo"])];
        let caller = world.caller().await;
        Self { world, caller, inbox, names, counts: BTreeMap::new() }
    }

    /// Orders that are paid, and what WeChat Pay has sent of them.
    async fn pay(&self, orders: usize) -> (Vec<String>, Vec<Notice>) {
        let seen = self.inbox.messages().len();
        let numbers: Vec<_> =
            stream::iter(0..orders).map(|_| self.caller.buy(&self.world, "tea")).buffered(AT_ONCE).collect().await;
        for number in &numbers {
            self.world.sandbox("POST", "/pay", json!({ "outTradeNo": number })).await;
        }
        let messages = self.inbox.wait_for(seen + orders).await.split_off(seen);
        (numbers, messages.into_iter().map(Notice::from).collect())
    }

    /// Notifications that a forger makes of genuine ones, and of what WeChat Pay would say of an order that nobody has
    /// paid.
    async fn forge(&self, genuine: &[Notice], unpaid: &str) -> Vec<Notice> {
        let mut forged = Vec::new();
        for signer in ["publicKey", "certificate"] {
            for tamper in TAMPERS {
                let wish =
                    json!({ "resource": self.world.payment_of(unpaid).await, "signer": signer, "tamper": tamper });
                forged.push(Notice::forge(&self.world, wish).await);
            }
            let signed = Notice::forge(
                &self.world,
                json!({ "resource": self.world.payment_of(unpaid).await, "signer": signer }),
            )
            .await;
            let own = signed.header("wechatpay-serial").to_owned();
            // In the name of the other key, of one that is like it, and of none.
            let other = self.names.iter().find(|name| **name != own).unwrap().clone();
            for name in [other, own.to_lowercase(), own[1..].to_owned(), format!("{own}0"), random::base64url::<9>()] {
                forged.push(signed.clone().with_header("wechatpay-serial", &name));
            }
            // Under a signature that was made for another.
            let stolen = genuine.iter().find(|genuine| genuine.header("wechatpay-serial") == own);
            forged.extend(stolen.map(|stolen| Notice { headers: stolen.headers.clone(), body: signed.body.clone() }));
        }
        forged
    }

    /// Sends all in an order that nobody has chosen, many at once.
    async fn send(&mut self, genuine: Vec<Notice>, forged: Vec<Notice>) {
        let public_key = &self.names[0];
        let genuine = genuine.into_iter().map(|notice| {
            let by_public_key = notice.header("wechatpay-serial") == public_key;
            (random::base64url::<9>(), Sent::Genuine { by_public_key }, notice)
        });
        let forged = forged.into_iter().map(|notice| (random::base64url::<9>(), Sent::Forged, notice));
        let mut all: Vec<_> = genuine.chain(forged).collect();
        all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let world = &self.world;
        let send = async |(_, sent, notice): (_, Sent, Notice)| (sent, notice.send(world).await.status);
        let outcomes: Vec<_> = stream::iter(all).map(send).buffered(AT_ONCE).collect().await;
        for outcome in outcomes {
            *self.counts.entry(outcome).or_default() += 1;
        }
    }

    fn count(&self, sent: &Sent, status: u16) -> usize {
        self.counts.get(&(sent.clone(), status)).copied().unwrap_or_default()
    }
}

#[tokio::test]
async fn no_notification_is_lost_and_no_forged_one_is_taken_while_a_merchant_changes_to_the_public_key() {
    let mut switch = Switch::begin().await;
    let (mut paid, mut unpaid) = (Vec::new(), Vec::new());
    for percent in STEPS {
        assert_eq!(switch.world.refresh_keys().await.unwrap(), Refreshed::Kept(1));
        switch.world.set_keys("both", percent).await;
        let target = switch.caller.buy(&switch.world, "tea").await;
        let (numbers, genuine) = switch.pay(ORDERS).await;
        let forged = switch.forge(&genuine, &target).await;
        switch.send(genuine, forged).await;
        paid.extend(numbers);
        unpaid.push(target);
        switch.world.advance(STEP);
    }
    // The certificate is gone, and for a while nobody forgets it.
    switch.world.set_keys("publicKey", 0.0).await;
    assert_eq!(switch.world.refresh_keys().await.unwrap(), Refreshed::NoneThere);
    let target = switch.caller.buy(&switch.world, "tea").await;
    let (numbers, genuine) = switch.pay(ORDERS).await;
    let forged = switch.forge(&genuine, &target).await;
    switch.send(genuine, forged).await;
    paid.extend(numbers);
    unpaid.push(target);

    for number in &paid {
        assert_eq!(switch.world.order_row(number).await.story(), "NOTPAY create, SUCCESS notify");
    }
    for number in &unpaid {
        assert_eq!(switch.world.order_row(number).await.story(), "NOTPAY create");
    }
    assert_eq!(switch.world.quarantine().await, []);
    let [by_public_key, by_certificate] =
        [true, false].map(|by_public_key| switch.count(&Sent::Genuine { by_public_key }, 204));
    let refused = switch.count(&Sent::Forged, 401);
    // Nothing was answered in another way.
    assert_eq!(switch.counts.len(), 3, "{:?}", switch.counts);
    assert_eq!(by_public_key + by_certificate, paid.len());
    assert!(by_certificate > ORDERS && by_public_key > ORDERS && refused > 200, "{:?}", switch.counts);
    show("paid orders, all of them told by a notification", &paid.len().to_string());
    show("notifications signed with the public key, taken", &by_public_key.to_string());
    show("notifications signed with a certificate, taken", &by_certificate.to_string());
    show("forged notifications, all of them refused", &refused.to_string());
    show("downloads of certificates", &switch.world.downloads().await.to_string());
}
