//! `catalog put`: a shop's products and cards come into its table, while customers order.

use std::process::Output;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::StatusCode;
use local::catalog::{Catalog, PATIENCE, PutError, Stock, put};
use serde_json::{Value, json};
use tests::binary;
use tests::dynamodb_proxy::Kind;
use tests::world::{Row, World};
use tokio::process::Command;

/// As `aws dynamodb batch-write-item --request-items` takes it.
fn file(items: &[Value]) -> String {
    let requests: Vec<_> = items.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
    json!({ "some-table": requests }).to_string()
}

fn product(sku: &str, price: &str, stock: Option<&str>) -> Value {
    let mut item = json!({
        "pk": { "S": format!("PRODUCT#{sku}") },
        "sk": { "S": "PRODUCT" },
        "sku": { "S": sku },
        "name": { "S": "茶" },
        "priceFen": { "N": price },
    });
    if let Some(stock) = stock {
        item["stock"] = json!({ "N": stock });
    }
    item
}

fn card(app_id: Option<&str>) -> Value {
    let mut item = json!({ "pk": { "S": "CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc" }, "sk": { "S": "CARD" }, "cardId": { "S": "pFS7Fjg8kV1IdDz01r4SQwMkuCKc" } });
    if let Some(app_id) = app_id {
        item["appId"] = json!({ "S": app_id });
    }
    item
}

/// What was reported.
async fn load(world: &World, items: &[Value], stock: Stock) -> Vec<String> {
    try_load(world, items, stock, PATIENCE).await.unwrap()
}

async fn try_load(world: &World, items: &[Value], stock: Stock, patience: Duration) -> Result<Vec<String>, PutError> {
    let catalog = Catalog::parse(&file(items)).unwrap();
    let mut lines = Vec::new();
    put(&world.table(), &catalog, stock, patience, |line| lines.push(line.to_owned())).await?;
    Ok(lines)
}

async fn row(world: &World, pk: &str) -> Row {
    let is_it = |row: &Row| row["pk"].as_s().unwrap() == pk;
    world.rows().await.into_iter().find(is_it).unwrap()
}

fn number(row: &Row, name: &str) -> Option<String> {
    row.get(name).map(|value| value.as_n().unwrap().clone())
}

#[tokio::test]
async fn a_new_item_is_whole_and_the_stock_of_a_known_one_is_left_alone() {
    let world = World::start().await;
    let made = load(&world, &[product("tea", "100", Some("5"))], Stock::LeftAlone).await;
    assert_eq!(made, ["created PRODUCT#tea"]);
    assert_eq!(number(&row(&world, "PRODUCT#tea").await, "stock").as_deref(), Some("5"));

    let changed = load(&world, &[product("tea", "120", Some("99"))], Stock::LeftAlone).await;
    assert_eq!(changed, ["updated PRODUCT#tea, its stock left alone"]);
    let tea = row(&world, "PRODUCT#tea").await;
    assert_eq!((number(&tea, "priceFen").as_deref(), number(&tea, "stock").as_deref()), (Some("120"), Some("5")));
    load(&world, &[product("tea", "130", None)], Stock::LeftAlone).await;
    assert_eq!(number(&row(&world, "PRODUCT#tea").await, "stock").as_deref(), Some("5"));

    let set = load(&world, &[product("tea", "130", Some("99"))], Stock::Set).await;
    assert_eq!(set, ["updated PRODUCT#tea"]);
    assert_eq!(number(&row(&world, "PRODUCT#tea").await, "stock").as_deref(), Some("99"));
    load(&world, &[product("tea", "130", None)], Stock::Set).await;
    assert_eq!(number(&row(&world, "PRODUCT#tea").await, "stock"), None);
    // One that was not limited stays so.
    load(&world, &[product("tea", "130", Some("7"))], Stock::LeftAlone).await;
    assert_eq!(number(&row(&world, "PRODUCT#tea").await, "stock"), None);
}

#[tokio::test]
async fn a_card_has_what_the_file_says_and_keeps_what_nobody_here_reads() {
    let world = World::start().await;
    load(&world, &[card(Some("wx1"))], Stock::LeftAlone).await;
    let table = world.table();
    let note = table.client().update_item().table_name(table.name()).update_expression("SET note = :note");
    let note = note.expression_attribute_values(":note", AttributeValue::S("x".to_owned()));
    let text = |text: &str| AttributeValue::S(text.to_owned());
    note.key("pk", text("CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc")).key("sk", text("CARD")).send().await.unwrap();
    assert_eq!(load(&world, &[card(None)], Stock::LeftAlone).await, ["updated CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc"]);
    let card = row(&world, "CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc").await;
    assert_eq!((card.contains_key("appId"), card.contains_key("note")), (false, true));
}

#[tokio::test]
async fn no_order_loses_what_it_has_taken_meanwhile() {
    const ORDERS: usize = 100;
    let world = World::start().await;
    load(&world, &[product("tea", "100", Some("1000"))], Stock::LeftAlone).await;
    let table = world.table();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let take = async || {
        let update = table.client().update_item().table_name(table.name());
        let update = update.key("pk", text("PRODUCT#tea")).key("sk", text("PRODUCT"));
        let update = update.update_expression("SET stock = stock - :one").condition_expression("stock >= :one");
        update.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send().await.unwrap();
    };
    let takes = futures::future::join_all((0..ORDERS).map(|_| take()));
    let loads = async {
        for price in 0..ORDERS {
            load(&world, &[product("tea", &price.to_string(), Some("1000"))], Stock::LeftAlone).await;
        }
    };
    futures::join!(takes, loads);
    let tea = row(&world, "PRODUCT#tea").await;
    assert_eq!((number(&tea, "stock").as_deref(), number(&tea, "priceFen").as_deref()), (Some("900"), Some("99")));
}

/// What goes wrong with a write while orders take from the same product, or many call; and what the command says if it
/// does not end.
fn troubles() -> [(Kind, &'static str); 5] {
    let busy = "PRODUCT#tea: the table has no time for it";
    let in_doubt = "PRODUCT#tea: the table gave no answer, so it may be written or not";
    [
        (Kind::error("TransactionConflictException"), busy),
        (Kind::error("ProvisionedThroughputExceededException"), busy),
        (Kind::error("ThrottlingException"), busy),
        (Kind::LoseAnswer, in_doubt),
        (Kind::Refuse(StatusCode::SERVICE_UNAVAILABLE, json!({})), in_doubt),
    ]
}

#[tokio::test]
async fn a_conflict_a_throttle_and_a_lost_answer_are_waited_out() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    for (at, (trouble, _)) in troubles().into_iter().enumerate() {
        let sku = format!("tea-{at}");
        proxy.inject("PutItem", 2, trouble.clone());
        // Who has made it and never heard of it, finds it there.
        let is_made = matches!(trouble, Kind::LoseAnswer);
        let verb = if is_made { "updated" } else { "created" };
        let made = load(&world, &[product(&sku, "100", Some("5"))], Stock::LeftAlone).await;
        assert!(made[0].starts_with(&format!("{verb} PRODUCT#{sku}")), "{made:?}");
        for operation in ["PutItem", "UpdateItem"] {
            proxy.inject(operation, 2, trouble.clone());
        }
        let changed = load(&world, &[product(&sku, "120", Some("99"))], Stock::LeftAlone).await;
        assert_eq!(changed, [format!("updated PRODUCT#{sku}, its stock left alone")], "{trouble:?}");
        let tea = row(&world, &format!("PRODUCT#{sku}")).await;
        assert_eq!((number(&tea, "priceFen").as_deref(), number(&tea, "stock").as_deref()), (Some("120"), Some("5")));
        proxy.heal();
    }
}

#[tokio::test]
async fn what_does_not_end_is_said() {
    let (world, proxy, _behind) = World::start_with_proxy().await;
    for (trouble, expected) in troubles() {
        proxy.inject_after("PutItem", 1, 99, trouble.clone());
        let items = [product("coffee", "1", None), product("tea", "100", None)];
        let problem = try_load(&world, &items, Stock::LeftAlone, Duration::ZERO).await.unwrap_err().to_string();
        assert!(problem.starts_with(expected) && problem.ends_with("; 1 item was written before"), "{problem}");
        proxy.heal();
    }
    proxy.inject("PutItem", 1, Kind::error("AccessDeniedException"));
    let problem = try_load(&world, &[product("tea", "100", None)], Stock::LeftAlone, PATIENCE).await.unwrap_err();
    assert_eq!(problem.to_string(), "PRODUCT#tea is refused (AccessDeniedException); nothing was written before");
}

/// `catalog put`, with a file of these items, in an environment with these variables.
async fn command(arguments: &[&str], text: &str, variables: &[(&str, &str)]) -> Output {
    let path = std::env::temp_dir().join(format!("wechat-functions-{}.json", shared::random::base64url::<12>()));
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(binary("local").await);
    command.args(["catalog", "put"]).args(arguments).arg(&path).env_clear().envs(variables.iter().copied());
    let output = command.output().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// How a process reaches the table of a world.
fn variables(world: &World) -> Vec<(&str, &str)> {
    let env = world.machine.env();
    let names =
        ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    names.into_iter().filter_map(|name| Some((name, env.get(name)?))).collect()
}

#[tokio::test]
async fn it_says_what_it_does() {
    let world = World::start().await;
    let (name, variables) = (world.table().name().to_owned(), variables(&world));
    let items = file(&[product("tea", "100", Some("5")), card(None)]);
    for (arguments, expected) in [
        (&[][..], "created PRODUCT#tea\ncreated CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc\n"),
        (&[], "updated PRODUCT#tea, its stock left alone\nupdated CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc\n"),
        (&["--set-stock"], "updated PRODUCT#tea\nupdated CARD#pFS7Fjg8kV1IdDz01r4SQwMkuCKc\n"),
    ] {
        let output = command(&[&["--table", &name][..], arguments].concat(), &items, &variables).await;
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), (expected, ""));
        assert!(output.status.success());
    }
    // A file cannot tell what only the table refuses.
    let coffee = product("coffee", "1", None);
    let mut odd = product("milk", "1", None);
    odd["tags"] = json!({ "SS": [] });
    let output = command(&["--table", &name], &file(&[coffee, odd]), &variables).await;
    assert_eq!(text(&output.stdout), "created PRODUCT#coffee\n");
    let expected = "error: PRODUCT#milk is refused (ValidationException); 1 item was written before\n";
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), (expected, Some(1)));
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_written() {
    let world = World::start().await;
    let (name, variables) = (world.table().name().to_owned(), variables(&world));
    let good = file(&[product("tea", "100", None)]);
    let without = |name: &str| variables.iter().filter(|(other, _)| *other != name).copied().collect::<Vec<_>>();
    let bad = file(&[product("tea", "100", None), product("milk", "1.5", None)]);
    for (table, text_of_file, variables, expected) in [
        ("nobody", &good, variables.clone(), "there is no table nobody for these credentials in this region"),
        (&name, &good, without("AWS_REGION"), "AWS_REGION is not set: set AWS_REGION, and run "),
        (&name, &good, without("AWS_ACCESS_KEY_ID"), "AWS_ACCESS_KEY_ID is not set: set AWS_REGION, and run "),
        (&name, &bad, variables.clone(), "PRODUCT#milk: priceFen is not a whole number of fen"),
        (&name, &"{".to_owned(), variables.clone(), "not as `aws dynamodb batch-write-item --request-items` takes it"),
    ] {
        let output = command(&["--table", table], text_of_file, &variables).await;
        let problem = text(&output.stderr);
        assert!(problem.starts_with("error: ") && problem.contains(expected), "{problem}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
    assert!(world.rows().await.iter().all(|row| row["pk"].as_s().unwrap() != "PRODUCT#tea"));
}
