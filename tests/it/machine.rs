//! The local machine itself.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo;
use local::machine::{Machine, Options};
use local::sdk::SdkTable;
use serde_json::{Value, json};
use shared::env::Env;
use tests::apps::OFFICIAL_ACCOUNT;
use tests::callers::CODE2SESSION;
use tests::http::Client;
use tests::variables::variables;
use tests::world::World;
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn the_demo_walks_the_whole_journey() {
    let world = World::start_embedded().await;
    let mut exchanges = Vec::new();
    demo::run(&world.machine, |text| exchanges.push(text.to_owned())).await.unwrap();
    assert_eq!(exchanges.len(), 37, "{exchanges:#?}");
    let told = exchanges.iter().find(|text| text.starts_with("\n# WeChat Pay's notification\nPOST http://127.0.0.1:"));
    assert!(told.is_some_and(|text| text.contains("/pay-notify\nevent \"") && text.ends_with("\n-> 204")), "{told:?}");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (options, option) in [
        (Options { port, ..Options::default() }, "--port"),
        (Options { sandbox_port: port, ..Options::default() }, "--sandbox-port"),
        (Options { dynamodb_port: port, ..Options::default() }, "--dynamodb-port"),
    ] {
        let err = Machine::start(options).await.unwrap_err();
        let expected = format!("port {port} is in use: stop what uses it, or choose another one with {option}");
        assert_eq!(err.to_string(), expected);
    }
}

#[tokio::test]
async fn an_invocation_goes_on_when_the_caller_hangs_up() {
    let world = World::start().await;
    world.sandbox("POST", "/faults", json!({ "path": "/sns/jscode2session", "answerLatencyMs": 200 })).await;
    let code = world.code(&world.person(Value::Null).await).await;
    let body = json!({ "code": code }).to_string();
    let address = world.machine.gateway_url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST /login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    while world.count_of(CODE2SESSION).await == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    // WeChat has taken the code: the session can only be the one that the first call makes.
    assert_eq!(world.login(&code).await.status, 200);
}

#[tokio::test]
async fn half_a_request_holds_no_stop() {
    let machine = Machine::start(Options::default()).await.unwrap();
    let urls = [machine.gateway_url(), machine.wechat_url(), machine.dynamodb_url()].map(str::to_owned);
    let mut streams = Vec::new();
    for url in urls {
        let mut stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{").await.unwrap();
        streams.push(stream);
    }
    let stopped = tokio::time::timeout(Duration::from_secs(20), machine.stop()).await;
    assert!(stopped.is_ok(), "it stops within its limits");
}

#[tokio::test]
async fn a_misconfigured_function_is_found_out_at_start() {
    let env = Env::from_iter([("SESSION_TTL_SECS", "soon")]);
    let err = Machine::start(Options { env, ..Options::default() }).await.unwrap_err();
    assert!(err.to_string().starts_with("SESSION_TTL_SECS is malformed"), "{err}");
}

#[tokio::test]
async fn what_is_kept_is_there_after_a_restart() {
    let directory = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
    let options = Options { data: Some(directory.clone()), ..Options::default() };
    let client = Client::default();
    let user = async |machine: &Machine, body: Value, function: &str, token: &str| {
        let url = format!("{}/{function}", machine.gateway_url());
        let authorization = format!("Bearer {token}");
        client.post(&url, &[("authorization", &authorization)], &body).await.json
    };
    let card = json!({ "cardId": "pDemoCardWithCodesOfWechat000" });
    let machine = Machine::start(options.clone()).await.unwrap();
    let login = user(&machine, json!({ "code": "demo-code" }), "login", "none").await;
    let token = login["token"].as_str().unwrap();
    assert!(user(&machine, card.clone(), "card-ext", token).await["cardExt"].is_string());
    machine.stop().await;

    let machine = Machine::start(options).await.unwrap();
    let read = user(&machine, json!({}), "user-info", token).await;
    assert_eq!(read["user"]["id"], login["user"]["id"]);
    // But no ticket of a sandbox that is no more: a card would not be good with it.
    assert!(user(&machine, card, "card-ext", token).await["cardExt"].is_string());
    let tickets = client.send("GET", &format!("{}/sandbox/tokens", machine.wechat_url()), &[], Vec::new()).await;
    assert!(tickets.json[OFFICIAL_ACCOUNT]["wx_card"]["value"].is_string(), "{:?}", tickets.json);
    machine.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn the_environment_of_the_functions_is_written_for_sam_and_for_nobody_else() {
    let world = World::start().await;
    let name = format!("wechat-functions-{}.json", shared::random::base64url::<12>());
    let path = std::env::temp_dir().join(name);
    world.machine.write_env_vars(path.clone()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let env: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let functions = [
        "CardExtFunction",
        "CreateOrderFunction",
        "LoginFunction",
        "LogoutFunction",
        "OrderSweeperFunction",
        "PayNotifyFunction",
        "PhoneDecryptFunction",
        "QueryOrderFunction",
        "RefundOrderFunction",
        "TokenRefresherFunction",
        "UserInfoFunction",
    ];
    assert_eq!(env.as_object().unwrap().keys().collect::<Vec<_>>(), functions);
    for function in functions {
        assert_eq!(env[function]["WECHAT_API_URLS"], world.machine.wechat_url(), "{function}");
        assert_eq!(env[function]["AWS_ENDPOINT_URL_DYNAMODB"], world.machine.dynamodb_url(), "{function}");
        assert_eq!(env[function]["AWS_ENDPOINT_URL_LAMBDA"], world.machine.gateway_url(), "{function}");
        assert_eq!(env[function]["TOKEN_REFRESHER"], "token-refresher", "{function}");
        assert!(env[function]["SEAL_KEY"].as_str().unwrap().len() >= 43, "{function}");
        // What the template has for it would count otherwise.
        assert_eq!(env[function]["SEAL_KEY_SECRET_ARN"], "", "{function}");
    }
}

#[tokio::test]
async fn who_listens_everywhere_is_named_as_containers_know_it() {
    let options = Options { bind: Ipv4Addr::UNSPECIFIED.into(), ..Options::default() };
    let machine = Machine::start(options).await.unwrap();
    let name = format!("wechat-functions-{}.json", shared::random::base64url::<12>());
    let path = std::env::temp_dir().join(name);
    machine.write_env_vars(path.clone()).unwrap();
    let env: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let login = &env["LoginFunction"];
    for (variable, here) in [
        ("WECHAT_API_URLS", machine.wechat_url()),
        ("AWS_ENDPOINT_URL_DYNAMODB", machine.dynamodb_url()),
        ("AWS_ENDPOINT_URL_LAMBDA", machine.gateway_url()),
    ] {
        assert_eq!(login[variable], here.replace("127.0.0.1", "host.docker.internal"), "{variable}");
    }
    // The sandbox calls it, and is no container.
    assert_eq!(login["PAY_NOTIFY_URL"], format!("{}/pay-notify", machine.gateway_url()));
    machine.stop().await;
}

/// The cards of the catalog that a table has, and who chooses their codes.
async fn cards(table: &SdkTable) -> BTreeMap<String, String> {
    let scan = table.client().scan().table_name(table.name()).consistent_read(true).send().await.unwrap();
    let cards = scan.items().iter().filter(|item| item["sk"].as_s().unwrap() == "CARD");
    let text = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
    cards.map(|item| (text(item, "cardId"), text(item, "codes"))).collect()
}

#[tokio::test]
async fn a_card_of_the_catalog_that_was_changed_stays_so_and_one_that_is_missing_comes_back() {
    let directory = std::env::temp_dir().join(format!("wechat-functions-{}", shared::random::base64url::<12>()));
    let options = Options { data: Some(directory.clone()), ..Options::default() };
    let machine = Machine::start(options.clone()).await.unwrap();
    let table = SdkTable::from_env(machine.env()).unwrap();
    let mut expected = cards(&table).await;
    assert_eq!(expected.len(), 3, "{expected:?}");
    let [changed, deleted] =
        ["pDemoCardWithCodesOfWechat000", "pDemoCardWithCodesOfServer000"].map(|id| format!("CARD#{id}"));
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = table.client().update_item().table_name(table.name()).key("pk", text(&changed));
    let update = update.key("sk", text("CARD")).update_expression("SET codes = :codes");
    update.expression_attribute_values(":codes", text("client")).send().await.unwrap();
    let delete = table.client().delete_item().table_name(table.name()).key("pk", text(&deleted));
    delete.key("sk", text("CARD")).send().await.unwrap();
    machine.stop().await;

    let machine = Machine::start(options).await.unwrap();
    expected.insert("pDemoCardWithCodesOfWechat000".to_owned(), "client".to_owned());
    assert_eq!(cards(&SdkTable::from_env(machine.env()).unwrap()).await, expected);
    machine.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn nothing_is_loaded_into_a_dynamodb_from_outside() {
    let outside = World::start_embedded().await;
    let url = outside.machine.dynamodb_url();
    let world = World::start_with([("AWS_ENDPOINT_URL_DYNAMODB", url), ("TABLE_NAME", "somebodys")]).await;
    assert_eq!(world.login("demo-code").await.status, 200);
    assert!(world.rows_at("CARD#", "CARD").await.is_empty());
    assert_eq!(world.rows_at("USER#", "USER").await.len(), 1, "and of the demo users there is the one who logged in");
}

#[tokio::test]
async fn an_access_key_that_is_given_is_that_of_all_functions_whatever_it_is() {
    let outside = World::start_embedded().await;
    let url = outside.machine.dynamodb_url();
    // DynamoDB Local has a database of its own for each key.
    for key in ["local", "another"] {
        let world = World::start_with([("AWS_ENDPOINT_URL_DYNAMODB", url), ("AWS_ACCESS_KEY_ID", key)]).await;
        for function in ["LoginFunction", "OrderSweeperFunction"] {
            assert_eq!(variables(&world, function)["AWS_ACCESS_KEY_ID"], key, "{function}");
        }
    }
}
