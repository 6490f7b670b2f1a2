//! One refresh: taking the lease, asking WeChat, writing what came of it.

use std::time::Duration;

use shared::cause;
use shared::clock::{Clock, Moment};
use shared::deadline::Deadline;
use shared::direct::Invocation;
use shared::egress::EgressIps;
use shared::error::ErrorCode;
use shared::pause::{Pauses, TooLate};
use shared::quota::{self, PerMinute};
use shared::store::tokens::protocol::{Failure, Held, LEASE, Reason, RefresherStep, Row, Stopped, Want, Watch};
use shared::store::tokens::{Lease, Outcome, TokenId};
use shared::store::{StoreError, TokenRows};
use shared::wechat::{App, Issued, TokenKind, WechatClient, WechatError};

use crate::ask::{Ask, AskError, AskTicket, AskToken};

/// How long WeChat may take under a lease, so that time is left to write before it ends.
const ASK_WITHIN: Duration = LEASE.saturating_sub(Duration::from_secs(1));

/// A lease is not taken with less time than this.
const TAKE_WITH: Duration = Duration::from_secs(1);

/// Pauses between looks at the table, while somebody else has the lease.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A ticket that failed for want of a token is asked for again after this, even if the token needs longer: whoever has
/// mended the token need not mend the tickets too.
const TICKET_WAITS_FOR_TOKEN: Duration = Duration::from_secs(60);

/// Refreshes tokens and tickets.
#[derive(Debug)]
pub(crate) struct Refresher {
    pub(crate) wechat: WechatClient,
    pub(crate) rows: TokenRows,
    egress_ips: EgressIps,
    pub(crate) clock: Clock,
}

/// Whose token, for which invocation, until when.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) app: &'a App,
    pub(crate) invocation: &'a Invocation,
    pub(crate) deadline: Deadline,
}

/// A value that satisfies.
pub(crate) struct Refreshed {
    pub(crate) held: Held,
    /// Whether WeChat was asked for it just now.
    pub(crate) is_new: bool,
}

/// Why there is none.
pub(crate) enum RefreshError {
    Stopped(Stopped),
    Store(StoreError),
    TooLate,
}

impl RefreshError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Stopped(stopped) => stopped.reason.into(),
            Self::Store(err) => err.into(),
            Self::TooLate => ErrorCode::Busy,
        }
    }
}

impl From<StoreError> for RefreshError {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl Refresher {
    pub(crate) fn new(wechat: WechatClient, rows: TokenRows, egress_ips: EgressIps, clock: Clock) -> Self {
        Self { wechat, rows, egress_ips, clock }
    }

    pub(crate) fn left(&self, refreshed: &Refreshed) -> Duration {
        refreshed.held.left(self.clock.moment())
    }

    /// What is left of the value in the table: nothing, where there is none or none that opens. `None` if the table gives no
    /// answer.
    pub(crate) async fn left_in_table(&self, task: Task<'_>, kind: TokenKind) -> Option<Duration> {
        let id = TokenId { app_id: task.app.app_id.clone(), kind };
        // The task's own may be over.
        match self.rows.read(&id, task.invocation.deadline()).await {
            Ok(row) => Some(row.value.map_or(Duration::ZERO, |held| held.left(self.clock.moment()))),
            Err(StoreError::Corrupt(_)) => Some(Duration::ZERO),
            Err(_) => None,
        }
    }

    /// For a person: asks WeChat, whatever went wrong before.
    pub(crate) async fn anew(&self, task: Task<'_>, kind: TokenKind) -> Result<Refreshed, RefreshError> {
        let since = self.version(task, kind).await?;
        self.refresh(task, kind, &Want::Anew { since }).await
    }

    pub(crate) async fn version(&self, task: Task<'_>, kind: TokenKind) -> Result<u64, StoreError> {
        let id = TokenId { app_id: task.app.app_id.clone(), kind };
        Ok(self.rows.read(&id, task.deadline).await?.version)
    }

    /// Refreshes, if that is needed for what is wanted.
    pub(crate) async fn refresh(
        &self,
        task: Task<'_>,
        kind: TokenKind,
        want: &Want,
    ) -> Result<Refreshed, RefreshError> {
        match kind {
            TokenKind::AccessToken => self.token(task, want).await,
            TokenKind::WxCard | TokenKind::Jsapi => {
                self.elect(task, kind, want, &AskTicket { refresher: self, kind, want }).await
            }
        }
    }

    pub(crate) async fn token(&self, task: Task<'_>, want: &Want) -> Result<Refreshed, RefreshError> {
        self.elect(task, TokenKind::AccessToken, want, &AskToken(&self.wechat)).await
    }

    /// Does what the token's row says is to be done, until it has what is wanted or says that there is none. Whoever
    /// takes the lease asks WeChat.
    async fn elect(
        &self,
        task: Task<'_>,
        kind: TokenKind,
        want: &Want,
        ask: &impl Ask,
    ) -> Result<Refreshed, RefreshError> {
        let id = TokenId { app_id: task.app.app_id.clone(), kind };
        let (mut watch, mut pauses) = (Watch::default(), Pauses::new(FIRST_PAUSE, LONGEST_PAUSE, task.deadline));
        loop {
            let row = self.rows.read(&id, task.deadline).await?;
            let now = self.clock.moment();
            match row.refresher_step(want, now, watch.see(&row)) {
                RefresherStep::Done(held) => return Ok(Refreshed { held: held.clone(), is_new: false }),
                RefresherStep::Stop(stopped) => return Err(RefreshError::Stopped(stopped)),
                // One that cannot be used in time would only keep others away.
                RefresherStep::Take if task.deadline.left() < TAKE_WITH => return Err(RefreshError::TooLate),
                RefresherStep::Take => {
                    if let Ok(lease) = self.rows.take(&id, &row, now, task.deadline).await?
                        && let Some(result) = self.work(task, kind, want, &lease, ask).await?
                    {
                        return result;
                    }
                }
                RefresherStep::Wait => {}
            }
            pauses.next().await.map_err(|TooLate| RefreshError::TooLate)?;
        }
    }

    /// What is done under a lease. `None` if it was lost meanwhile, or WeChat could not be asked yet.
    async fn work(
        &self,
        task: Task<'_>,
        kind: TokenKind,
        want: &Want,
        lease: &Lease<'_>,
        ask: &impl Ask,
    ) -> Result<Option<Result<Refreshed, RefreshError>>, StoreError> {
        let asked_at = self.clock.moment();
        let answer = ask.ask(Task { deadline: task.deadline.at_most(ASK_WITHIN), ..task }).await;
        let now = self.clock.moment();
        let failed = |reason| Outcome::Failed(lease.row.failure(want, reason, now));
        let outcome = match answer {
            Ok(Issued { value, expires_in }) => {
                let held = Held { value, obtained_at: asked_at, expires_at: asked_at + expires_in };
                let stands_by = Row::stands_by(want, &held.value, now);
                if held.is_usable(now) { Outcome::Value(held, stands_by) } else { self.too_short(task, kind, &held) }
            }
            Err(AskError::Wechat(err)) => {
                self.report(task, kind, &err);
                failed(reason(&err))
            }
            Err(AskError::Token(RefreshError::Stopped(stopped))) => {
                let not_before = stopped.until.min(now + TICKET_WAITS_FOR_TOKEN);
                Outcome::Failed(Failure { reason: stopped.reason, times: 1, not_before })
            }
            // Somebody else has the token's lease, perhaps one who has died: that is no failure of WeChat's.
            Err(AskError::Token(RefreshError::TooLate)) => Outcome::Abandoned,
            Err(AskError::Token(RefreshError::Store(err))) => return Err(err),
        };
        let settled = self.rows.settle(lease, &outcome, task.invocation.deadline()).await?;
        Ok(settled.ok().and_then(|()| result(outcome)))
    }

    /// Whoever got a value that is about to end would ask for another at once, and get the same again.
    fn too_short(&self, task: Task<'_>, kind: TokenKind, held: &Held) -> Outcome {
        let now = self.clock.moment();
        tracing::warn!(
            function = task.invocation.function(),
            requestId = task.invocation.request_id(),
            appId = task.app.app_id.as_str(),
            kind = kind.as_str(),
            leftSecs = held.left(now).as_secs(),
            "WeChat gave a token or ticket that is about to end"
        );
        let not_before = held.expires_at.max(now + Duration::from_secs(1));
        Outcome::Failed(Failure { reason: Reason::NoAnswer, times: 1, not_before })
    }

    fn report(&self, task: Task<'_>, kind: TokenKind, err: &WechatError) {
        let refusal = err.refusal();
        let (function, request_id) = (task.invocation.function(), task.invocation.request_id());
        tracing::warn!(
            function,
            requestId = request_id,
            appId = task.app.app_id.as_str(),
            kind = kind.as_str(),
            errcode = refusal.map(|refusal| refusal.errcode),
            rid = refusal.and_then(|refusal| refusal.rid.as_deref()),
            cause = cause::chain(err),
            "a token or ticket was not refreshed"
        );
        self.egress_ips.report(function, request_id, &task.app.app_id, err);
        quota::report(function, request_id, &task.app.app_id, err, PerMinute::OfApp);
    }
}

fn result(outcome: Outcome) -> Option<Result<Refreshed, RefreshError>> {
    match outcome {
        Outcome::Abandoned => None,
        Outcome::Value(held, None) => Some(Ok(Refreshed { held, is_new: true })),
        Outcome::Value(_, Some((_, until))) => Some(Err(stopped(Reason::StandsBy, until))),
        Outcome::Failed(Failure { reason, not_before, .. }) => Some(Err(stopped(reason, not_before))),
    }
}

fn stopped(reason: Reason, until: Moment) -> RefreshError {
    RefreshError::Stopped(Stopped { reason, until })
}

fn reason(err: &WechatError) -> Reason {
    err.refusal().map_or(Reason::NoAnswer, |refusal| Reason::Errcode(refusal.errcode))
}
