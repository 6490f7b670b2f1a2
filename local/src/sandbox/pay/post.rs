//! How notifications come to where they go.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use shared::deadline::Deadline;
use shared::net::HttpClient;

use crate::sandbox::header_case;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// More than a function answers.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Delivers notifications.
#[derive(Debug)]
pub(crate) struct Post {
    http: HttpClient,
    /// The `notify_url` that the machine's functions have if nobody gives them another one: always of loopback.
    notify_url: String,
    /// Where the gateway listens, which need not be there.
    gateway: String,
}

impl Post {
    /// What is addressed to `notify_url` goes to `gateway`, and all else where it is addressed to.
    pub(crate) fn new(http: HttpClient, notify_url: &str, gateway: String) -> Self {
        Self { http, notify_url: notify_url.to_owned(), gateway }
    }

    pub(super) fn destination<'a>(&'a self, notify_url: &'a str) -> &'a str {
        if notify_url == self.notify_url { &self.gateway } else { notify_url }
    }

    /// What was answered; 0 is no answer. A redirect is not followed.
    pub(super) async fn deliver(&self, mut request: Request<String>) -> u16 {
        request.extensions_mut().extend(header_case::of_wechat().await);
        let answer = self.http.send(request, LONGEST_ANSWER, Deadline::after(ANSWER_WITHIN)).await;
        answer.map_or(0, |answer| StatusCode::as_u16(&answer.status))
    }
}

#[cfg(test)]
mod tests {
    use shared::clock::Clock;
    use shared::env::Env;
    use shared::net::Tls;

    use super::*;

    #[test]
    fn only_what_goes_to_the_default_is_brought_to_the_gateway() {
        let http = HttpClient::new(&Tls::from_env(&Env::default()).unwrap(), &Clock::system());
        let gateway = "http://192.0.2.2:9000/pay-notify";
        let post = Post::new(http, "http://127.0.0.1:9000/pay-notify", gateway.to_owned());
        assert_eq!(post.destination("http://127.0.0.1:9000/pay-notify"), gateway);
        for other in ["http://127.0.0.1:9001/pay-notify", "https://example.com/pay-notify"] {
            assert_eq!(post.destination(other), other);
        }
    }
}
