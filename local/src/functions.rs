//! What Lambda is to the functions: instances, each with its own memory and one invocation at a time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, Request, Service as _, service_fn};
use serde::Serialize;
use shared::clock::Clock;
use shared::direct::{App as DirectApp, DirectFunction};
use shared::env::{ConfigError, Env};
use shared::http::{App, HttpFunction};
use shared::random;
use shared::setup::Setup;
use tokio_util::task::AbortOnDropHandle;

/// The timeout of every function.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How a function is called from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Through the Lambda Invoke API only.
    Direct,
    /// Through the gateway too.
    Http,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Start = fn(Env, Clock) -> BoxFuture<Result<Instance, ConfigError>>;
type Handler = dyn Fn(Vec<u8>, Context) -> BoxFuture<InvocationResult> + Send + Sync;

/// What an invocation returns.
pub type InvocationResult = Result<Vec<u8>, FunctionError>;

/// A function error, as the Lambda Invoke API gives it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// The kind of error.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
}

/// The functions of this project that run locally.
const FUNCTIONS: &[(&str, Trigger, Start)] = &[
    http::<card_ext::CardExt>(),
    http::<login::Login>(),
    http::<logout::Logout>(),
    http::<phone_decrypt::PhoneDecrypt>(),
    http::<user_info::UserInfo>(),
    direct::<token_refresher::TokenRefresher>(),
];

const fn http<F: HttpFunction>() -> (&'static str, Trigger, Start) {
    (F::NAME, Trigger::Http, |env, clock| Box::pin(start_http::<F>(env, clock)))
}

const fn direct<F: DirectFunction>() -> (&'static str, Trigger, Start) {
    (F::NAME, Trigger::Direct, |env, clock| Box::pin(start_direct::<F>(env, clock)))
}

/// Starts an instance that is called the way the Lambda runtime calls it: an event in, JSON out, through the same
/// adapter of `lambda_http`.
async fn start_http<F: HttpFunction>(env: Env, clock: Clock) -> Result<Instance, ConfigError> {
    let app = Arc::new(App::<F>::start(&Setup::new(env, clock)?).await?);
    Ok(Instance(Arc::new(move |event, context| Box::pin(invoke_http(Arc::clone(&app), event, context)))))
}

async fn invoke_http<F: HttpFunction>(app: Arc<App<F>>, event: Vec<u8>, context: Context) -> InvocationResult {
    let request: LambdaRequest = serde_json::from_slice(&event).map_err(FunctionError::new)?;
    let respond = |request: Request| app.respond(request);
    let Ok(response) = Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context)).await;
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
    let reply = reply.map_err(|err| FunctionError { error_type: err.error_type, error_message: err.error_message })?;
    serde_json::to_vec(&reply).map_err(FunctionError::new)
}

impl FunctionError {
    fn new<E: fmt::Display>(err: E) -> Self {
        Self { error_type: std::any::type_name::<E>().to_owned(), error_message: err.to_string() }
    }
}

/// One warm instance of a function.
#[derive(Clone)]
pub struct Instance(Arc<Handler>);

impl Instance {
    /// Invokes the instance with an event, under a new request id.
    ///
    /// # Errors
    ///
    /// If the function panics, or does not take the event for one of its own, or runs into its timeout.
    pub async fn invoke(&self, event: Vec<u8>, now: SystemTime) -> InvocationResult {
        self.invoke_within(event, now, TIMEOUT).await
    }

    /// Invokes the instance with an event and the time that Lambda gives it.
    ///
    /// # Errors
    ///
    /// As [`Self::invoke`].
    pub async fn invoke_within(&self, event: Vec<u8>, now: SystemTime, timeout: Duration) -> InvocationResult {
        self.invoke_as(request_id(), event, now, timeout).await
    }

    async fn invoke_as(
        &self,
        request_id: String,
        event: Vec<u8>,
        now: SystemTime,
        timeout: Duration,
    ) -> InvocationResult {
        let context = context(&request_id, now, timeout);
        // A task of its own, so that a panic is a function error and not the end of the machine.
        let task = AbortOnDropHandle::new(tokio::spawn((self.0)(event, context)));
        match tokio::time::timeout(timeout, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FunctionError {
                error_type: "Runtime.Panic".to_owned(),
                error_message: format!("RequestId: {request_id} Error: the function panicked"),
            }),
            Err(_) => Err(FunctionError {
                error_type: "Sandbox.Timedout".to_owned(),
                error_message: format!(
                    "RequestId: {request_id} Error: Task timed out after {:.2} seconds",
                    timeout.as_secs_f64()
                ),
            }),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

fn context(request_id: &str, now: SystemTime, timeout: Duration) -> Context {
    let ends_at = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO) + timeout;
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    context.deadline = u64::try_from(ends_at.as_millis()).unwrap_or(u64::MAX);
    context
}

/// A random id in the form of a UUID, which is the form of AWS's.
pub(crate) fn request_id() -> String {
    let id = format!("{:032x}", u128::from_be_bytes(random::bytes()));
    let (time, rest) = id.split_at(8);
    format!("{time}-{}-4{}-a{}-{}", &rest[..4], &rest[5..8], &rest[9..12], &rest[12..])
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
    /// Starts an instance, which only the caller invokes.
    ///
    /// # Errors
    ///
    /// If the function's configuration is not complete and correct.
    pub async fn start_instance(&self) -> Result<Instance, ConfigError> {
        (self.start)(self.env.clone(), self.clock.clone()).await
    }

    /// Starts an instance that waits for work, so that a misconfigured function is found out at once.
    pub(crate) async fn warm_up(&self) -> Result<(), ConfigError> {
        let instance = self.start_instance().await?;
        self.lock_idle().push(instance);
        Ok(())
    }

    /// Invokes a warm instance, or a new one where all are busy. An instance that fails is not used again. The
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
        if result.is_ok() {
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
    /// All functions, with one environment for all of them.
    pub(crate) fn new(env: &Env, clock: &Clock) -> Self {
        let function = |&(name, trigger, start): &(&'static str, Trigger, Start)| {
            let (env, clock, idle) = (env.clone(), clock.clone(), Mutex::default());
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
