//! The embedded DynamoDB: `dynoxide`, on a thread of its own, because its calls block.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification,
};
use dynoxide::Database;
use shared::env::Env;
use shared::net::Tls;
use shared::store::sweep;
use tokio::sync::oneshot;

use crate::hidden;
use crate::iam::{self, Guard};
use crate::machine::{Options, StartError};
use crate::same_origin::Door;
use crate::sdk::SdkTable;
use crate::server::{self, Server};

/// How often rows whose `ttl` has passed are deleted. AWS takes up to days; nothing may depend on it.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// What is kept is in this file of `--data`, and in those whose names begin as its own.
pub(crate) const FILE: &str = "dynamodb.sqlite";

const TRIES_UNTIL_ACTIVE: u32 = 60;

/// A half-sent request holds dynoxide's shutdown for as long as it likes.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A DynamoDB in this process.
#[derive(Debug)]
pub(crate) struct EmbeddedDynamoDb {
    pub(crate) address: SocketAddr,
    front: Server,
    stop: oneshot::Sender<()>,
    stop_sweeps: mpsc::Sender<()>,
    server: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

impl EmbeddedDynamoDb {
    /// In memory, or in a file in `data`; behind a door that is ours, with a guard, if there is one.
    pub(crate) async fn start(options: &Options, guard: Option<&Arc<Guard>>) -> Result<Self, StartError> {
        let listener = server::bind(options.bind, options.dynamodb_port, "--dynamodb-port").await?;
        let address = listener.local_addr().map_err(StartError::Thread)?;
        let behind = hidden::bind().await.map_err(StartError::Thread)?;
        let target = behind.local_addr().map_err(StartError::Thread)?;
        let routes = iam::in_front_of(target, guard.cloned(), &Tls::from_env(&Env::default())?);
        let behind = behind.into_std().map_err(StartError::Thread)?;
        let database = match &options.data {
            Some(data) => Database::new(&data.join(FILE).to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(|err| StartError::Database(err.to_string()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (stop_sweeps, sweeps_stopped) = mpsc::channel();
        let sweeper = spawn("dynamodb-ttl", {
            let database = database.clone();
            move || sweep(&database, &sweeps_stopped)
        })?;
        let server = spawn("dynamodb", move || serve(behind, database, stopped))?;
        let front = Server::start(listener, routes, Door::DynamoDb).map_err(StartError::Thread)?;
        Ok(Self { address, front, stop, stop_sweeps, server, sweeper })
    }

    /// Stops, within a time limit.
    pub(crate) async fn stop(self) {
        self.front.stop().await;
        // A side that is gone already has stopped.
        let _ = self.stop.send(());
        drop(self.stop_sweeps);
        let limit = Instant::now() + STOP_WITHIN;
        while Instant::now() < limit && !(self.server.is_finished() && self.sweeper.is_finished()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

fn serve(listener: std::net::TcpListener, database: Database, stopped: oneshot::Receiver<()>) {
    let run = || -> io::Result<Result<(), String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let shutdown = async {
                let _ = stopped.await;
            };
            Ok(dynoxide::server::serve_with_shutdown(listener, database, shutdown).await)
        })
    };
    match run() {
        Ok(Ok(())) => {}
        Ok(Err(err)) => tracing::error!(error = err, "the embedded DynamoDB failed"),
        Err(err) => tracing::error!(error = %err, "the embedded DynamoDB did not start"),
    }
}

fn sweep(database: &Database, stopped: &mpsc::Receiver<()>) {
    while stopped.recv_timeout(SWEEP_EVERY) == Err(RecvTimeoutError::Timeout) {
        if let Err(err) = database.sweep_ttl() {
            tracing::warn!(error = %err, "expired rows could not be deleted");
        }
    }
}

/// Makes the table if it is not there. On AWS, tables are made by the template.
pub(crate) async fn ensure_table(table: &SdkTable, make: bool) -> Result<(), StartError> {
    let (client, name) = (table.client(), table.name());
    let failed = |code: Option<&str>| StartError::table(name, code);
    let described = client.describe_table().table_name(name).send().await;
    match described.as_ref().map_err(|err| err.code()) {
        Ok(_) if !make => return Ok(()),
        Ok(found) => {
            let indexes = found.table().map(TableDescription::global_secondary_indexes).unwrap_or_default();
            let has_index = indexes.iter().any(|index| index.index_name() == Some(sweep::INDEX));
            return if has_index { Ok(()) } else { add_index(table).await.map_err(|code| failed(code.as_deref())) };
        }
        Err(Some("ResourceNotFoundException")) if make => {}
        Err(code) => return Err(failed(code)),
    }
    create(table).await.map_err(|code| failed(code.as_deref()))?;
    wait_until_active(table).await.map_err(|code| failed(code.as_deref()))?;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("ttl").build();
    let ttl = ttl.map_err(|_| failed(None))?;
    let enabled = client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await;
    enabled.map(|_| ()).map_err(|err| failed(err.code()))
}

async fn create(table: &SdkTable) -> Result<(), Option<String>> {
    let mut create = table.client().create_table().table_name(table.name()).billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        create = create.attribute_definitions(definition(attribute, ScalarAttributeType::S)?);
        create = create.key_schema(element(attribute, kind)?);
    }
    for attribute in sweep::KEYS {
        create = create.attribute_definitions(definition(attribute, ScalarAttributeType::N)?);
    }
    let [shard, at] = sweep::KEYS;
    let index = GlobalSecondaryIndex::builder().index_name(sweep::INDEX).projection(projection());
    let index = index.key_schema(element(shard, KeyType::Hash)?).key_schema(element(at, KeyType::Range)?);
    create = create.global_secondary_indexes(index.build().map_err(|_| None)?);
    match create.send().await.as_ref().map_err(|err| err.code()) {
        Ok(_) | Err(Some("ResourceInUseException")) => Ok(()),
        Err(code) => Err(code.map(str::to_owned)),
    }
}

/// A table that was kept may be of a time when there was no index.
async fn add_index(table: &SdkTable) -> Result<(), Option<String>> {
    let [shard, at] = sweep::KEYS;
    let index = CreateGlobalSecondaryIndexAction::builder().index_name(sweep::INDEX).projection(projection());
    let index = index.key_schema(element(shard, KeyType::Hash)?).key_schema(element(at, KeyType::Range)?);
    let update = GlobalSecondaryIndexUpdate::builder().create(index.build().map_err(|_| None)?).build();
    let mut change = table.client().update_table().table_name(table.name()).global_secondary_index_updates(update);
    for attribute in sweep::KEYS {
        change = change.attribute_definitions(definition(attribute, ScalarAttributeType::N)?);
    }
    change.send().await.map(|_| ()).map_err(|err| err.code().map(str::to_owned))
}

fn definition(attribute: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, Option<String>> {
    AttributeDefinition::builder().attribute_name(attribute).attribute_type(kind).build().map_err(|_| None)
}

fn element(attribute: &str, kind: KeyType) -> Result<KeySchemaElement, Option<String>> {
    KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().map_err(|_| None)
}

fn projection() -> Projection {
    let attributes = sweep::PROJECTED.map(str::to_owned).to_vec();
    Projection::builder().projection_type(ProjectionType::Include).set_non_key_attributes(Some(attributes)).build()
}

/// AWS takes some seconds to make a table, the others none.
async fn wait_until_active(table: &SdkTable) -> Result<(), Option<String>> {
    for _ in 0..TRIES_UNTIL_ACTIVE {
        let described = table.client().describe_table().table_name(table.name()).send().await;
        let described = described.map_err(|err| err.code().map(str::to_owned))?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(Some("not active yet".to_owned()))
}

/// A sandbox knows nothing of the tokens that another one has given out, nor does WeChat: no card signed with one of those
/// would be good. WeChat's own are given out again.
pub(crate) async fn forget_tokens(table: &SdkTable) -> Result<(), StartError> {
    let failed = |code: Option<&str>| StartError::table(table.name(), code);
    let scan = table.client().scan().table_name(table.name()).projection_expression("pk, sk");
    let tokens = scan
        .filter_expression("sk = :token")
        .expression_attribute_values(":token", AttributeValue::S("TOKEN".to_owned()));
    let mut tokens = tokens.into_paginator().items().send();
    while let Some(key) = tokens.next().await {
        let key = key.map_err(|err| failed(err.code()))?;
        let delete = table.client().delete_item().table_name(table.name()).set_key(Some(key)).send().await;
        delete.map_err(|err| failed(err.code()))?;
    }
    Ok(())
}
