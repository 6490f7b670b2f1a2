//! The SDK's own client, for what is no function's business: making the table, looking into it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, IdentityCache, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse as SdkHttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_http::http;
use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::env::{ConfigError, Env};
use shared::net::{HttpClient, HttpError, Tls};
use shared::setup::Setup;

/// A page of DynamoDB has up to 16 MB.
const LONGEST_ANSWER: usize = 20 * 1024 * 1024;

const WITHIN: Duration = Duration::from_secs(10);

/// The functions' table, as the SDK sees it.
#[derive(Clone, Debug)]
pub struct SdkTable {
    client: Client,
    name: String,
}

impl SdkTable {
    /// The table in this environment of a function.
    ///
    /// # Errors
    ///
    /// If a function could not use it either.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { client: client(env)?, name: env.required("TABLE_NAME")?.to_owned() })
    }

    /// The SDK's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn client(env: &Env) -> Result<Client, ConfigError> {
    let clock = Clock::system();
    let caller = Setup::new(env.clone(), clock.clone())?.caller()?;
    let connector = Connector(Arc::new(HttpClient::new(&Tls::from_env(env)?, &clock)));
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(caller.region))
        .credentials_provider(caller.credentials)
        .identity_cache(IdentityCache::no_cache())
        .http_client(connector)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(env.get("AWS_ENDPOINT_URL_DYNAMODB").map(str::to_owned));
    #[expect(clippy::disallowed_methods, reason = "no function is started with it")]
    Ok(Client::from_conf(config.build()))
}

/// Lets the SDK use the functions' HTTP client, so that there is one TLS provider.
#[derive(Clone, Debug)]
struct Connector(Arc<HttpClient>);

impl SdkHttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { exchange(&http, request).await })
    }
}

async fn exchange(http: &HttpClient, request: HttpRequest) -> Result<SdkHttpResponse, ConnectorError> {
    let unsendable = |err: &'static str| ConnectorError::user(err.into());
    let request = request.try_into_http1x().map_err(|_| unsendable("not an HTTP request"))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| unsendable("a body that is not in memory"))?.to_vec();
    let request = http::Request::from_parts(parts, body);
    let response = http.send(request, LONGEST_ANSWER, Deadline::after(WITHIN)).await.map_err(|err| match err {
        HttpError::Timeout => ConnectorError::timeout(err.into()),
        HttpError::Broken(_) | HttpError::Connect(_) | HttpError::TooLong => ConnectorError::io(err.into()),
    })?;
    let mut answer = http::Response::new(SdkBody::from(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    SdkHttpResponse::try_from(answer).map_err(|_| ConnectorError::other("not an HTTP answer".into(), None))
}
