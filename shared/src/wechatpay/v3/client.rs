//! The client of `api.mch.weixin.qq.com`: how it is asked, and how its answers are read.

use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{PayCall, PayError, PayKeys, PayRefusal, RequestId, Stamp, Tries, Verified, refund, transaction};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::env::{ConfigError, Env};
use crate::json::Object;
use crate::net::{Hosts, HttpClient, HttpError, HttpResponse};
use crate::store::Table;
use crate::wechat::is_visible_ascii;
use crate::wechatpay::{MchId, Merchant, OutRefundNo, OutTradeNo, PrepayId, RefundResult, Trade};

/// The variable that names other hosts.
const WECHATPAY_API_URLS: &str = "WECHATPAY_API_URLS";

/// WeChat Pay's main host and the one for disaster recovery. Source: WeChat Pay v3, "Basic rules".
const DEFAULT_URLS: [&str; 2] = ["https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"];

/// The longest wait for one answer, so that there is time to ask another host within an invocation.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers are a few hundred bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Requests for one call where a repeat is harmless.
pub(super) const TRIES: u32 = 3;

/// Characters of a prepay_id. Source: WeChat Pay v3, "JSAPI order".
const LONGEST_PREPAY_ID: usize = 64;

/// Where WeChat Pay is, and the connections to it.
#[derive(Debug)]
pub struct PayHosts {
    http: HttpClient,
    hosts: Hosts,
}

impl PayHosts {
    /// These hosts.
    pub fn new(http: HttpClient, hosts: Hosts) -> Self {
        Self { http, hosts }
    }
}

/// Calls WeChat Pay's API for a merchant.
#[derive(Debug)]
pub struct PayClient {
    upstream: PayHosts,
    pub(super) merchant: Arc<Merchant>,
    pub(super) keys: PayKeys,
    pub(super) clock: Clock,
}

#[derive(Deserialize)]
struct Prepaid {
    prepay_id: String,
}

impl PayClient {
    /// The hosts in `WECHATPAY_API_URLS`, or WeChat Pay's own.
    ///
    /// # Errors
    ///
    /// If one of them is not a base URL.
    pub fn hosts(env: &Env, clock: &Clock) -> Result<Hosts, ConfigError> {
        Hosts::from_env(env, clock, WECHATPAY_API_URLS, &DEFAULT_URLS)
    }

    /// A client for this merchant. The certificates that WeChat Pay signs with are in the table.
    pub fn new(upstream: PayHosts, merchant: Arc<Merchant>, table: Table, clock: Clock) -> Self {
        let keys = PayKeys::of(merchant.verifier(), table, clock.clone());
        Self { upstream, merchant, keys, clock }
    }

    /// The merchant.
    pub fn mch_id(&self) -> &MchId {
        self.merchant.mch_id()
    }

    /// Prepares an order; `body` is what a [`super::PrepayRequest`] made, and may be sent any number of times.
    ///
    /// `POST /v3/pay/transactions/jsapi`; source: WeChat Pay v3, "JSAPI order".
    ///
    /// # Errors
    ///
    /// If WeChat Pay refuses, or gives no good answer before the deadline: then the order may have been prepared.
    pub async fn prepay(&self, body: &str, deadline: Deadline) -> Result<PrepayId, PayError> {
        let path = "/v3/pay/transactions/jsapi".to_owned();
        let call = PayCall { method: Method::POST, path, query: &[], body, tries: TRIES };
        let answer = self.call(&call, deadline, |body| {
            let Object(Prepaid { prepay_id }) = serde_json::from_slice(body).ok()?;
            is_visible_ascii(&prepay_id, LONGEST_PREPAY_ID).then(|| PrepayId::new(prepay_id))
        });
        answer.await.map(Verified::into_inner)
    }

    /// How an order stands.
    ///
    /// `GET /v3/pay/transactions/out-trade-no/{out_trade_no}`; source: WeChat Pay v3, "Query an order".
    ///
    /// # Errors
    ///
    /// If WeChat Pay refuses, or gives no good answer before the deadline. An answer about another order is none: what
    /// is signed does not name the question.
    pub async fn query(&self, number: &OutTradeNo, deadline: Deadline) -> Result<Verified<Trade>, PayError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{}", number.as_str());
        let query = [("mchid", self.merchant.mch_id().as_str())];
        let call = PayCall { method: Method::GET, path, query: &query, body: "", tries: TRIES };
        let asked = |trade: &Trade| trade.out_trade_no == number.as_str();
        self.call(&call, deadline, |body| transaction::trade(body).filter(asked)).await
    }

    /// Closes an order, which cannot be paid then any more. One that is closed already stays so.
    ///
    /// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`; source: WeChat Pay v3, "Close an order".
    ///
    /// # Errors
    ///
    /// If WeChat Pay refuses, as it does where the order is paid, or gives no good answer before the deadline.
    pub async fn close(&self, number: &OutTradeNo, deadline: Deadline) -> Result<(), PayError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{}/close", number.as_str());
        let body = json!({ "mchid": self.merchant.mch_id().as_str() }).to_string();
        let call = PayCall { method: Method::POST, path, query: &[], body: &body, tries: TRIES };
        // It is the status that says it, and a body is not documented.
        self.call(&call, deadline, |_| Some(())).await.map(Verified::into_inner)
    }

    /// Asks for a refund, once: what follows an answer that is not good is for the caller to find out, who queries.
    /// `body` is what a [`super::RefundRequest`] made, and may be sent any number of times: its number is refunded once.
    ///
    /// `POST /v3/refund/domestic/refunds`; source: WeChat Pay v3, "Refund".
    ///
    /// # Errors
    ///
    /// If WeChat Pay refuses, or gives no good answer before the deadline. Then there may be a refund.
    pub async fn refund(
        &self,
        number: &OutRefundNo,
        body: &str,
        deadline: Deadline,
    ) -> Result<Verified<RefundResult>, PayError> {
        let path = "/v3/refund/domestic/refunds".to_owned();
        let call = PayCall { method: Method::POST, path, query: &[], body, tries: 1 };
        self.call(&call, deadline, |body| refund::answered(body, number)).await
    }

    /// How a refund stands.
    ///
    /// `GET /v3/refund/domestic/refunds/{out_refund_no}`; source: WeChat Pay v3, "Query a refund".
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    pub async fn query_refund(
        &self,
        number: &OutRefundNo,
        deadline: Deadline,
    ) -> Result<Verified<RefundResult>, PayError> {
        let path = format!("/v3/refund/domestic/refunds/{}", number.as_str());
        let call = PayCall { method: Method::GET, path, query: &[], body: "", tries: TRIES };
        self.call(&call, deadline, |body| refund::answered(body, number)).await
    }

    /// Sends as many requests as the call may have. One that did not come through goes to the next host as it is, at
    /// once; any other has a stamp of its own, after a pause.
    async fn call<T>(
        &self,
        call: &PayCall<'_>,
        deadline: Deadline,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Verified<T>, PayError> {
        let mut tries = self.tries(call, deadline);
        loop {
            let outcome = match self.send(call, tries.stamp(), deadline).await {
                Ok(response) => self.verified(&response, deadline).await.and_then(|body| {
                    let unreadable = || PayError::Unreadable(RequestId::of(&response.headers));
                    body.read(|body| read(body)).ok_or_else(unreadable)
                }),
                Err(err) => Err(err),
            };
            match outcome {
                Err(err) => tries.next(err).await?,
                done => return done,
            }
        }
    }

    pub(super) fn tries(&self, call: &PayCall<'_>, deadline: Deadline) -> Tries<'_> {
        Tries::new(call.tries, self.upstream.hosts.count(), &self.clock, deadline)
    }

    /// One request, to the preferred host. What comes back is a success, and nobody has looked at its signature.
    pub(super) async fn send(
        &self,
        call: &PayCall<'_>,
        stamp: &Stamp,
        deadline: Deadline,
    ) -> Result<HttpResponse, PayError> {
        let host = self.upstream.hosts.preferred();
        let request = call.request(self.upstream.hosts.url(host, &call.path), &self.merchant, stamp)?;
        let had_time = deadline.left() >= ATTEMPT_TIMEOUT;
        let response = self.upstream.http.send(request, LONGEST_ANSWER, deadline.at_most(ATTEMPT_TIMEOUT)).await;
        let response = response.map_err(|err| {
            // A host that had no time to answer is none the worse for it.
            let is_to_blame = match &err {
                HttpError::Broken(_) | HttpError::Connect(_) => true,
                HttpError::Timeout => had_time,
                HttpError::TooLong => false,
            };
            if is_to_blame {
                self.upstream.hosts.pass_over(host);
            }
            PayError::Transport(err)
        })?;
        // The status comes first: only successes are signed.
        if response.status == StatusCode::ACCEPTED {
            return Err(PayError::Accepted(RequestId::of(&response.headers)));
        }
        if !response.status.is_success() {
            return Err(PayError::Refused(PayRefusal::of(&response)));
        }
        Ok(response)
    }
}
