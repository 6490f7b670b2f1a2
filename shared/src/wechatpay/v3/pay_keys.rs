//! The keys that WeChat Pay signs with, as far as this instance knows them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambda_http::http::HeaderMap;

use super::certificates::is_serial;
use super::verify;
use crate::clock::{Clock, Moment};
use crate::deadline::Deadline;
use crate::store::{PayKeyRows, Refreshes, StoreError, Table};
use crate::wechatpay::{ApiV3Key, Keyring, Verifier};

/// How long nothing is looked up any more after a serial that nobody knows.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The keys that WeChat Pay signs with for a merchant: the public key of the configuration, and beside it the platform
/// certificates that are in the table. Those are read when a serial comes that is not known, and at no other time: a
/// merchant who has changed to the public key reads nothing.
#[derive(Debug)]
pub struct PayKeys {
    keyring: Keyring,
    api_v3_key: ApiV3Key,
    rows: PayKeyRows,
    clock: Clock,
    /// When a serial was last looked up in vain.
    in_vain: Mutex<Option<Moment>>,
}

impl PayKeys {
    /// Those of this merchant. The merchant's own keyring learns them.
    pub fn of(merchant: &Verifier, table: Table, clock: Clock) -> Self {
        let rows = PayKeyRows::new(table, merchant.mch_id());
        let (keyring, api_v3_key) = (merchant.keyring().clone(), merchant.api_v3_key().clone());
        Self { keyring, api_v3_key, rows, clock, in_vain: Mutex::default() }
    }

    /// Looks for the key of a notification that is signed with one that is not known, without asking WeChat Pay: whoever
    /// sends the notification may be anybody, and WeChat Pay sends it again. If the key is not in the table, a mark stays
    /// there, on which the next schedule fetches the certificates. Says whether the key is known now.
    ///
    /// A stranger with many serials gets one read and one write a minute out of an instance.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn find_for_notification(&self, headers: &HeaderMap, deadline: Deadline) -> Result<bool, StoreError> {
        let Some(serial) = self.worth_looking_up(headers) else { return Ok(false) };
        let refreshes = self.read(deadline).await?;
        if self.knows(serial) {
            return Ok(true);
        }
        if refreshes.may_mark(self.clock.moment()) {
            self.rows.mark(self.clock.moment(), deadline).await?;
        }
        self.looked_up_in_vain();
        Ok(false)
    }

    /// Whether no notification can be verified, also not a real one: no public key is configured, and the table has no
    /// certificate that counts. While that is so, the table is read once a minute at most.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn has_none(&self, deadline: Deadline) -> Result<bool, StoreError> {
        let is_empty = || self.keyring.is_empty(self.clock.timestamp());
        if is_empty() && !self.is_too_early() {
            self.read(deadline).await?;
            if is_empty() {
                self.looked_up_in_vain();
            }
        }
        Ok(is_empty())
    }

    /// The serial of a message, if there may be a certificate of it in the table that this instance has not read.
    pub(super) fn worth_looking_up<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        verify::serial(headers).filter(|serial| is_serial(serial) && !self.is_too_early())
    }

    /// Whether something was just looked up in vain.
    fn is_too_early(&self) -> bool {
        let now = self.clock.moment();
        let in_vain = *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        in_vain.is_some_and(|at| at <= now && now.since(at) < LOOK_AGAIN)
    }

    /// Nothing is looked up for a while.
    pub(super) fn looked_up_in_vain(&self) {
        *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.moment());
    }

    /// Reads what the table has. From now on these are the certificates.
    pub(super) async fn read(&self, deadline: Deadline) -> Result<Refreshes, StoreError> {
        let kept = self.rows.read(deadline).await?;
        self.keyring.learn(&kept.certificates, &self.api_v3_key);
        Ok(kept.refreshes)
    }

    pub(super) fn knows(&self, serial: &str) -> bool {
        self.keyring.find(serial, self.clock.timestamp()).is_some()
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(super) fn rows(&self) -> &PayKeyRows {
        &self.rows
    }
}
