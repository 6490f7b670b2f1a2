//! The SDK over the HTTP client of this crate: one TLS configuration, one way with stale connections.

use std::sync::Arc;

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse as SdkHttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_http::http;

use super::call::ATTEMPT_TIMEOUT;
use crate::deadline::Deadline;
use crate::net::{HttpClient, HttpError};

/// A page of DynamoDB has up to 16 MB.
const LONGEST_ANSWER: usize = 20 * 1024 * 1024;

/// Lets the SDK use the HTTP client of this crate, and so its TLS, its roots and its way with stale connections.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<HttpClient>);

impl Connector {
    pub(super) fn new(http: HttpClient) -> Self {
        Self(Arc::new(http))
    }
}

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
    let response =
        http.send(request, LONGEST_ANSWER, Deadline::after(ATTEMPT_TIMEOUT)).await.map_err(|err| match err {
            HttpError::Timeout => ConnectorError::timeout(err.into()),
            HttpError::Broken(_) | HttpError::Connect(_) | HttpError::TooLong => ConnectorError::io(err.into()),
        })?;
    let mut answer = http::Response::new(SdkBody::from(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    SdkHttpResponse::try_from(answer).map_err(|_| ConnectorError::other("not an HTTP answer".into(), None))
}
