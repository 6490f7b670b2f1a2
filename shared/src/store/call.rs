//! How calls of DynamoDB are bounded and repeated, and what its refusals mean.
//!
//! The SDK's retries know neither the deadline nor that a cancelled transaction may be a conflict.

use std::time::Duration;

use aws_sdk_dynamodb::types::CancellationReason;

use super::StoreError;
use super::dynamodb::AttemptError;
use super::item::Item;
use crate::deadline::Deadline;
use crate::net::HttpError;
use crate::pause::{self, TooLate};

/// The longest wait for one answer: DynamoDB's own are in milliseconds.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2500);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The error of a single write whose condition does not hold.
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// The end of a call that is not a success.
pub(super) enum CallError {
    ConditionFailed(Failed),
    Store(StoreError),
}

/// A condition did not hold.
#[derive(Default)]
pub(super) struct Failed {
    /// What is known of the condition of each write of a transaction.
    pub(super) conditions: Vec<Condition>,
    /// The row as it is, where the call was a single write. `None` if there is no row.
    pub(super) row: Option<Item>,
}

impl From<CallError> for StoreError {
    fn from(err: CallError) -> Self {
        match err {
            CallError::ConditionFailed(_) => Self::Refused("a condition failed where there is none".to_owned()),
            CallError::Store(err) => err,
        }
    }
}

impl From<StoreError> for CallError {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

/// Tries, and tries again where that can help, until the deadline.
pub(super) async fn call<T, F>(deadline: Deadline, attempt: impl Fn() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<Result<T, AttemptError>, StoreError>>,
{
    let mut pauses = Pauses::until(deadline);
    let mut reason = "no answer in time".to_owned();
    loop {
        match attempt().await? {
            Ok(output) => return Ok(output),
            // Where the deadline has cut off a last try, what went before says more.
            Err(AttemptError::Transport(HttpError::Timeout)) => {}
            Err(err) => match verdict(err) {
                Verdict::Again(why) => reason = why,
                Verdict::End(err) => return Err(err),
            },
        }
        pauses.next(&reason).await?;
    }
}

/// Pauses between calls that may succeed later.
pub(super) struct Pauses(pause::Pauses);

impl Pauses {
    pub(super) fn until(deadline: Deadline) -> Self {
        Self(pause::Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, deadline))
    }

    /// Pauses, or says why it is too late for another try.
    pub(super) async fn next(&mut self, reason: &str) -> Result<(), StoreError> {
        self.0.next().await.map_err(|TooLate| StoreError::Busy(reason.to_owned()))
    }
}

enum Verdict {
    /// The same call may succeed after a pause.
    Again(String),
    End(CallError),
}

fn verdict(err: AttemptError) -> Verdict {
    let refusal = match err {
        AttemptError::Refused(refusal) => refusal,
        AttemptError::Transport(err) => return Verdict::Again(err.to_string()),
        AttemptError::Unreadable => return Verdict::Again("an unreadable answer".to_owned()),
    };
    let conditions: Vec<_> = refusal.reasons.iter().map(Condition::of).collect();
    if conditions.contains(&Condition::Failed) || refusal.code.as_deref() == Some(CONDITION_FAILED) {
        let row = refusal.row.map(Item::from_attributes);
        return Verdict::End(CallError::ConditionFailed(Failed { conditions, row }));
    }
    let code = refusal.reasons.iter().filter_map(CancellationReason::code).find(|code| *code != "None");
    let unknown = || format!("UnknownError, status {}", refusal.status);
    let code = code.or(refusal.code.as_deref()).map_or_else(unknown, str::to_owned);
    match Kind::of(&code) {
        Kind::Busy => Verdict::Again(code),
        _ if refusal.status >= 500 => Verdict::Again(code),
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
