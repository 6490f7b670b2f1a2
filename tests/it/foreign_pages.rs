//! What a foreign web page can do to the local machine: nothing, at any of its doors.

use std::net::Ipv4Addr;

use local::machine::{Machine, Options};
use serde_json::json;
use tests::http::{Client, Reply};
use tests::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const IN_CONTAINERS: &str = "host.docker.internal";
const REFUND: &str = "/2015-03-31/functions/refund-order/invocations";
const EVIL: &str = "https://evil.example";
const MINI_PROGRAM: &str = "https://servicewechat.com/wx0123456789abcdef/devtools/page-frame.html";

/// DynamoDB looks whether there is a signature.
const SIGNED: [(&str, &str); 4] = [
    ("content-type", "application/x-amz-json-1.0"),
    ("x-amz-target", "DynamoDB_20120810.ListTables"),
    ("x-amz-date", "20260101T000000Z"),
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=k/20260101/r/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
    ),
];

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A call that each door answers.
#[derive(Clone, Copy, Debug)]
enum Call {
    Login,
    State,
    ListTables,
}

/// The door of the functions, the sandbox's and DynamoDB's.
fn doors(machine: &Machine) -> [(Call, String); 3] {
    [
        (Call::Login, machine.gateway_url().to_owned()),
        (Call::State, machine.sandbox_url().unwrap().to_owned()),
        (Call::ListTables, machine.dynamodb_url().to_owned()),
    ]
}

fn port(url: &str) -> &str {
    url.rsplit_once(':').unwrap().1
}

/// A call that the door would answer, with these headers too.
async fn call((call, url): &(Call, String), headers: Headers<'_>) -> Reply {
    let (method, path, own, body): (_, _, Headers<'_>, _) = match call {
        Call::Login => ("POST", "/login", &[("content-type", "application/json")], r#"{"code":"demo-code"}"#),
        Call::State => ("GET", "/sandbox/state", &[], ""),
        Call::ListTables => ("POST", "/", &SIGNED, "{}"),
    };
    Client::default().send(method, &format!("{url}{path}"), &[own, headers].concat(), body.into()).await
}

fn names_cors(reply: &Reply) -> bool {
    reply.headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn a_request_of_a_foreign_page_is_refused_at_every_door() {
    let world = World::start_embedded().await;
    for door in doors(&world.machine) {
        let url = &door.1;
        let other_port = format!("http://127.0.0.1:{}", port(url).parse::<u16>().unwrap() ^ 1);
        let own = format!("http://127.0.0.1:{}", port(url));
        let tls = own.replace("http:", "https:");
        let in_containers = own.replace("127.0.0.1", IN_CONTAINERS);
        for headers in [
            &[("origin", EVIL)][..],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", &other_port)],
            &[("origin", "http://127.0.0.1")],
            &[("origin", &tls)],
            &[("origin", &in_containers)],
            &[("origin", &own), ("origin", EVIL)],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("referer", "https://servicewechat.com.evil.example/")],
            &[("origin", EVIL), ("sec-fetch-site", "same-origin")],
            &[("origin", EVIL), ("sec-fetch-site", "cross-site"), ("referer", MINI_PROGRAM)],
        ] {
            let reply = call(&door, headers).await;
            assert_eq!(reply.status, 403, "{url} {headers:?}");
            assert!(!names_cors(&reply), "{url} {headers:?} {:?}", reply.headers);
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_the_machines_is_refused_at_every_door() {
    let world = World::start_embedded().await;
    for door in doors(&world.machine) {
        let url = &door.1;
        let port = port(url);
        let hosts = [
            format!("evil.example:{port}"),
            format!("localhost.evil.example:{port}"),
            format!("127.0.0.1.evil.example:{port}"),
            format!("192.0.2.1:{port}"),
            format!("[2001:db8::1]:{port}"),
            format!("localhost@evil.example:{port}"),
            format!("localhost:{port}@evil.example"),
            format!("user@localhost:{port}"),
            format!("localhost..:{port}"),
            "localhost:1".to_owned(),
            "localhost:".to_owned(),
            "localhost:a".to_owned(),
            // That is port 80.
            "localhost".to_owned(),
            String::new(),
        ];
        for host in hosts {
            let reply = call(&door, &[("host", &host)]).await;
            assert_eq!(reply.status, 403, "{url} {host:?}");
        }
    }
}

#[tokio::test]
async fn the_machines_own_names_and_pages_are_served_at_every_door() {
    let world = World::start_embedded().await;
    for door in doors(&world.machine) {
        let url = &door.1;
        let port = port(url);
        for name in ["127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LocalHost", "localhost."] {
            let host = format!("{name}:{port}");
            assert_eq!(call(&door, &[("host", &host)]).await.status, 200, "{url} {host}");
            let origin = format!("http://{host}");
            let reply = call(&door, &[("origin", &origin), ("sec-fetch-site", "same-origin")]).await;
            assert_eq!((reply.status, names_cors(&reply)), (200, false), "{url} {origin}");
        }
        for headers in [&[][..], &[("sec-fetch-site", "none")]] {
            assert_eq!(call(&door, headers).await.status, 200, "{url} {headers:?}");
        }
    }
}

/// What `wx.request` sends in WeChat's developer tools. No page can send this referrer.
#[tokio::test]
async fn a_mini_program_in_the_developer_tools_calls_the_functions_of_its_own_backend_only() {
    let world = World::start_embedded().await;
    let other = MINI_PROGRAM.replace("wx0123456789abcdef", "wx9123456789abcdef");
    let account = MINI_PROGRAM.replace("wx0123456789abcdef", "wx1123456789abcdef");
    for site in ["cross-site", "same-site"] {
        let own = [("sec-fetch-site", site), ("referer", MINI_PROGRAM)];
        for (door, expected) in doors(&world.machine).into_iter().zip([200, 403, 403]) {
            assert_eq!(call(&door, &own).await.status, expected, "{door:?} {site}");
        }
        assert_eq!(world.send("POST", REFUND, &own, "{}").await.status, 403, "{site}");
        for referrers in [
            &[other.as_str()][..],
            &[&account],
            &["https://servicewechat.com/"],
            &["https://servicewechat.com/wx0123456789abcdef.evil.example/"],
            &[MINI_PROGRAM, &other],
        ] {
            let referrers = referrers.iter().map(|referrer| ("referer", *referrer));
            let headers: Vec<_> = [("sec-fetch-site", site)].into_iter().chain(referrers).collect();
            let refused = world.send("POST", "/login", &headers, "{}").await;
            assert_eq!(refused.status, 403, "{headers:?}");
            assert!(refused.json["message"].as_str().unwrap().contains("WECHAT_APPS"), "{:?}", refused.json);
        }
    }
}

/// An attacker who answers for the name in this network can let it lead a browser here; programs in containers send
/// `Host` alone.
#[tokio::test]
async fn the_name_of_this_machine_in_containers_is_for_programs_only() {
    let world = World::start_embedded().await;
    for door in doors(&world.machine) {
        let port = port(&door.1);
        for name in [IN_CONTAINERS, "Host.Docker.Internal", "host.docker.internal."] {
            let host = format!("{name}:{port}");
            let (origin, local) = (format!("http://{host}"), format!("http://127.0.0.1:{port}"));
            assert_eq!(call(&door, &[("host", &host)]).await.status, 200, "{door:?} {host}");
            for header in [
                ("origin", origin.as_str()),
                ("origin", &local),
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "none"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
                ("referer", &origin),
                ("referer", MINI_PROGRAM),
            ] {
                assert_eq!(call(&door, &[("host", &host), header]).await.status, 403, "{door:?} {host} {header:?}");
            }
        }
    }
    let send = async |headers: Headers<'_>| {
        let host = format!("{IN_CONTAINERS}:{}", port(world.machine.gateway_url()));
        world.send("POST", "/login", &[&[("host", host.as_str())], headers].concat(), "{}").await
    };
    let message = send(&[("sec-fetch-mode", "cors")]).await.json["message"].as_str().unwrap().to_owned();
    assert!(message.contains(IN_CONTAINERS) && message.contains("http://127.0.0.1:"), "{message}");
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_its_door_and_says_what_to_do() {
    let world = World::start_embedded().await;
    let [functions, sandbox, dynamodb] = doors(&world.machine).map(|(_, url)| url);
    for (url, path, field) in [
        (&functions, "/login", "message"),
        (&functions, "/nowhere", "message"),
        (&sandbox, "/nowhere", "errmsg"),
        (&dynamodb, "/", "Message"),
    ] {
        let send = async |headers: Headers<'_>| {
            let reply = Client::default().send("POST", &format!("{url}{path}"), headers, Vec::new()).await;
            reply.json[field].as_str().unwrap().to_owned()
        };
        let host = send(&[("host", "evil.example")]).await;
        assert!(host.contains("Host") && host.contains(&format!("http://127.0.0.1:{}", port(url))), "{host}");
        let origin = send(&[("origin", EVIL)]).await;
        assert!(origin.contains("Origin") && !origin.contains("evil"), "{origin}");
        assert!(send(&[("sec-fetch-site", "cross-site")]).await.contains("Sec-Fetch-Site"));
    }
    let refused = Client::default().send("POST", &dynamodb, &[("origin", EVIL)], Vec::new()).await;
    assert_eq!(refused.json["__type"], "com.amazon.coral.service#AccessDeniedException");
    assert_eq!(
        world.send("POST", "/login", &[("origin", EVIL)], "").await.json["code"],
        json!(null),
        "the gateway's own"
    );
}

#[tokio::test]
async fn a_foreign_page_refunds_nothing() {
    let world = World::start_embedded().await;
    let number = "demoOrder00000000000000000000002";
    let refund = json!({ "outTradeNo": number, "refundFen": 1, "requestId": "evil" }).to_string();
    let evil = [("content-type", "text/plain"), ("origin", EVIL), ("sec-fetch-site", "cross-site")];
    let refused = world.send("POST", REFUND, &evil, refund.clone()).await;
    assert_eq!(refused.status, 403);
    let rebound = [("content-type", "text/plain"), ("host", "evil.example:9000"), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.send("POST", REFUND, &rebound, refund.clone()).await.status, 403);
    assert_eq!(world.sandbox("GET", "/refunds", json!({})).await["refunds"], json!([]));
    assert_eq!(world.send("POST", REFUND, &[], refund).await.json["status"], "PROCESSING");
}

#[tokio::test]
async fn no_preflight_is_answered_with_leave() {
    let world = World::start_embedded().await;
    for door in doors(&world.machine) {
        let url = &door.1;
        let own = format!("http://127.0.0.1:{}", port(url));
        for origin in [EVIL, &own] {
            let asked = [("origin", origin), ("access-control-request-method", "POST")];
            let reply = Client::default().send("OPTIONS", url, &asked, Vec::new()).await;
            assert!(!names_cors(&reply) && reply.status >= 400, "{url} {origin} {:?}", reply.headers);
        }
    }
}

/// The first line of the answer to what is sent.
async fn raw(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_request_without_a_host_is_no_browsers_and_an_absolute_one_counts() {
    let world = World::start_embedded().await;
    let address = world.machine.sandbox_url().unwrap().strip_prefix("http://").unwrap();
    let path = "/sandbox/state";
    assert_eq!(raw(address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await, "HTTP/1.0 200 OK");
    for (target, expected) in [(format!("http://{address}{path}"), 200), (format!("http://evil.example{path}"), 403)] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        assert!(raw(address, &head).await.starts_with(&format!("HTTP/1.1 {expected}")), "{target}");
    }
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(raw(address, &head).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn who_listens_everywhere_is_called_by_any_address_and_by_no_other_name() {
    let options = Options { bind: Ipv4Addr::UNSPECIFIED.into(), ..Options::default() };
    let machine = Machine::start(options).await.unwrap();
    for door in doors(&machine) {
        let url = &door.1;
        let port = port(url);
        let [lan, other, named] = ["192.168.1.5", "192.168.1.6", "evil.example"].map(|name| format!("{name}:{port}"));
        // No name leads there, so no name can be made to lead here.
        assert_eq!(call(&door, &[("host", &lan)]).await.status, 200, "{url}");
        assert_eq!(call(&door, &[("host", &named)]).await.status, 403, "{url}");
        let [own, foreign] = [&lan, &other].map(|host| format!("http://{host}"));
        assert_eq!(call(&door, &[("host", &lan), ("origin", &own)]).await.status, 200, "{url}");
        assert_eq!(call(&door, &[("host", &lan), ("origin", &foreign)]).await.status, 403, "{url}");
    }
    machine.stop().await;
}
