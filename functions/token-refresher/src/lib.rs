#![doc = include_str!("../README.md")]

mod ask;
mod kept;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use shared::direct::{DirectFunction, Invocation};
use shared::env::ConfigError;
use shared::error::{ApiError, ErrorCode};
use shared::log::{Gauge, Metric};
use shared::setup::Setup;
use shared::store::TokenRows;
use shared::store::tokens::protocol::Want;
use shared::wechat::{App, Apps, TokenHash, TokenKind};

use crate::refresh::{RefreshError, Refreshed, Refresher, Task};

/// What the tasks may not use up, so that those that are done are reported.
const REPLY_RESERVE: Duration = Duration::from_millis(500);

/// The function `token-refresher`.
#[derive(Debug)]
pub struct TokenRefresher {
    apps: Apps,
    refresher: Refresher,
}

/// What it takes: nothing at all, or the one thing to refresh.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RefreshInput {
    app_id: Option<String>,
    kind: Option<TokenKind>,
    failed: Option<String>,
}

/// The reply. No token is in it.
#[derive(Serialize)]
pub struct RefreshReply {
    refreshed: Vec<RefreshedToken>,
    failures: Vec<FailedToken>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefreshedToken {
    app_id: String,
    kind: TokenKind,
    expires_in: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedToken {
    app_id: String,
    kind: TokenKind,
    code: &'static str,
}

impl DirectFunction for TokenRefresher {
    const NAME: &'static str = "token-refresher";
    /// The longest wait for somebody else's lease, and then a refresh of one's own.
    const WITHIN: Duration = Duration::from_secs(14);
    type Input = RefreshInput;
    type Reply = RefreshReply;

    async fn start(setup: &Setup) -> Result<Self, ConfigError> {
        let (wechat, table, egress_ips) = (setup.wechat()?, setup.table()?, setup.egress_ips()?);
        let (apps, sealer) = tokio::try_join!(setup.apps(), setup.sealer())?;
        let rows = TokenRows::new(table, Arc::new(sealer));
        Ok(Self { apps, refresher: Refresher::new(wechat, rows, egress_ips, setup.clock().clone()) })
    }

    async fn call(&self, invocation: &Invocation, input: RefreshInput) -> Result<RefreshReply, ApiError> {
        let results = match self.one(&input)? {
            Some((app, kind, asked)) => vec![self.refresh_one(app, kind, asked, invocation).await],
            None => {
                let all = join_all(self.apps.iter().map(|app| self.refresh_due(app, invocation))).await.concat();
                tell_what_is_left(&all, invocation);
                all
            }
        };
        Ok(report(results, invocation))
    }
}

/// How the refresh of one thing was asked for.
enum Asked {
    ByPerson,
    ByReader(Want),
}

/// What became of one token. `None` if it was not due.
#[derive(Clone)]
struct TokenResult {
    app_id: String,
    kind: TokenKind,
    outcome: Result<Option<u64>, ErrorCode>,
    /// What is left of the value that the table has now. `None` if nobody looked, or the table did not say.
    left: Option<Duration>,
}

impl TokenRefresher {
    /// The one thing that is asked for, if it is one.
    fn one(&self, input: &RefreshInput) -> Result<Option<(&App, TokenKind, Asked)>, ApiError> {
        let (app_id, kind) = match (&input.app_id, input.kind) {
            (None, None) if input.failed.is_none() => return Ok(None),
            (None, _) => return Err(ApiError::invalid_request("missing field `appId`")),
            (Some(_), None) => return Err(ApiError::invalid_request("missing field `kind`")),
            (Some(app_id), Some(kind)) => (app_id, kind),
        };
        let unknown = || ApiError::invalid_request("field `appId` is not an app of this backend");
        let app = self.apps.find(app_id).ok_or_else(unknown)?;
        if !TokenKind::of(app.kind).contains(&kind) {
            return Err(ApiError::invalid_request("field `kind` is nothing that this app has"));
        }
        let asked = match input.failed.as_deref() {
            None => Asked::ByPerson,
            Some("none") => Asked::ByReader(Want::Usable),
            Some(hash) => {
                let malformed = || ApiError::invalid_request("field `failed` is neither a SHA-256 nor `none`");
                Asked::ByReader(Want::Other(TokenHash::parse(hash).ok_or_else(malformed)?))
            }
        };
        Ok(Some((app, kind, asked)))
    }

    async fn refresh_one(&self, app: &App, kind: TokenKind, asked: Asked, invocation: &Invocation) -> TokenResult {
        let task = Task { app, invocation, deadline: invocation.deadline().leaving(REPLY_RESERVE) };
        let outcome = match asked {
            Asked::ByPerson => self.refresher.anew(task, kind).await,
            Asked::ByReader(want) => self.refresher.refresh(task, kind, &want).await,
        };
        self.result(app, kind, outcome.map(Some), None)
    }

    /// What is due of an app: its token first, because its tickets need that.
    async fn refresh_due(&self, app: &App, invocation: &Invocation) -> Vec<TokenResult> {
        let task = Task { app, invocation, deadline: invocation.deadline().leaving(REPLY_RESERVE) };
        let Some((&token, tickets)) = TokenKind::of(app.kind).split_first() else { return Vec::new() };
        let token = self.due(task, token).await;
        let tickets = join_all(tickets.iter().map(|&ticket| self.due_ticket(task, ticket))).await;
        std::iter::once(token).chain(tickets.into_iter().flatten()).collect()
    }

    /// The same of a ticket, if it is one that is kept.
    async fn due_ticket(&self, task: Task<'_>, ticket: TokenKind) -> Option<TokenResult> {
        match self.refresher.keeps(task, ticket).await {
            Ok(true) => Some(self.due(task, ticket).await),
            Ok(false) => None,
            Err(err) => {
                let left = self.refresher.left_in_table(task, ticket).await;
                Some(self.result(task.app, ticket, Err(err.into()), left))
            }
        }
    }

    async fn due(&self, task: Task<'_>, kind: TokenKind) -> TokenResult {
        let outcome = self.refresher.refresh(task, kind, &Want::NotDue).await;
        let left = match &outcome {
            Ok(refreshed) => Some(self.refresher.left(refreshed)),
            Err(_) => self.refresher.left_in_table(task, kind).await,
        };
        let refreshed = |refreshed: Refreshed| refreshed.is_new.then_some(refreshed);
        self.result(task.app, kind, outcome.map(refreshed), left)
    }

    fn result(
        &self,
        app: &App,
        kind: TokenKind,
        outcome: Result<Option<Refreshed>, RefreshError>,
        left: Option<Duration>,
    ) -> TokenResult {
        let expires_in = |refreshed: Refreshed| self.refresher.left(&refreshed).as_secs();
        let outcome = outcome.map(|refreshed| refreshed.map(expires_in)).map_err(|err| err.code());
        TokenResult { app_id: app.app_id.as_str().to_owned(), kind, outcome, left }
    }
}

/// Tells how much is left of what ends first, app by app, for an alarm that sounds while there is time.
fn tell_what_is_left(results: &[TokenResult], invocation: &Invocation) {
    // Those of an app are one behind the other.
    for of_app in results.chunk_by(|one, other| one.app_id == other.app_id) {
        if let (Some(first), Some(least)) = (of_app.first(), least_left(of_app)) {
            let (function, request_id) = (invocation.function(), invocation.request_id());
            Gauge::TokenSecondsLeft.tell(function, request_id, &first.app_id, least.as_secs());
        }
    }
}

/// The least of what is known: one of which the table said nothing may have less, and none that is known is passed over.
fn least_left(results: &[TokenResult]) -> Option<Duration> {
    results.iter().filter_map(|result| result.left).min()
}

fn report(results: Vec<TokenResult>, invocation: &Invocation) -> RefreshReply {
    let mut reply = RefreshReply { refreshed: Vec::new(), failures: Vec::new() };
    for TokenResult { app_id, kind, outcome, .. } in results {
        match outcome {
            Ok(Some(expires_in)) => reply.refreshed.push(RefreshedToken { app_id, kind, expires_in }),
            Ok(None) => {}
            Err(code) => {
                let (function, request_id) = (invocation.function(), invocation.request_id());
                Metric::RefreshFailed.count_for_token(function, request_id, &app_id, kind.as_str(), code.as_str());
                reply.failures.push(FailedToken { app_id, kind, code: code.as_str() });
            }
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_which_nobody_knows_does_not_hide_the_others() {
        let result = |left: Option<u64>| TokenResult {
            app_id: "wx".to_owned(),
            kind: TokenKind::AccessToken,
            outcome: Ok(None),
            left: left.map(Duration::from_secs),
        };
        let least = |left: &[Option<u64>]| least_left(&left.iter().copied().map(result).collect::<Vec<_>>());
        assert_eq!(least(&[Some(7200), None, Some(0)]), Some(Duration::ZERO));
        assert_eq!(least(&[Some(7200), Some(300)]), Some(Duration::from_secs(300)));
        assert_eq!(least(&[None, None]), None);
        assert_eq!(least(&[]), None);
    }
}
