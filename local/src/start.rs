//! Starting the machine, part by part, in the order in which each needs the others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use shared::env::Env;
use shared::net::{HttpClient, Tls};
use shared::setup::Setup;
use shared::wechat::AppKind;
use tokio::net::TcpListener;

use crate::catalog;
use crate::demo_user;
use crate::dynamodb::{self, EmbeddedDynamoDb};
use crate::environment::{self, Embedded};
use crate::functions::Functions;
use crate::halves::Halves;
use crate::iam::Guard;
use crate::kept_orders;
use crate::keys::{self, Keys};
use crate::machine::{Options, StartError};
use crate::pay_keys::PayKeys;
use crate::private_file::{WithoutModes, private_directory, private_empty_file, unfinished};
use crate::sandbox::Sandbox;
use crate::sandbox::pay::Post;
use crate::sdk::SdkTable;
use crate::server;

/// What listens, though not all of it answers yet, and where.
pub(crate) struct Listeners {
    pub(crate) gateway: TcpListener,
    pub(crate) sandbox: Option<TcpListener>,
    pub(crate) dynamodb: Option<EmbeddedDynamoDb>,
    pub(crate) embedded: Embedded,
}

impl Listeners {
    /// All that is not given from outside.
    pub(crate) async fn open(options: &Options, guard: Option<&Arc<Guard>>) -> Result<Self, StartError> {
        let Options { bind, env: outside, .. } = options;
        let gateway = server::bind(*bind, options.port, "--port").await?;
        let sandbox = match Halves::wanted(outside).is_any_wanted() {
            true => Some(server::bind(*bind, options.sandbox_port, "--sandbox-port").await?),
            false => None,
        };
        let dynamodb = match outside.get("AWS_ENDPOINT_URL_DYNAMODB") {
            Some(_) => None,
            None => Some(EmbeddedDynamoDb::start(options, guard).await?),
        };
        let gateway_address = gateway.local_addr().map_err(StartError::Thread)?;
        let sandbox_address = sandbox.as_ref().map(TcpListener::local_addr).transpose().map_err(StartError::Thread)?;
        let embedded = Embedded {
            dynamodb_url: dynamodb.as_ref().map(|dynamodb| url(dynamodb.address)),
            sandbox_url: sandbox_address.map(url),
            gateway_url: url(gateway_address),
            notify_url: format!("http://127.0.0.1:{}/pay-notify", gateway_address.port()),
        };
        Ok(Self { gateway, sandbox, dynamodb, embedded })
    }
}

/// Makes them on another thread, because it takes long.
pub(crate) async fn keys(options: &Options) -> Result<Keys, StartError> {
    let (data, wants_pay_keys) = (options.data.clone(), environment::wants_pay_keys(&options.env));
    let make = move || {
        let Some(path) = data else { return Ok(Keys::random(wants_pay_keys)) };
        let keys = private_data(&path).and_then(|()| Keys::kept_in(&path, wants_pay_keys));
        keys.map_err(|source| StartError::File { path, source })
    };
    let made = tokio::task::spawn_blocking(make).await.map_err(|err| StartError::Thread(io::Error::other(err)))?;
    let mut keys = made?;
    keys.pay.mode = options.pay_keys;
    Ok(keys)
}

/// Makes the directory of `--data`, for its owner only, and everything that will be in it. SQLite gives the files beside
/// its own the same mode.
fn private_data(directory: &Path) -> io::Result<()> {
    let unfinished = unfinished(keys::FILE);
    let is_ours = |name: &str| name.starts_with(dynamodb::FILE) || name == keys::FILE || name.starts_with(&unfinished);
    // What will be in it was made here, and its user has chosen the place.
    private_directory(directory, is_ours, WithoutModes::GoOn)?;
    private_empty_file(&directory.join(dynamodb::FILE))
}

/// The table. In the embedded DynamoDB it has the catalog, and no token of a machine before.
pub(crate) async fn table(options: &Options, env: &Env, is_embedded: bool) -> Result<SdkTable, StartError> {
    let table = SdkTable::from_env(env)?;
    dynamodb::ensure_table(&table, options.make_table || !is_aws(env)).await?;
    if is_embedded {
        catalog::load(&table).await?;
        dynamodb::forget_tokens(&table).await?;
    }
    Ok(table)
}

/// What the sandbox answers. It and the embedded DynamoDB know the same people and orders.
pub(crate) async fn sandbox(
    options: &Options,
    env: &Env,
    embedded: &Embedded,
    keys: &PayKeys,
    table: &SdkTable,
) -> Result<Router, StartError> {
    let Options { clock, env: outside, .. } = options;
    let (setup, halves) = (Setup::new(env.clone(), clock.clone())?, Halves::wanted(outside));
    halves.warn_of_foreign_keys(outside);
    let is_embedded = embedded.dynamodb_url.is_some();
    // In a kept table are people of the sandbox before.
    let knows_people = halves.wechat && !(is_embedded && options.data.is_some());
    let http = HttpClient::new(&Tls::from_env(env)?, clock);
    let post = Post::new(http, &embedded.notify_url, format!("{}/pay-notify", embedded.gateway_url));
    let sandbox = Sandbox::new(&setup.apps().await?, clock, keys.clone(), post, knows_people);
    if let (true, true, Some(user)) = (is_embedded, halves.wechat, sandbox.demo_user()) {
        demo_user::seed(&setup, table, &user).await?;
    }
    if is_embedded {
        sandbox.remember(kept_orders::read(table).await?);
    }
    Ok(sandbox.router(if options.whole_sandbox { Halves::BOTH } else { halves }))
}

/// The appids of the mini programs that call the functions.
pub(crate) async fn mini_programs(options: &Options, env: &Env) -> Result<Vec<String>, StartError> {
    let apps = Setup::new(env.clone(), options.clock.clone())?.apps().await?;
    let mini_programs = apps.iter().filter(|app| app.kind == AppKind::MiniProgram);
    Ok(mini_programs.map(|app| app.app_id.as_str().to_owned()).collect())
}

/// The functions, each with an instance that waits for work.
pub(crate) async fn functions(options: &Options, env: &Env, embedded: &Embedded) -> Result<Functions, StartError> {
    let has_own_keys = options.policies.is_some() && !environment::has_given_key(&options.env, embedded);
    let own_env = |function: &str| match has_own_keys {
        true => environment::with_own_key(env, function),
        false => environment::of_function(env, function),
    };
    let functions = Functions::new(own_env, &options.clock);
    for function in functions.iter() {
        function.warm_up().await?;
    }
    Ok(functions)
}

/// Where a part that listens on `address` is reached from this machine.
pub(crate) fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// On AWS nobody expects a program on a laptop to make a table.
fn is_aws(env: &Env) -> bool {
    let endpoint = env.get("AWS_ENDPOINT_URL_DYNAMODB").and_then(|url| url::Url::parse(url).ok());
    let host = endpoint.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    host.ends_with(".amazonaws.com")
        || host.ends_with(".amazonaws.eu")
        || host.ends_with(".amazonaws.com.cn")
        || host.ends_with(".api.aws")
}
