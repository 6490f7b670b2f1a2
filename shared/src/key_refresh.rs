//! Fetching the certificates of WeChat Pay anew in time, on a schedule.

use crate::cause;
use crate::deadline::Deadline;
use crate::log::Metric;
use crate::settlement::Work;
use crate::wechatpay::v3::{PayClient, RefreshError, Refreshed};

impl PayClient {
    /// Fetches the certificates of WeChat Pay anew, if it is the time: at least every 12 hours, and where a notification
    /// came that is signed with one that nobody knows. For a schedule: however many ask, and however often, WeChat Pay is
    /// asked for them at most once a minute, and twice a day where it has said that there are no certificates. If it is not the
    /// time, it costs one read of the table.
    ///
    /// # Errors
    ///
    /// If WeChat Pay or the table gave no good answer. It is logged and counted here.
    pub async fn refresh_if_due(&self, work: Work<'_>, deadline: Deadline) -> Result<Refreshed, RefreshError> {
        let Work { function, request_id } = work;
        let refreshed = self.refresh_keys_if_due(deadline).await;
        match &refreshed {
            Ok(Refreshed::Kept(certificates)) => {
                tracing::info!(
                    function,
                    requestId = request_id,
                    certificates,
                    "fetched the certificates of WeChat Pay"
                );
            }
            Ok(Refreshed::NoneThere) => {
                tracing::info!(function, requestId = request_id, "WeChat Pay has no certificates for this merchant");
            }
            Ok(Refreshed::NotDue | Refreshed::ByAnother) => {}
            Err(err) => {
                let cause = cause::chain(err);
                tracing::error!(function, requestId = request_id, cause, "the certificates are not refreshed");
                Metric::PayKeysNotRefreshed.count(function, request_id);
            }
        }
        refreshed
    }
}
