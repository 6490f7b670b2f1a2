//! The whole local machine: DynamoDB, the WeChat sandbox, the functions and the gateway, in one process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use shared::env::{ConfigError, Env};
use shared::net::{HttpClient, Tls};
use shared::setup::Setup;

use crate::catalog::{self, CatalogError};
use crate::demo_user::{self, SeedError};
use crate::dynamodb::{self, EmbeddedDynamoDb};
use crate::environment::{self, Embedded};
use crate::functions::Functions;
use crate::gateway::Gateway;
use crate::halves::Halves;
use crate::iam::{Denied, Guard};
use crate::kept_orders;
use crate::keys::Keys;
pub use crate::options::Options;
use crate::pay_keys::PayKeys;
use crate::sandbox::Sandbox;
use crate::sandbox::pay::Post;
use crate::schedule::Schedule;
use crate::sdk::SdkTable;
pub use crate::server::BindError;
use crate::server::{self, Server};

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    /// The functions, to start instances of.
    pub functions: Functions,
    env: Env,
    pay_keys: PayKeys,
    /// Whether the merchant is the one of these keys.
    has_own_merchant: bool,
    listens_everywhere: bool,
    gateway_url: String,
    sandbox_url: Option<String>,
    schedule: Option<Schedule>,
    guard: Option<Arc<Guard>>,
    servers: Vec<Server>,
    dynamodb: Option<EmbeddedDynamoDb>,
}

/// Why the machine did not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the catalog cannot be loaded")]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the embedded DynamoDB cannot open its data: {0}")]
    Database(String),
    #[error("{} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the demo user cannot be made")]
    Seed(#[from] SeedError),
    #[error("the table {name} cannot be used: {problem}")]
    Table { name: String, problem: String },
    #[error("a thread did not start")]
    Thread(#[source] io::Error),
}

impl Machine {
    /// Starts everything that is not given from outside, and one instance of each function.
    ///
    /// # Errors
    ///
    /// If a port is in use, or the environment outside is not complete and correct.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { bind, clock, env: outside, .. } = &options;
        let wants_pay_keys = environment::wants_pay_keys(outside);
        let mut keys = keys(options.data.clone(), wants_pay_keys).await?;
        keys.pay.mode = options.pay_keys;
        let gateway = server::bind(*bind, options.port, "--port").await?;
        let halves = Halves::wanted(outside);
        let sandbox = match halves.is_any_wanted() {
            true => Some(server::bind(*bind, options.sandbox_port, "--sandbox-port").await?),
            false => None,
        };
        let guard = options.policies.clone().map(|policies| Arc::new(Guard::new(policies)));
        let dynamodb = match outside.get("AWS_ENDPOINT_URL_DYNAMODB") {
            Some(_) => None,
            None => Some(EmbeddedDynamoDb::start(&options, guard.as_ref()).await?),
        };
        let gateway_address = gateway.local_addr().map_err(StartError::Thread)?;
        let embedded = Embedded {
            dynamodb_url: dynamodb.as_ref().map(|dynamodb| url(dynamodb.address)),
            sandbox_url: sandbox
                .as_ref()
                .map(|listener| listener.local_addr().map(url))
                .transpose()
                .map_err(StartError::Thread)?,
            gateway_url: url(gateway_address),
            notify_url: format!("http://127.0.0.1:{}/pay-notify", gateway_address.port()),
        };
        let env = environment::build(outside, &embedded, &keys);
        let setup = Setup::new(env.clone(), clock.clone())?;
        let table = SdkTable::from_env(&env)?;
        dynamodb::ensure_table(&table, options.make_table || !is_aws(&env)).await?;
        if dynamodb.is_some() {
            catalog::load(&table).await?;
            dynamodb::forget_tokens(&table).await?;
        }

        let mut servers = Vec::new();
        if let Some(listener) = sandbox {
            halves.warn_of_foreign_keys(outside);
            let answered = if options.whole_sandbox { Halves::BOTH } else { halves };
            // In a kept table are people of the sandbox before.
            let is_kept = dynamodb.is_some() && options.data.is_some();
            let knows_people = halves.wechat && !is_kept;
            let http = HttpClient::new(&Tls::from_env(&env)?, clock);
            let post = Post::new(http, &embedded.notify_url, format!("{}/pay-notify", embedded.gateway_url));
            let sandbox = Sandbox::new(&setup.apps().await?, clock, keys.pay.clone(), post, knows_people);
            if let (Some(_), true, Some(user)) = (&dynamodb, halves.wechat, sandbox.demo_user()) {
                demo_user::seed(&setup, &table, &user).await?;
            }
            if dynamodb.is_some() {
                sandbox.remember(kept_orders::read(&table).await?);
            }
            servers.push(Server::start(listener, sandbox.router(answered)));
        }
        let has_own_keys = guard.is_some() && !environment::has_given_key(outside, &embedded);
        let own_env = |function: &str| match has_own_keys {
            true => environment::with_own_key(&env, function),
            false => env.clone(),
        };
        let functions = Functions::new(own_env, clock);
        for function in functions.iter() {
            function.warm_up().await?;
        }
        let routes = Gateway { functions: functions.clone(), clock: clock.clone(), guard: guard.clone() }.router();
        servers.push(Server::start(gateway, routes));
        let schedule = options.schedule.then(|| Schedule::start(&functions));
        let (gateway_url, sandbox_url) = (embedded.gateway_url, embedded.sandbox_url);
        let (pay_keys, has_own_merchant) = (keys.pay, wants_pay_keys);
        let listens_everywhere = options.bind.is_unspecified();
        Ok(Self {
            functions,
            env,
            pay_keys,
            has_own_merchant,
            listens_everywhere,
            gateway_url,
            sandbox_url,
            schedule,
            guard,
            servers,
            dynamodb,
        })
    }

    /// What functions asked for and their roles do not allow, since this was last called.
    pub fn take_denied(&self) -> Vec<Denied> {
        self.guard.as_ref().map(|guard| guard.take_denied()).unwrap_or_default()
    }

    /// The environment of the functions, but for the access key that names each of them.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The same, for who is no function: the embedded DynamoDB is asked without the guard in front of it.
    pub fn unguarded_env(&self) -> Env {
        let mut env = self.env.clone();
        if let Some(dynamodb) = &self.dynamodb {
            env.set("AWS_ENDPOINT_URL_DYNAMODB", url(dynamodb.unguarded));
        }
        env
    }

    /// Where the functions are called.
    pub fn gateway_url(&self) -> &str {
        &self.gateway_url
    }

    /// Where the sandbox is, unless all that it answers is given from outside.
    pub fn sandbox_url(&self) -> Option<&str> {
        self.sandbox_url.as_deref()
    }

    /// The keys of the sandbox's merchant, and of its WeChat Pay.
    pub fn pay_keys(&self) -> &PayKeys {
        &self.pay_keys
    }

    /// Where WeChat is: the sandbox, or what is given from outside.
    pub fn wechat_url(&self) -> &str {
        self.env.list("WECHAT_API_URLS").first().copied().unwrap_or_default()
    }

    /// Where DynamoDB is: the embedded one, or what is given from outside.
    pub fn dynamodb_url(&self) -> &str {
        self.env.get("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default()
    }

    /// Writes the environment of the functions for `sam local invoke --env-vars`. Only the owner may read the file. If the
    /// machine listens on every address, it is reached from a container, as `host.docker.internal`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_env_vars(&self, path: PathBuf) -> Result<(), StartError> {
        let written = environment::write_env_vars(&path, &self.functions, self.listens_everywhere);
        written.map_err(|source| StartError::File { path, source })
    }

    /// Writes the same environment as lines of `NAME='value'`, for `cargo lambda watch --env-file` and for shells. Only the
    /// owner may read the file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_env_file(&self, path: PathBuf) -> Result<(), StartError> {
        environment::write_env_file(&path, &self.env).map_err(|source| StartError::File { path, source })
    }

    /// Writes the keys of the sandbox's WeChat Pay, for `event` to sign with. Only the owner may read the file. With a
    /// merchant of somebody's own there are none to be written.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_pay_keys(&self, path: PathBuf) -> Result<(), StartError> {
        if !self.has_own_merchant {
            return Ok(());
        }
        self.pay_keys.write(&path).map_err(|source| StartError::File { path, source })
    }

    /// Stops everything, within a few seconds.
    pub async fn stop(self) {
        if let Some(schedule) = self.schedule {
            schedule.stop().await;
        }
        // The gateway first: the calls under way still need the others.
        for server in self.servers.into_iter().rev() {
            server.stop().await;
        }
        if let Some(dynamodb) = self.dynamodb {
            dynamodb.stop().await;
        }
    }
}

/// Makes them on another thread, because it takes long.
async fn keys(data: Option<PathBuf>, wants_pay_keys: bool) -> Result<Keys, StartError> {
    let make = move || {
        let Some(path) = data else { return Ok(Keys::random(wants_pay_keys)) };
        let keys = std::fs::create_dir_all(&path).and_then(|()| Keys::kept_in(&path, wants_pay_keys));
        keys.map_err(|source| StartError::File { path, source })
    };
    tokio::task::spawn_blocking(make).await.map_err(|err| StartError::Thread(io::Error::other(err)))?
}

/// Where a part that listens on `address` is reached from this machine.
fn url(mut address: SocketAddr) -> String {
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
