//! What Lambda is to the functions: instances, each with its own memory and one invocation at a time.

use std::sync::{Arc, Mutex, PoisonError};

use lambda_http::{Context, LambdaEvent};
use shared::clock::Clock;
use shared::direct::{App as DirectApp, DirectFunction};
use shared::env::{ConfigError, Env};
use shared::http::{App, HttpFunction};
use shared::setup::Setup;

pub(crate) use crate::instance::request_id;
use crate::instance::{BoxFuture, TIMEOUT};
pub use crate::instance::{FunctionError, Instance, InvocationResult};

/// How a function is called from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Through the Lambda Invoke API only.
    Direct,
    /// Through the gateway too.
    Http,
}

type Start = fn(Env, Clock) -> BoxFuture<Result<Instance, ConfigError>>;

/// The functions of this project that run locally.
const FUNCTIONS: &[(&str, Trigger, Start)] = &[
    http::<card_ext::CardExt>(),
    http::<create_order::CreateOrder>(),
    http::<login::Login>(),
    http::<logout::Logout>(),
    http::<pay_notify::PayNotify>(),
    http::<phone_decrypt::PhoneDecrypt>(),
    http::<query_order::QueryOrder>(),
    http::<user_info::UserInfo>(),
    direct::<order_sweeper::OrderSweeper>(),
    direct::<refund_order::RefundOrder>(),
    direct::<token_refresher::TokenRefresher>(),
];

const fn http<F: HttpFunction>() -> (&'static str, Trigger, Start) {
    (F::NAME, Trigger::Http, |env, clock| Box::pin(start_http::<F>(env, clock)))
}

const fn direct<F: DirectFunction>() -> (&'static str, Trigger, Start) {
    (F::NAME, Trigger::Direct, |env, clock| Box::pin(start_direct::<F>(env, clock)))
}

/// Starts an instance that is called the way the Lambda runtime calls it: an event in, JSON out.
async fn start_http<F: HttpFunction>(env: Env, clock: Clock) -> Result<Instance, ConfigError> {
    let app = Arc::new(App::<F>::start(&Setup::new(env, clock)?).await?);
    Ok(Instance(Arc::new(move |event, context| Box::pin(invoke_http(Arc::clone(&app), event, context)))))
}

async fn invoke_http<F: HttpFunction>(app: Arc<App<F>>, event: Vec<u8>, context: Context) -> InvocationResult {
    let payload = serde_json::from_slice(&event).map_err(FunctionError::new)?;
    let response = app.invoke(LambdaEvent::new(payload, context)).await;
    let response = response.map_err(|err| FunctionError::refusal(err.error_type, err.error_message))?;
    serde_json::to_vec(&response).map_err(FunctionError::new)
}

async fn start_direct<F: DirectFunction>(env: Env, clock: Clock) -> Result<Instance, ConfigError> {
    let app = Arc::new(DirectApp::<F>::start(&Setup::new(env, clock)?).await?);
    Ok(Instance(Arc::new(move |event, context| Box::pin(invoke_direct(Arc::clone(&app), event, context)))))
}

async fn invoke_direct<F: DirectFunction>(
    app: Arc<DirectApp<F>>,
    event: Vec<u8>,
    context: Context,
) -> InvocationResult {
    let payload = serde_json::from_slice(&event).map_err(FunctionError::new)?;
    let reply = app.invoke(LambdaEvent::new(payload, context)).await;
    let reply = reply.map_err(|err| FunctionError::refusal(err.error_type, err.error_message))?;
    serde_json::to_vec(&reply).map_err(FunctionError::new)
}

/// One function, and its instances that wait for work.
#[derive(Debug)]
pub struct Function {
    /// The function's name.
    pub name: &'static str,
    /// How it is called.
    pub trigger: Trigger,
    start: Start,
    env: Env,
    clock: Clock,
    idle: Mutex<Vec<Instance>>,
}

impl Function {
    /// The function's environment.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Starts an instance, which only the caller invokes.
    ///
    /// # Errors
    ///
    /// If the function's configuration is not complete and correct.
    pub async fn start_instance(&self) -> Result<Instance, ConfigError> {
        self.start_in(self.env.clone()).await
    }

    /// The same, in another environment.
    ///
    /// # Errors
    ///
    /// As [`Self::start_instance`].
    pub async fn start_in(&self, env: Env) -> Result<Instance, ConfigError> {
        (self.start)(env, self.clock.clone()).await
    }

    /// Starts an instance that waits for work, so that a misconfigured function is found out at once.
    pub(crate) async fn warm_up(&self) -> Result<(), ConfigError> {
        let instance = self.start_instance().await?;
        self.lock_idle().push(instance);
        Ok(())
    }

    /// Invokes a warm instance, or a new one where all are busy. An instance that panics or
    /// runs into its timeout is not used again. The
    /// invocation goes on when the caller hangs up, as on Lambda.
    ///
    /// # Errors
    ///
    /// If the function does.
    pub async fn invoke(self: &Arc<Self>, request_id: String, event: Vec<u8>) -> InvocationResult {
        let this = Arc::clone(self);
        let invocation = tokio::spawn(async move { this.run(request_id, event).await });
        invocation.await.map_err(FunctionError::new)?
    }

    async fn run(&self, request_id: String, event: Vec<u8>) -> InvocationResult {
        let warm = self.lock_idle().pop();
        let instance = match warm {
            Some(instance) => instance,
            None => self.start_instance().await.map_err(FunctionError::new)?,
        };
        let result = instance.invoke_as(request_id, event, self.clock.now(), TIMEOUT).await;
        if result.as_ref().err().is_none_or(|err| !err.ends_instance) {
            self.lock_idle().push(instance);
        }
        result
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All functions.
#[derive(Clone, Debug)]
pub struct Functions(Arc<Vec<Arc<Function>>>);

impl Functions {
    /// All functions, each with its environment.
    pub(crate) fn new(env: impl Fn(&str) -> Env, clock: &Clock) -> Self {
        let function = |&(name, trigger, start): &(&'static str, Trigger, Start)| {
            let (env, clock, idle) = (env(name), clock.clone(), Mutex::default());
            Arc::new(Function { name, trigger, start, env, clock, idle })
        };
        Self(Arc::new(FUNCTIONS.iter().map(function).collect()))
    }

    /// The function with that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Function>> {
        self.0.iter().find(|function| function.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.0.iter()
    }

    /// The names, which are also the names of the crates.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FUNCTIONS.iter().map(|(name, _, _)| *name)
    }
}
