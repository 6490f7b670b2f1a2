//! The adapter to DynamoDB: how calls are made, bounded, and repeated.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, Credentials, IdentityCache, Region, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, DeleteRequest, KeysAndAttributes, Put, TransactWriteItem, Update,
    WriteRequest,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse as SdkHttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_http::http;

use super::StoreError;
use super::item::{Item, Key};
use crate::deadline::Deadline;
use crate::net::{HttpClient, HttpError, root_cause};
use crate::random;

/// The longest wait for one answer: DynamoDB's own are in milliseconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2500);

/// Pauses between tries double from the first to the longest, and a random part of each is left out.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A page of DynamoDB has up to 16 MB.
const LONGEST_ANSWER: usize = 20 * 1024 * 1024;

/// What BatchWriteItem takes. Source: DynamoDB API reference.
pub(super) const BATCH_WRITE_ITEMS: usize = 25;

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

/// How a transaction ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    Committed,
    /// Nothing was written: what is known of the condition of each write. At least one failed.
    ConditionFailed(Vec<Condition>),
}

/// What is known of the condition of a write in a transaction that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Failed,
    Held,
    /// The row was in the hands of others.
    Unknown,
}

impl Condition {
    /// Source: DynamoDB API reference, "TransactWriteItems", cancellation reasons.
    fn of(reason: &CancellationReason) -> Self {
        match reason.code() {
            Some("ConditionalCheckFailed") => Self::Failed,
            None | Some("None") => Self::Held,
            Some(_) => Self::Unknown,
        }
    }
}

/// One write of a transaction.
pub(super) enum Write {
    /// Writes the row, whatever is there.
    Put(Item),
    /// Writes the row if there is none with its key.
    Create(Item),
    /// Changes a row.
    Update(Change),
    Delete(Key),
}

pub(super) struct Change {
    pub(super) key: Key,
    pub(super) update: &'static str,
    pub(super) condition: Option<&'static str>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Table {
    /// The table `name` at the DynamoDB of `region`, or at `endpoint`.
    pub fn new(
        name: String,
        http: HttpClient,
        credentials: Credentials,
        region: String,
        endpoint: Option<String>,
    ) -> Self {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::no_cache()) // Lambda's credentials live as long as the instance.
            .http_client(Connector(Arc::new(http)))
            // Retries and timeouts are those of `Table::call`, which knows the deadline and what a conflict is.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(endpoint);
        Self { client: Client::from_conf(config.build()), name }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SDK's client, for what is no function's business: making the table, looking into it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads a row.
    pub(super) async fn get(&self, key: &Key, deadline: Deadline) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        let request = request.set_key(Some(key.clone().attributes()));
        let output = call(deadline, || request.clone().send()).await?;
        Ok(output.item.map(Item::from_attributes))
    }

    /// Reads several rows in one round trip, in no order; those that do not exist are left out.
    pub(super) async fn get_many(&self, keys: &[Key], deadline: Deadline) -> Result<Vec<Item>, StoreError> {
        let mut left: Vec<_> = keys.iter().cloned().map(Key::attributes).collect();
        let mut items = Vec::with_capacity(keys.len());
        let mut pauses = Pauses::until(deadline);
        while !left.is_empty() {
            let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let keys = keys.map_err(|_| StoreError::Refused("BatchGetItem without keys".to_owned()))?;
            let request = self.client.batch_get_item().request_items(&self.name, keys);
            let output = call(deadline, || request.clone().send()).await?;
            let found = output.responses.unwrap_or_default().into_values().flatten();
            items.extend(found.map(Item::from_attributes));
            left = output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect();
            if !left.is_empty() {
                pauses.next("UnprocessedKeys").await?;
            }
        }
        Ok(items)
    }

    /// The keys of all rows of a partition whose `sk` begins with `prefix`.
    pub(super) async fn keys(&self, pk: &str, prefix: &str, deadline: Deadline) -> Result<Vec<Key>, StoreError> {
        let request = self.client.query().table_name(&self.name).consistent_read(true);
        let request = request
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .projection_expression("pk, sk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        let mut keys = Vec::new();
        let mut start = None;
        loop {
            let page = request.clone().set_exclusive_start_key(start);
            let output = call(deadline, || page.clone().send()).await?;
            for item in output.items.unwrap_or_default() {
                keys.push(Item::from_attributes(item).key()?);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Deletes up to [`BATCH_WRITE_ITEMS`] rows, one by one for all that others can see.
    pub(super) async fn delete_batch(
        &self,
        keys: impl Iterator<Item = Key>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut left: Vec<_> = keys.map(delete_request).collect::<Result<_, _>>()?;
        let mut pauses = Pauses::until(deadline);
        while !left.is_empty() {
            let request = self.client.batch_write_item().request_items(&self.name, left);
            let output = call(deadline, || request.clone().send()).await?;
            left = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if !left.is_empty() {
                pauses.next("UnprocessedItems").await?;
            }
        }
        Ok(())
    }

    /// Writes all or nothing. Sent again after a lost answer, it is still one transaction.
    pub(super) async fn transact(&self, writes: Vec<Write>, deadline: Deadline) -> Result<Transaction, StoreError> {
        let items = writes.into_iter().map(|write| self.transact_item(write)).collect::<Result<_, _>>()?;
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(random::base64url::<24>());
        match call(deadline, || request.clone().send()).await {
            Ok(_) => Ok(Transaction::Committed),
            Err(CallError::Store(err)) => Err(err),
            Err(CallError::ConditionFailed(failed)) => Ok(Transaction::ConditionFailed(failed)),
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, StoreError> {
        let incomplete = |_| StoreError::Refused("an incomplete write".to_owned());
        let item = TransactWriteItem::builder();
        let item = match write {
            Write::Put(row) => item.put(self.put(row).build().map_err(incomplete)?),
            Write::Create(row) => {
                let put = self.put(row).condition_expression("attribute_not_exists(pk)");
                item.put(put.build().map_err(incomplete)?)
            }
            Write::Update(change) => {
                let update = Update::builder()
                    .table_name(&self.name)
                    .set_key(Some(change.key.attributes()))
                    .update_expression(change.update)
                    .set_condition_expression(change.condition.map(str::to_owned))
                    .set_expression_attribute_values(Some(change.values));
                item.update(update.build().map_err(incomplete)?)
            }
            Write::Delete(key) => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes()));
                item.delete(delete.build().map_err(incomplete)?)
            }
        };
        Ok(item.build())
    }

    fn put(&self, row: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.name).set_item(Some(row.into_attributes()))
    }
}

fn delete_request(key: Key) -> Result<WriteRequest, StoreError> {
    let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build();
    let delete = delete.map_err(|_| StoreError::Refused("an incomplete delete".to_owned()))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

/// The end of a call that is not a success.
enum CallError {
    ConditionFailed(Vec<Condition>),
    Store(StoreError),
}

impl From<CallError> for StoreError {
    fn from(err: CallError) -> Self {
        match err {
            CallError::ConditionFailed(_) => Self::Refused("a condition failed where there is none".to_owned()),
            CallError::Store(err) => err,
        }
    }
}

/// Makes a call, and makes it again where that can help, until the deadline.
async fn call<T, E, F>(deadline: Deadline, send: impl Fn() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, SdkError<E>>>,
    E: Failure,
{
    let mut pauses = Pauses::until(deadline);
    let mut reason = "no answer in time".to_owned();
    loop {
        match deadline.at_most(ATTEMPT_TIMEOUT).bound(send()).await {
            Some(Ok(output)) => return Ok(output),
            Some(Err(err)) => match verdict(&err) {
                Verdict::Again(why) => reason = why,
                Verdict::End(err) => return Err(err),
            },
            // The deadline has cut off a last try: what went before says more.
            None => {}
        }
        pauses.next(&reason).await.map_err(CallError::Store)?;
    }
}

/// Pauses with jitter, until the deadline leaves no time for another.
pub(super) struct Pauses {
    deadline: Deadline,
    next: Duration,
}

impl Pauses {
    pub(super) fn until(deadline: Deadline) -> Self {
        Self { deadline, next: FIRST_PAUSE }
    }

    /// Pauses, or says why it is too late for another try.
    pub(super) async fn next(&mut self, reason: &str) -> Result<(), StoreError> {
        let pause = random::jitter(self.next);
        if self.deadline.left() <= pause {
            return Err(StoreError::Busy(reason.to_owned()));
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

enum Verdict {
    /// The same call may succeed after a pause.
    Again(String),
    End(CallError),
}

/// What the errors of the operations have in common.
trait Failure: ProvideErrorMetadata {
    /// Why each write of a transaction was refused.
    fn cancellation_reasons(&self) -> &[CancellationReason] {
        &[]
    }
}

impl Failure for aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError {}
impl Failure for aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError {}
impl Failure for aws_sdk_dynamodb::operation::get_item::GetItemError {}
impl Failure for aws_sdk_dynamodb::operation::query::QueryError {}
impl Failure for TransactWriteItemsError {
    fn cancellation_reasons(&self) -> &[CancellationReason] {
        match self {
            Self::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
            _ => &[],
        }
    }
}

fn verdict<E: Failure>(err: &SdkError<E>) -> Verdict {
    let SdkError::ServiceError(refusal) = err else {
        return match err {
            SdkError::ConstructionFailure(_) => {
                Verdict::End(CallError::Store(StoreError::Refused("the request cannot be built".to_owned())))
            }
            SdkError::DispatchFailure(failure) => {
                let cause = failure.as_connector_error().map(|err| root_cause(err));
                Verdict::Again(cause.unwrap_or_else(|| "no answer".to_owned()))
            }
            _ => Verdict::Again("an unreadable answer".to_owned()),
        };
    };
    let reasons = refusal.err().cancellation_reasons();
    let conditions: Vec<_> = reasons.iter().map(Condition::of).collect();
    if conditions.contains(&Condition::Failed) {
        return Verdict::End(CallError::ConditionFailed(conditions));
    }
    let code = reasons.iter().filter_map(CancellationReason::code).find(|code| *code != "None");
    let code = code.or(refusal.err().code()).unwrap_or("UnknownError").to_owned();
    match Kind::of(&code) {
        Kind::Busy => Verdict::Again(code),
        _ if refusal.raw().status().as_u16() >= 500 => Verdict::Again(code),
        Kind::Misconfigured => Verdict::End(CallError::Store(StoreError::Misconfigured(code))),
        Kind::Other => Verdict::End(CallError::Store(StoreError::Refused(code))),
    }
}

enum Kind {
    Busy,
    Misconfigured,
    Other,
}

impl Kind {
    /// Source: DynamoDB developer guide, "Error handling", and the cancellation reasons of TransactWriteItems.
    fn of(code: &str) -> Self {
        match code {
            "InternalServerError"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ServiceUnavailable"
            | "ThrottlingError"
            | "ThrottlingException"
            | "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException" => Self::Busy,
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "IncompleteSignatureException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "ResourceNotFoundException"
            | "UnrecognizedClientException" => Self::Misconfigured,
            _ => Self::Other,
        }
    }
}

/// Lets the SDK use the HTTP client of this crate, and so its TLS, its roots and its way with stale connections.
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
    let request = reqwest::Request::try_from(request).map_err(|_| unsendable("not a URL"))?;
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
