//! Writes that are repeated where that can help: the SDK's own retries are not used.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use shared::pause::{Pauses, TooLate};

/// The error of a single write whose condition does not hold.
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// A row is in somebody's transaction, or there are too many calls. Nothing was done. Source: DynamoDB developer guide,
/// "Error handling".
const BUSY: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
];

/// Why an item was not written.
pub(super) enum Failure {
    /// There was no time for it until it was too late: the table's last word.
    Busy(String),
    /// It may be written or not.
    NoAnswer,
    /// The table's word.
    Refused(String),
    Restless,
}

/// Whether the condition of a write has, of which a repeat does no harm.
pub(super) async fn has_held<T, E, F>(pauses: &mut Pauses, attempt: impl Fn() -> F) -> Result<bool, Failure>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut is_in_doubt = false;
    loop {
        let failure = match attempt().await {
            Ok(_) => return Ok(true),
            Err(err) if err.code() == Some(CONDITION_FAILED) => return Ok(false),
            Err(err) => failure(&err),
        };
        is_in_doubt |= matches!(failure, Failure::NoAnswer);
        if let Failure::Refused(_) | Failure::Restless = failure {
            return Err(failure);
        }
        if let Err(TooLate) = pauses.next().await {
            return Err(if is_in_doubt { Failure::NoAnswer } else { failure });
        }
    }
}

fn failure<E: ProvideErrorMetadata>(err: &SdkError<E>) -> Failure {
    let status = err.raw_response().map(|response| response.status().as_u16());
    match (err.code(), status) {
        (Some(code), _) if BUSY.contains(&code) => Failure::Busy(code.to_owned()),
        (_, Some(500..)) => Failure::NoAnswer,
        (Some(code), _) => Failure::Refused(code.to_owned()),
        (None, Some(status @ 400..)) => Failure::Refused(format!("status {status}")),
        (None, _) if matches!(err, SdkError::ConstructionFailure(_)) => Failure::Refused("no request".to_owned()),
        (None, _) => Failure::NoAnswer,
    }
}
