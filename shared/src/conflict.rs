//! What is said of a unionid that is not the user's.

use crate::http::Call;
use crate::log::Metric;
use crate::store::{UnionIdConflict, UserId};

/// Writes a line and counts one, if there is a conflict.
pub fn report(call: &Call, user: &UserId, conflict: Option<&UnionIdConflict>) {
    let Some(conflict) = conflict else { return };
    tracing::warn!(
        function = call.function(),
        requestId = call.request_id(),
        userId = user.as_str(),
        otherUserId = conflict.other.as_ref().map(|other| other.as_str()),
        unrecorded = conflict.unrecorded.as_ref().map(tracing::field::display),
        "this unionid is not this user's: nothing was linked"
    );
    Metric::IdentityConflict.count(call.function(), call.request_id());
}
