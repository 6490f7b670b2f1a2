//! One call of WeChat Pay's API, and the request that it is sent as.

use bytes::Bytes;
use lambda_http::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, Method, Request};
use url::Url;

use super::{Stamp, authorization};
use crate::wechatpay::{CannotSign, Merchant};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One call. Its body holds an openid, so it cannot be printed.
pub(super) struct PayCall<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: &'a str,
    /// Requests that are sent at most, whatever host they are sent to.
    pub(super) tries: u32,
}

impl PayCall<'_> {
    /// The request to this URL, signed.
    pub(super) fn request(
        &self,
        mut url: Url,
        merchant: &Merchant,
        stamp: &Stamp,
    ) -> Result<Request<Bytes>, CannotSign> {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query);
        }
        #[expect(clippy::expect_used, reason = "base URLs, mchids and order numbers are checked, and it is encoded")]
        let mut request = Request::get(url.as_str()).body(Bytes::from(self.body.to_owned())).expect("the URL is good");
        request.method_mut().clone_from(&self.method);
        let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let authorization = authorization(merchant, &self.method, path_and_query, self.body, stamp)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(ACCEPT, JSON);
        if self.method == Method::POST {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(signer) = merchant.answers_signed_by() {
            #[expect(clippy::expect_used, reason = "the ids of public keys are checked")]
            headers.insert("wechatpay-serial", HeaderValue::try_from(signer).expect("visible ASCII"));
        }
        Ok(request)
    }
}
