//! What the first answer of a function costs, and the next one, in calls and connections: the real binaries, over TLS.
//!
//! More of either has to be a decision. How large the binaries are is checked by `cargo run -p bench`.

use std::collections::BTreeMap;
use std::time::Duration;

use local::sample;
use serde_json::{Value, json};
use stubs::runtime_api::Process;
use stubs::upstreams::{Secrets, Upstreams};
use stubs::wechatpay::notification;
use tests::{binary, root};

/// Calls of the first answer and of the next ones, and the most connections to each upstream.
struct Budget {
    function: &'static str,
    first: &'static [&'static str],
    /// A warm instance remembers what it need not ask again.
    next: &'static [&'static str],
    connections: &'static [(&'static str, usize)],
    /// How many secrets it reads at start: one connection each, because they are fetched side by side.
    secrets: usize,
}

const BUDGETS: [Budget; 11] = [
    Budget {
        function: "card-ext",
        // The session; the card; the ticket.
        first: &["GetItem", "GetItem", "GetItem"],
        next: &["GetItem"],
        connections: &[("dynamodb", 1)],
        secrets: 2,
    },
    Budget {
        function: "create-order",
        // The session; the key; the products; the order; WeChat Pay; the prepay_id.
        first: &["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems", "jsapi", "UpdateItem"],
        next: &["GetItem", "UpdateItem", "BatchGetItem", "TransactWriteItems", "jsapi", "UpdateItem"],
        connections: &[("dynamodb", 1), ("wechatpay", 1)],
        secrets: 1,
    },
    Budget {
        function: "login",
        first: &["BatchGetItem", "GetItem", "TransactWriteItems", "jscode2session"],
        next: &["BatchGetItem", "GetItem", "TransactWriteItems", "jscode2session"],
        // A read goes on beside the write.
        connections: &[("dynamodb", 2), ("wechat", 1)],
        secrets: 2,
    },
    Budget {
        function: "logout",
        first: &["GetItem", "TransactWriteItems"],
        next: &["GetItem", "TransactWriteItems"],
        connections: &[("dynamodb", 1)],
        secrets: 0,
    },
    Budget {
        function: "order-sweeper",
        // The sixteen parts of the index, and whether certificates are to be fetched.
        first: &SWEEP,
        next: &SWEEP,
        // The parts are read side by side.
        connections: &[("dynamodb", 17), ("wechatpay", 1)],
        secrets: 1,
    },
    Budget {
        function: "pay-notify",
        // The order; the order as it is then.
        first: &["GetItem", "TransactWriteItems"],
        next: &["GetItem", "TransactWriteItems"],
        connections: &[("dynamodb", 1)],
        secrets: 1,
    },
    Budget {
        function: "phone-decrypt",
        // The session; the token; WeChat; the user.
        first: &["GetItem", "GetItem", "UpdateItem", "getuserphonenumber"],
        next: &["GetItem", "UpdateItem", "getuserphonenumber"],
        connections: &[("dynamodb", 1), ("wechat", 1)],
        secrets: 1,
    },
    Budget {
        function: "query-order",
        // The session; the order, about which WeChat Pay was asked a moment ago.
        first: &["GetItem", "GetItem"],
        next: &["GetItem", "GetItem"],
        // One to WeChat Pay is begun at the start.
        connections: &[("dynamodb", 1), ("wechatpay", 1)],
        secrets: 1,
    },
    Budget {
        function: "refund-order",
        // The order; the refund, which there is none; its reservation; WeChat Pay; the order's move; the refund's.
        first: &["GetItem", "GetItem", "TransactWriteItems", "refunds", "TransactWriteItems", "TransactWriteItems"],
        next: &["GetItem", "GetItem", "TransactWriteItems", "refunds", "TransactWriteItems", "TransactWriteItems"],
        connections: &[("dynamodb", 1), ("wechatpay", 1)],
        secrets: 1,
    },
    Budget {
        function: "token-refresher",
        // Two tokens and two tickets, none of them due.
        first: &["GetItem", "GetItem", "GetItem", "GetItem"],
        next: &["GetItem", "GetItem", "GetItem", "GetItem"],
        // Apps and tickets go on side by side; and while one is still opening, the next answer may begin another.
        connections: &[("dynamodb", 4), ("wechat", 1)],
        secrets: 2,
    },
    Budget {
        function: "user-info",
        first: &["GetItem", "GetItem"],
        next: &["GetItem", "GetItem"],
        connections: &[("dynamodb", 1)],
        secrets: 1,
    },
];

const SWEEP: [&str; 17] = {
    let mut calls = ["Query"; 17];
    calls[16] = "GetItem";
    calls
};

async fn answer(process: &Process, function: &str) {
    let event = match function {
        "pay-notify" => notification(),
        "order-sweeper" | "token-refresher" => sample::read(&root(), function, "scheduled").unwrap(),
        _ => sample::read(&root(), function, "valid").unwrap(),
    };
    let answer = process.invoke(&event).await.outcome.unwrap();
    let is_good = match function {
        "order-sweeper" => answer["failures"] == 0,
        "refund-order" => answer["status"] == "PROCESSING",
        "token-refresher" => answer["failures"] == json!([]),
        _ => [200, 204].map(Value::from).contains(&answer["statusCode"]),
    };
    assert!(is_good, "{function}: {answer}");
}

fn count(names: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry((*name).to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn no_answer_takes_more_calls_and_connections_than_it_needs() {
    let upstreams = Upstreams::start(Duration::ZERO).await;
    for Budget { function, first: of_first, next: of_next, connections, secrets } in BUDGETS {
        for source in [Secrets::Variables, Secrets::SecretsManager] {
            let process = Process::start(&binary(function).await, &upstreams.variables(source)).await;
            answer(&process, function).await;
            let first = upstreams.take_traffic();
            let mut expected = count(of_first);
            let mut most: BTreeMap<_, _> = connections.iter().copied().collect();
            if source == Secrets::SecretsManager && secrets > 0 {
                expected.insert("GetSecretValue".to_owned(), secrets);
                most.insert("secretsmanager", secrets);
            }
            assert_eq!(first.calls, expected, "{function}, {source:?}");
            answer(&process, function).await;
            let next = upstreams.take_traffic();
            assert_eq!(next.calls, count(of_next), "{function}, {source:?}");
            // Of both together: one that is slow to open may come after the first answer.
            for (upstream, most) in most {
                let connections = [&first, &next].map(|traffic| traffic.connections.get(upstream).unwrap_or(&0));
                let connections: usize = connections.into_iter().sum();
                assert!(connections <= most, "{function}, {source:?}: {connections} to {upstream}");
            }
            process.stop().await;
        }
    }
}
