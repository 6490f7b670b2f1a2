//! Refreshers of one token that are killed, overtaken, or not answered.

use local::functions::InvocationResult;
use serde_json::{Value, json};
use shared::store::tokens::protocol::{CLAIM, LEASE};
use shared::wechat::TokenValue;
use tests::apps::{MINI_PROGRAM, OFFICIAL_ACCOUNT};
use tests::dynamodb_proxy::{DynamoDbProxy, Kind};
use tests::patience::within;
use tests::readers::Reader;
use tests::world::World;
use tokio::task::JoinHandle;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const GETTICKET: &str = "/cgi-bin/ticket/getticket";

/// What is refreshed.
#[derive(Debug)]
struct Subject {
    app_id: &'static str,
    kind: &'static str,
    /// Where WeChat is asked for it.
    path: &'static str,
    /// The writes of a refresh that come before the one which gives the lease back.
    writes_before_settling: u32,
}

const TOKEN: Subject =
    Subject { app_id: MINI_PROGRAM, kind: "access_token", path: STABLE_TOKEN, writes_before_settling: 1 };

/// Its holder takes the token's lease inside its own, and settles that first.
const TICKET: Subject =
    Subject { app_id: OFFICIAL_ACCOUNT, kind: "wx_card", path: GETTICKET, writes_before_settling: 3 };

impl Subject {
    fn by_reader(&self) -> Value {
        json!({ "appId": self.app_id, "kind": self.kind, "failed": "none" })
    }

    async fn refresh(&self, world: &World) -> Value {
        let reply = world.invoke("token-refresher", &self.by_reader()).await;
        assert_eq!(reply.header("x-amz-function-error"), "", "{:?}", reply.json);
        reply.json
    }

    /// Checks that readers get the value that WeChat takes now.
    async fn assert_stored(&self, world: &World, when: &str) {
        let reader = Reader::start(world, world.machine.gateway_url()).await;
        let stored = match self.kind {
            "wx_card" => reader.ticket().await.unwrap().hash(),
            _ => reader.token().await.unwrap(),
        };
        let live = world.live(self.app_id, self.kind).await;
        assert_eq!(stored, TokenValue::new(live).hash(), "{self:?} {when}");
    }
}

#[tokio::test]
async fn lost_answers_of_the_table_change_nothing() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    // The lease is taken, and the value written, by calls that seem to fail.
    proxy.inject("UpdateItem", 1, Kind::LoseAnswer);
    proxy.inject_after("UpdateItem", 1, 1, Kind::LoseAnswer);
    let reply = TOKEN.refresh(&world).await;
    assert_eq!(reply["refreshed"].as_array().unwrap().len(), 1, "{reply}");
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
    TOKEN.assert_stored(&world, "after lost answers").await;
}

/// Where a holder of the lease dies.
#[derive(Debug)]
enum Death {
    BeforeTheLease,
    WithTheLease,
    BeforeWechatHasHeard,
    BeforeWechatHasAnswered,
    WithTheValue,
    AfterWriting,
}

const DEATHS: [Death; 6] = [
    Death::BeforeTheLease,
    Death::WithTheLease,
    Death::BeforeWechatHasHeard,
    Death::BeforeWechatHasAnswered,
    Death::WithTheValue,
    Death::AfterWriting,
];

#[tokio::test]
async fn a_holder_that_dies_anywhere_delays_others_by_one_lease_at_most() {
    for (subject, death) in [TOKEN, TICKET].iter().flat_map(|subject| DEATHS.iter().map(move |death| (subject, death)))
    {
        let (world, proxy, _behind) = World::start_with_proxy().await;
        kill(&world, &proxy, subject, death).await;
        world.sandbox("DELETE", "/faults", Value::Null).await;
        world.advance(LEASE);
        let calls = world.count_of(subject.path).await;
        let reply = subject.refresh(&world).await;
        assert_eq!(reply["refreshed"].as_array().unwrap().len(), 1, "{subject:?} {death:?}: {reply}");
        let again = usize::from(!matches!(death, Death::AfterWriting));
        assert_eq!(world.count_of(subject.path).await - calls, again, "{subject:?} {death:?}");
        subject.assert_stored(&world, &format!("{death:?}")).await;
    }
}

#[tokio::test]
async fn a_ticket_that_waits_for_the_token_of_a_dead_holder_has_not_failed() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let token = Subject { app_id: OFFICIAL_ACCOUNT, ..TOKEN };
    kill(&world, &proxy, &token, &Death::WithTheLease).await;
    let ticket = spawn(&world, &TICKET).await;
    // It gives its own lease back, because WeChat was not asked.
    let given_back = async {
        loop {
            let row = world.row(&format!("TOKEN#{OFFICIAL_ACCOUNT}#wx_card"), "TOKEN").await;
            if let Some(row) = row.filter(|row| !row.contains_key("leasedUntilMs")) {
                break row;
            }
            tokio::task::yield_now().await;
        }
    };
    let row = within("the ticket's lease to be given back", given_back).await;
    assert!(!row.contains_key("notBeforeMs"));
    world.advance(LEASE);
    let reply: Value = serde_json::from_slice(&ticket.await.unwrap().unwrap()).unwrap();
    assert_eq!(reply["refreshed"].as_array().unwrap().len(), 1, "{reply}");
    TICKET.assert_stored(&world, "after a token's holder has died").await;
}

#[tokio::test]
async fn a_holder_that_dies_with_the_leases_of_a_ticket_and_of_its_token_delays_others_by_one_lease_at_most() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    proxy.inject_after("UpdateItem", 1, 1, Kind::HangAfter);
    let holder = spawn(&world, &TICKET).await;
    proxy.hanging().await;
    holder.abort();
    world.advance(LEASE);
    let reply = TICKET.refresh(&world).await;
    assert_eq!(reply["failures"], json!([]), "{reply}");
    assert_eq!((world.count_of(STABLE_TOKEN).await, world.count_of(GETTICKET).await), (1, 1));
    TICKET.assert_stored(&world, "after two leases").await;
}

/// Starts a refresh and ends it in the middle.
async fn kill(world: &World, proxy: &DynamoDbProxy, subject: &Subject, death: &Death) {
    let (path, before) = (subject.path, subject.writes_before_settling);
    match death {
        Death::BeforeTheLease => proxy.inject("UpdateItem", 1, Kind::Hang),
        Death::WithTheLease => proxy.inject("UpdateItem", 1, Kind::HangAfter),
        Death::BeforeWechatHasHeard => world.fault(path, json!({ "latencyMs": 60_000 })).await,
        Death::BeforeWechatHasAnswered => world.fault(path, json!({ "answerLatencyMs": 60_000 })).await,
        Death::WithTheValue => proxy.inject_after("UpdateItem", before, 1, Kind::Hang),
        Death::AfterWriting => proxy.inject_after("UpdateItem", before, 1, Kind::HangAfter),
    }
    let holder = spawn(world, subject).await;
    match death {
        Death::BeforeWechatHasHeard | Death::BeforeWechatHasAnswered => {
            while world.count_of(path).await == 0 {
                tokio::task::yield_now().await;
            }
        }
        _ => proxy.hanging().await,
    }
    holder.abort();
}

/// A refresh by an instance of its own.
async fn spawn(world: &World, subject: &Subject) -> JoinHandle<InvocationResult> {
    let (instance, now) = (world.instance("token-refresher").await, world.now());
    let event = subject.by_reader().to_string().into_bytes();
    tokio::spawn(async move { instance.invoke(event, now).await })
}

#[tokio::test]
async fn a_slow_holder_cannot_write_over_a_newer_value() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    // WeChat has given the first value, and its holder is about to write it.
    proxy.inject_after("UpdateItem", 1, 1, Kind::Hold);
    let slow = spawn(&world, &TOKEN).await;
    proxy.hanging().await;
    let old = world.live(MINI_PROGRAM, "access_token").await;
    world.sandbox("POST", "/tokens/revoke", json!({})).await;
    world.advance(LEASE);
    TOKEN.refresh(&world).await;
    let new = world.live(MINI_PROGRAM, "access_token").await;
    assert_ne!(old, new);
    proxy.release();
    let reply: Value = serde_json::from_slice(&slow.await.unwrap().unwrap()).unwrap();
    // It finds what the other has written.
    assert_eq!(reply["failures"], json!([]), "{reply}");
    TOKEN.assert_stored(&world, "after the slow holder").await;
    assert_eq!(world.live(MINI_PROGRAM, "access_token").await, new);
    assert_eq!(world.count_of(STABLE_TOKEN).await, 2);
}

#[tokio::test]
async fn a_reader_that_dies_with_its_claim_delays_others_by_one_claim_at_most() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    let [dying, next] = [(), ()].map(|()| Reader::start(&world, world.machine.gateway_url()));
    let (dying, next) = (dying.await, next.await);
    proxy.inject("UpdateItem", 1, Kind::HangAfter);
    let dying = tokio::spawn(async move { dying.token().await });
    proxy.hanging().await;
    dying.abort();
    let rows = world.rows_at("TOKEN#", "TOKEN").await;
    assert!(rows.len() == 1 && rows[0].contains_key("claimedUntilMs"), "{rows:?}");
    assert_eq!(world.count_of(STABLE_TOKEN).await, 0);
    world.advance(CLAIM);
    next.token().await.unwrap();
    assert_eq!(world.count_of(STABLE_TOKEN).await, 1);
}
