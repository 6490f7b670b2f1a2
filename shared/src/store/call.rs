//! How calls of DynamoDB are bounded and repeated, and what its refusals mean.
//!
//! The SDK's own retries know neither the deadline nor that a cancelled transaction may be a conflict.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

use super::StoreError;
use crate::deadline::Deadline;
use crate::net::root_cause;
use crate::random;

/// The longest wait for one answer: DynamoDB's own are in milliseconds.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2500);

/// Pauses between tries double from the first to the longest, and a random part of each is left out.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The end of a call that is not a success.
pub(super) enum CallError {
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
pub(super) async fn call<T, E, F>(deadline: Deadline, send: impl Fn() -> F) -> Result<T, CallError>
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
pub(super) trait Failure: ProvideErrorMetadata {
    /// Why each write of a transaction was refused.
    fn cancellation_reasons(&self) -> &[CancellationReason] {
        &[]
    }
}

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
