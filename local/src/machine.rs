//! The whole local machine: DynamoDB, the WeChat sandbox, the functions and the gateway, in one process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use shared::env::{ConfigError, Env};

use crate::catalog::CatalogError;
use crate::demo_user::SeedError;
use crate::dynamodb::EmbeddedDynamoDb;
use crate::elsewhere::{self, EndpointError};
use crate::environment;
use crate::functions::Functions;
use crate::gateway::Gateway;
use crate::iam::{Denied, Guard};
pub use crate::options::Options;
use crate::pay_keys::PayKeys;
use crate::same_origin::Door;
use crate::schedule::Schedule;
pub use crate::server::BindError;
use crate::server::Server;
use crate::start::{self, Listeners};

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
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("{} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the demo user cannot be made")]
    Seed(#[source] SeedError),
    #[error("{problem}: the table {name} cannot be used")]
    Table { name: String, problem: String },
    #[error("a thread did not start")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// What DynamoDB says of the table, if it says anything.
    pub(crate) fn table(name: &str, code: Option<&str>) -> Self {
        let problem = match code {
            Some(code) => format!("DynamoDB says {code}"),
            None => "AWS_ENDPOINT_URL_DYNAMODB gives no answer".to_owned(),
        };
        Self::Table { name: name.to_owned(), problem }
    }
}

/// What is configured wrongly comes first.
impl From<SeedError> for StartError {
    fn from(err: SeedError) -> Self {
        match err {
            SeedError::Config(err) => Self::Config(err),
            err => Self::Seed(err),
        }
    }
}

impl Machine {
    /// Starts everything that is not given from outside, and one instance of each function.
    ///
    /// # Errors
    ///
    /// If a port is in use, the environment outside is not complete and correct, or half of it is real and `mixed` is not
    /// set.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if !options.mixed {
            elsewhere::refuse_mixed(&options.env)?;
        }
        let keys = start::keys(&options).await?;
        let guard = options.policies.clone().map(|policies| Arc::new(Guard::new(policies)));
        let Listeners { gateway, sandbox, dynamodb, embedded } = Listeners::open(&options, guard.as_ref()).await?;
        let env = environment::build(&options.env, &embedded, &keys);
        let table = start::table(&options, &env, dynamodb.is_some()).await?;
        let mut servers = Vec::new();
        if let Some(listener) = sandbox {
            let routes = start::sandbox(&options, &env, &embedded, &keys.pay, &table).await?;
            servers.push(Server::start(listener, routes, Door::Sandbox).map_err(StartError::Thread)?);
        }
        let functions = start::functions(&options, &env, &embedded).await?;
        let clock = options.clock.clone();
        let routes = Gateway { functions: functions.clone(), clock, guard: guard.clone() }.router();
        let door = Door::Gateway(start::mini_programs(&options, &env).await?);
        servers.push(Server::start(gateway, routes, door).map_err(StartError::Thread)?);
        Ok(Self {
            schedule: options.schedule.then(|| Schedule::start(&functions)),
            functions,
            env,
            pay_keys: keys.pay,
            has_own_merchant: environment::wants_pay_keys(&options.env),
            listens_everywhere: options.bind.is_unspecified(),
            gateway_url: embedded.gateway_url,
            sandbox_url: embedded.sandbox_url,
            guard,
            servers,
            dynamodb,
        })
    }

    /// What functions asked for and their roles do not allow, since this was last called.
    pub fn take_denied(&self) -> Vec<Denied> {
        self.guard.as_ref().map(|guard| guard.take_denied()).unwrap_or_default()
    }

    /// The environment of the functions, but for the access key that names each of them: who is no function may do
    /// anything at the embedded DynamoDB.
    pub fn env(&self) -> &Env {
        &self.env
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
