//! DynamoDB as this crate calls it: the SDK's types, serializers and deserializers, over the HTTP client of this crate.
//!
//! The SDK's own client is left out. It would read a list of all partitions and regions at every cold start, and run
//! two dozen interceptors for every call: for retries, timeouts, endpoints and metrics, which are made elsewhere here or
//! not at all.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::batch_get_item::{
    BatchGetItem, BatchGetItemError, BatchGetItemInput, BatchGetItemOutput,
};
use aws_sdk_dynamodb::operation::batch_write_item::{
    BatchWriteItem, BatchWriteItemError, BatchWriteItemInput, BatchWriteItemOutput,
};
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemError, GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::{Query, QueryError, QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItems, TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItem, UpdateItemError, UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse as SdkResponse;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse as _, SerializeRequest as _, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use bytes::Bytes;
use lambda_http::http::{Request, Response};

use super::StoreError;
use super::call::{ATTEMPT_TIMEOUT, CallError, call};
use crate::aws::Caller;
use crate::deadline::Deadline;
use crate::net::{HttpClient, HttpError, HttpResponse};

/// Its name in URLs and signatures.
const SERVICE: &str = "dynamodb";

/// A page of DynamoDB has up to 16 MB.
const LONGEST_ANSWER: usize = 20 * 1024 * 1024;

/// A DynamoDB.
#[derive(Debug)]
pub(super) struct DynamoDb {
    http: HttpClient,
    caller: Caller,
    endpoint: String,
}

/// Why one try was no success.
pub(super) enum AttemptError {
    /// DynamoDB says no.
    Refused(Refusal),
    Transport(HttpError),
    /// An answer that says neither yes nor no.
    Unreadable,
}

/// What DynamoDB says when it says no.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    /// Why each write of a transaction was refused.
    pub(super) reasons: Vec<CancellationReason>,
    /// The row whose condition did not hold.
    pub(super) row: Option<Attributes>,
}

type Attributes = HashMap<String, AttributeValue>;

/// A call as the SDK has it.
pub(super) trait Operation {
    type Input: fmt::Debug + Send + Sync + 'static;
    type Output: fmt::Debug + Send + Sync + 'static;
    type Error: Failure + std::error::Error + Send + Sync + 'static;

    /// Its serializer and deserializer, made once.
    fn config() -> Option<FrozenLayer>;
}

/// What the errors of the operations have in common.
pub(super) trait Failure: ProvideErrorMetadata {
    fn cancellation_reasons(&self) -> &[CancellationReason] {
        &[]
    }

    fn row(&self) -> Option<&Attributes> {
        None
    }
}

impl DynamoDb {
    pub(super) fn new(http: HttpClient, caller: Caller, endpoint: String) -> Self {
        Self { http, caller, endpoint }
    }

    /// Makes a call, and makes it again where that can help, until the deadline.
    pub(super) async fn call<O: Operation>(&self, input: O::Input, deadline: Deadline) -> Result<O::Output, CallError> {
        let mut config = ConfigBag::base();
        if let Some(layer) = O::config() {
            config.push_shared_layer(layer);
        }
        let unbuildable = || StoreError::Refused("the request cannot be built".to_owned());
        let unsigned = self.request(input, &mut config).ok_or_else(unbuildable)?;
        let attempt = async || {
            let mut request = unsigned.clone();
            self.caller.sign(SERVICE, &self.caller.region, &mut request).map_err(|_| unbuildable())?;
            let response = self.http.send(request, LONGEST_ANSWER, deadline.at_most(ATTEMPT_TIMEOUT)).await;
            Ok(response.map_err(AttemptError::Transport).and_then(|response| decode::<O>(response, &config)))
        };
        call(deadline, attempt).await
    }

    fn request<I: fmt::Debug + Send + Sync + 'static>(
        &self,
        input: I,
        config: &mut ConfigBag,
    ) -> Option<Request<Bytes>> {
        let serializer = config.load::<SharedRequestSerializer>()?.clone();
        let mut request = serializer.serialize_input(Input::erase(input), config).ok()?;
        request.uri_mut().set_endpoint(&self.endpoint).ok()?;
        let (parts, body) = request.try_into_http1x().ok()?.into_parts();
        Some(Request::from_parts(parts, Bytes::copy_from_slice(body.bytes()?)))
    }
}

fn decode<O: Operation>(response: HttpResponse, config: &ConfigBag) -> Result<O::Output, AttemptError> {
    let mut answer = Response::new(SdkBody::from(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    let answer = SdkResponse::try_from(answer).map_err(|_| AttemptError::Unreadable)?;
    let deserializer = config.load::<SharedResponseDeserializer>().ok_or(AttemptError::Unreadable)?;
    let err = match deserializer.deserialize_nonstreaming_with_config(&answer, config) {
        Ok(output) => return output.downcast().map_err(|_| AttemptError::Unreadable),
        Err(err) => err,
    };
    let err = err.as_operation_error().and_then(|err| err.downcast_ref::<O::Error>());
    let err = err.ok_or(AttemptError::Unreadable)?;
    let (status, code) = (response.status.as_u16(), err.code().map(str::to_owned));
    let (reasons, row) = (err.cancellation_reasons().to_vec(), err.row().cloned());
    match (response.status.is_success(), code) {
        // A good answer that cannot be read is an error without a code to the SDK.
        (true, None) => Err(AttemptError::Unreadable),
        (_, code) => Err(AttemptError::Refused(Refusal { status, code, reasons, row })),
    }
}

macro_rules! operation {
    ($name:ident, $input:ident, $output:ident, $error:ident) => {
        impl Operation for $name {
            type Input = $input;
            type Output = $output;
            type Error = $error;

            fn config() -> Option<FrozenLayer> {
                static CONFIG: OnceLock<Option<FrozenLayer>> = OnceLock::new();
                CONFIG.get_or_init(|| RuntimePlugin::config(&$name::new())).clone()
            }
        }
    };
}

operation!(BatchGetItem, BatchGetItemInput, BatchGetItemOutput, BatchGetItemError);
operation!(BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput, BatchWriteItemError);
operation!(GetItem, GetItemInput, GetItemOutput, GetItemError);
operation!(Query, QueryInput, QueryOutput, QueryError);
operation!(TransactWriteItems, TransactWriteItemsInput, TransactWriteItemsOutput, TransactWriteItemsError);
operation!(UpdateItem, UpdateItemInput, UpdateItemOutput, UpdateItemError);

impl Failure for BatchGetItemError {}
impl Failure for BatchWriteItemError {}
impl Failure for GetItemError {}
impl Failure for QueryError {}
impl Failure for TransactWriteItemsError {
    fn cancellation_reasons(&self) -> &[CancellationReason] {
        match self {
            Self::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
            _ => &[],
        }
    }
}
impl Failure for UpdateItemError {
    fn row(&self) -> Option<&Attributes> {
        match self {
            Self::ConditionalCheckFailedException(failed) => failed.item(),
            _ => None,
        }
    }
}
