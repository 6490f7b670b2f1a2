//! Waits that end: what never comes is a failure that says what it was, and no test that hangs.

use std::time::Duration;

/// Longer than anything takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    within(what, wait).await;
}

/// What a future comes to.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(LIMIT, future).await;
    outcome.unwrap_or_else(|_| panic!("waited in vain for {LIMIT:?}: {what}"))
}
