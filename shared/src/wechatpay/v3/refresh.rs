//! Fetching the certificates of WeChat Pay anew, by one instance for all.

use std::time::Duration;

use bytes::Bytes;
use lambda_http::http::{HeaderMap, Method, StatusCode};

use super::certificates::{self, PlatformCertificate};
use super::client::TRIES;
use super::{NotVerified, PayCall, PayClient, PayCode, PayError, RequestId, Verified};
use crate::cause;
use crate::deadline::Deadline;
use crate::net::HttpResponse;
use crate::pause::Pauses;
use crate::random;
use crate::store::{REFRESH_WITHIN, RefreshClaim, StoreError};

/// The pauses of who waits for another's refresh, and how long they are together at most.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_millis(600);
const WAIT: Duration = Duration::from_secs(2);

/// Left for each of the writes that follow.
const FOR_THE_TABLE: Duration = Duration::from_secs(1);

/// The pause before WeChat Pay is asked again whether there are no certificates.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// What came of looking whether the certificates have to be fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was not the time.
    NotDue,
    /// Somebody else is doing it, or has just done it.
    ByAnother,
    /// So many certificates were kept.
    Kept(usize),
    /// WeChat Pay has none for this merchant.
    NoneThere,
}

/// Why the certificates were not fetched anew.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// WeChat Pay gave no good answer.
    #[error("the certificates of WeChat Pay were not fetched")]
    Pay(#[from] PayError),
    /// The table gave no answer.
    #[error("the certificates of WeChat Pay were not kept")]
    Store(#[from] StoreError),
}

impl PayClient {
    /// Verifies the bytes of an answer. A certificate that this instance does not know is looked for in the table, and
    /// then at WeChat Pay: the answer came from there.
    pub(super) async fn verified(
        &self,
        response: &HttpResponse,
        deadline: Deadline,
    ) -> Result<Verified<Bytes>, PayError> {
        let unverified = |reason| PayError::Unverified(RequestId::of(&response.headers), reason);
        let verify = || self.keys.keyring().verify(&response.headers, response.body.clone(), self.clock.timestamp());
        match verify() {
            Err(NotVerified::UnknownKey) => {}
            outcome => return outcome.map_err(unverified),
        }
        match self.find_for_answer(&response.headers, deadline).await {
            Ok(true) => return verify().map_err(unverified),
            Ok(false) => {}
            Err(err) => tracing::warn!(cause = cause::chain(&err), "a key of WeChat Pay's was not found"),
        }
        Err(unverified(NotVerified::UnknownKey))
    }

    /// Whether the key of an answer is known now.
    async fn find_for_answer(&self, headers: &HeaderMap, deadline: Deadline) -> Result<bool, RefreshError> {
        let keys = &self.keys;
        let Some(serial) = keys.worth_looking_up(headers) else { return Ok(false) };
        let refreshes = keys.read(deadline).await?;
        if keys.knows(serial) {
            return Ok(true);
        }
        if refreshes.may_ask(self.clock.moment())
            && let Some(claim) = keys.rows().claim(self.clock.moment(), deadline).await?
        {
            let refreshed = self.refresh(&claim, deadline).await;
            if refreshed.is_ok() {
                keys.read(deadline).await?;
            }
            if !keys.knows(serial) {
                keys.looked_up_in_vain();
            }
            return refreshed.map(|_| keys.knows(serial));
        }
        Ok(self.wait_for(serial, deadline).await?)
    }

    /// Waits for who is asking WeChat Pay just now. Says whether the key is known then.
    async fn wait_for(&self, serial: &str, deadline: Deadline) -> Result<bool, StoreError> {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, deadline.at_most(WAIT));
        loop {
            let refreshes = self.keys.read(deadline).await?;
            if self.keys.knows(serial) {
                return Ok(true);
            }
            if !refreshes.is_under_way(self.clock.moment()) {
                self.keys.looked_up_in_vain();
                return Ok(false);
            }
            if pauses.next().await.is_err() {
                // The other may still find it, so the next one looks again.
                return Ok(false);
            }
        }
    }

    /// Fetches the certificates anew, if it is the time and nobody else does it: one read of the table if it is not.
    ///
    /// # Errors
    ///
    /// If WeChat Pay or the table gave no good answer.
    pub(crate) async fn refresh_keys_if_due(&self, deadline: Deadline) -> Result<Refreshed, RefreshError> {
        let rows = self.keys.rows();
        if !rows.refreshes(deadline).await?.is_due(self.clock.moment()) {
            return Ok(Refreshed::NotDue);
        }
        match rows.claim(self.clock.moment(), deadline).await? {
            Some(claim) => self.refresh(&claim, deadline).await,
            None => Ok(Refreshed::ByAnother),
        }
    }

    /// Fetches the certificates and keeps them. Whatever happens, nobody waits for it any longer.
    async fn refresh(&self, claim: &RefreshClaim, deadline: Deadline) -> Result<Refreshed, RefreshError> {
        let deadline = deadline.at_most(REFRESH_WITHIN);
        let refreshed = self.fetch_and_keep(claim, deadline.leaving(FOR_THE_TABLE)).await;
        if refreshed.is_err() {
            // The refresh has failed already; if this does too, others wait for a few seconds in vain.
            let _ = self.keys.rows().give_up(claim, deadline).await;
        }
        refreshed
    }

    async fn fetch_and_keep(&self, claim: &RefreshClaim, deadline: Deadline) -> Result<Refreshed, RefreshError> {
        let rows = self.keys.rows();
        let pay_deadline = deadline.leaving(FOR_THE_TABLE);
        let mut listed = self.certificates(pay_deadline).await;
        if listed.as_ref().is_err_and(|err| self.has_none(err)) {
            // It is not signed, and is believed for half a day: once more.
            tokio::time::sleep(random::jitter(ASK_AGAIN)).await;
            listed = self.certificates(pay_deadline).await;
        }
        match listed {
            Ok(certificates) => {
                rows.keep(claim, &certificates, self.clock.moment(), deadline).await?;
                Ok(Refreshed::Kept(certificates.len()))
            }
            Err(err) if self.has_none(&err) => {
                rows.keep_none(claim, self.clock.moment(), deadline).await?;
                Ok(Refreshed::NoneThere)
            }
            Err(err) => Err(err.into()),
        }
    }

    /// Whether WeChat Pay says that the merchant has the public key alone. One without a public key cannot do without
    /// certificates, so for such a merchant that is an error.
    fn has_none(&self, err: &PayError) -> bool {
        let is_absent = |refusal: &super::PayRefusal| {
            refusal.status == StatusCode::NOT_FOUND.as_u16() && refusal.code == PayCode::ResourceNotExists
        };
        self.merchant.answers_signed_by().is_some() && err.refusal().is_some_and(is_absent)
    }

    /// The certificates that WeChat Pay signs with now or soon. The answer may be signed with one that is in it: that
    /// one was encrypted with the APIv3 key, which nobody else knows.
    ///
    /// `GET /v3/certificates`; source: WeChat Pay v3, "Download platform certificates".
    async fn certificates(&self, deadline: Deadline) -> Result<Vec<PlatformCertificate>, PayError> {
        let call =
            PayCall { method: Method::GET, path: "/v3/certificates".to_owned(), query: &[], body: "", tries: TRIES };
        let mut tries = self.tries(&call, deadline);
        loop {
            let answer = self.send(&call, tries.stamp(), deadline).await;
            match answer.and_then(|answer| self.listed(&answer)) {
                Err(err) => tries.next(err).await?,
                listed => return listed,
            }
        }
    }

    fn listed(&self, answer: &HttpResponse) -> Result<Vec<PlatformCertificate>, PayError> {
        let id = || RequestId::of(&answer.headers);
        let listed = certificates::listed(&answer.body, self.merchant.verifier().api_v3_key());
        let own = listed.iter().flat_map(|listed| listed.certificates.iter().cloned());
        let keyring = self.keys.keyring().beside(own);
        let verified = keyring.verify(&answer.headers, &answer.body, self.clock.timestamp());
        verified.map_err(|reason| PayError::Unverified(id(), reason))?;
        listed.map(|listed| listed.kept).ok_or_else(|| PayError::Unreadable(id()))
    }
}
