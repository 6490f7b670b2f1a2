//! Unionids: linking one to a user, and what is done where it is not the user's.

use std::time::Duration;

use super::StoreError;
use super::call::{Condition, Pauses};
use super::identities::{Known, Plan};
use super::item::{Item, Key, attr};
use super::table::{Transaction, Write};
use super::users::{UNION_ID, User, UserId, Users};
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::wechat::{Identity, UnionId};

/// The row of a conflict is the one row that all logins of such a user share, so none of them waits for it for long.
const RECORD_WITHIN: Duration = Duration::from_secs(1);

const OTHER_USER_ID: &str = "otherUserId";

/// The openid and the unionid of a login lead to different users, or the user has another unionid.
#[derive(Debug)]
pub struct UnionIdConflict {
    /// The user whose unionid it is, where there is one.
    pub other: Option<UserId>,
    /// Why it could not be recorded in the table, if so. The login is none the worse.
    pub unrecorded: Option<StoreError>,
}

impl Users {
    /// Makes the unionid of `identity` that of the user to whom its openid leads, by the rules of a login. `user` is
    /// that user as known, and is as he or she is afterwards.
    ///
    /// # Errors
    ///
    /// If the table gives no answer before the deadline.
    pub async fn link(
        &self,
        user: &mut User,
        identity: &Identity,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<UnionIdConflict>, StoreError> {
        let mut has_another_unionid = false;
        let mut pauses = Pauses::until(deadline);
        loop {
            let plan = Plan::new(Known::read(&self.table, identity, deadline).await?, identity, has_another_unionid);
            match &plan {
                Plan::Link(id) if *id == user.id => {}
                Plan::Return(id) if *id == user.id && user.unionid.is_none() => {
                    // Somebody else has linked it since `user` was read.
                    user.unionid.clone_from(&identity.unionid);
                    return Ok(None);
                }
                _ => return Ok(self.conflict(&plan, user, identity, now, deadline).await),
            }
            match self.table.transact(plan.writes(identity, now), deadline).await? {
                Transaction::Committed => {
                    user.unionid.clone_from(&identity.unionid);
                    return Ok(None);
                }
                Transaction::ConditionFailed(conditions) => {
                    if link_was_refused(&conditions) {
                        has_another_unionid = self.has_unionid(&plan, now, deadline).await?;
                    }
                }
            }
            pauses.next("others at work on the same identity").await?;
        }
    }

    /// Why a link was refused: the user has a unionid. A user without even a row is made anew.
    pub(super) async fn has_unionid(
        &self,
        plan: &Plan,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let Plan::Link(user) = plan else { return Ok(false) };
        match self.find(user, deadline).await? {
            Some(user) => Ok(user.unionid.is_some()),
            None => {
                self.restore(user, None, now, deadline).await?;
                Ok(false)
            }
        }
    }

    /// Records the conflict that a plan has met, if it has met one.
    pub(super) async fn conflict(
        &self,
        plan: &Plan,
        user: &User,
        identity: &Identity,
        now: Timestamp,
        deadline: Deadline,
    ) -> Option<UnionIdConflict> {
        let (Plan::Conflict { other, .. }, Some(unionid)) = (plan, &identity.unionid) else { return None };
        if user.unionid.as_ref() == Some(unionid) {
            return None; // Somebody else linked it meanwhile.
        }
        let recorded = self.record_conflict(&user.id, other.as_ref(), unionid, now, deadline.at_most(RECORD_WITHIN));
        Some(UnionIdConflict { other: other.clone(), unrecorded: recorded.await.err() })
    }

    /// Records that `unionid` is not this user's: one row for each such pair. Returns once it is there.
    async fn record_conflict(
        &self,
        user: &UserId,
        other: Option<&UserId>,
        unionid: &UnionId,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = Key::new(user.partition(), format!("CONFLICT#{}", unionid.expose()));
        let row = Item::new(key).with_str(UNION_ID, unionid.expose()).with_time(attr::CREATED_AT, now);
        let row = match other {
            Some(other) => row.with_str(OTHER_USER_ID, other.as_str()),
            None => row,
        };
        self.table.transact(vec![Write::Create(row)], deadline).await.map(|_| ())
    }
}

/// The first write of a link is to the user, the second to the unionid. If that failed too, or is in the hands of others,
/// somebody has just linked.
pub(super) fn link_was_refused(conditions: &[Condition]) -> bool {
    conditions.starts_with(&[Condition::Failed, Condition::Held])
}
