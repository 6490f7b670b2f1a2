//! Codes, which WeChat gives to a client, and whose server brings them back.

use std::collections::HashMap;
use std::time::Duration;

use shared::clock::Timestamp;
use shared::random;

/// The codes of one kind, by their text.
#[derive(Debug, Default)]
pub(crate) struct Codes(HashMap<String, Code>);

#[derive(Debug)]
struct Code {
    grant: Grant,
    expires_at: Timestamp,
    state: CodeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeState {
    Fresh,
    NeverUsedUp,
    Used,
}

/// Whom a code is about, and in which app.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) app_id: String,
    pub(crate) user: String,
    /// Whether the user only looks at a snapshot of a page, and is somebody else to it.
    pub(crate) snapshot: bool,
}

/// Why a code is good for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCode {
    /// It is of another app.
    Foreign,
    /// There is none, or it has expired.
    Invalid,
    /// It was good once.
    Used,
}

impl Grant {
    pub(crate) fn new(app_id: &str, user: &str) -> Self {
        Self { app_id: app_id.to_owned(), user: user.to_owned(), snapshot: false }
    }
}

impl Codes {
    /// A new code, good once.
    pub(crate) fn issue(&mut self, grant: Grant, now: Timestamp, ttl: Duration) -> String {
        let code = random::base64url::<24>();
        self.0.insert(code.clone(), Code { grant, expires_at: now + ttl, state: CodeState::Fresh });
        code
    }

    /// A code that is never used up.
    pub(crate) fn keep(&mut self, code: &str, grant: Grant) {
        let expires_at = Timestamp::from_secs(u64::MAX);
        self.0.insert(code.to_owned(), Code { grant, expires_at, state: CodeState::NeverUsedUp });
    }

    /// What a code stands for, in the app that it is of.
    pub(crate) fn find(&self, code: &str, app_id: &str, now: Timestamp) -> Result<&Grant, BadCode> {
        let code = self.0.get(code).filter(|code| code.expires_at > now).ok_or(BadCode::Invalid)?;
        match code.state {
            _ if code.grant.app_id != app_id => Err(BadCode::Foreign),
            CodeState::Used => Err(BadCode::Used),
            CodeState::Fresh | CodeState::NeverUsedUp => Ok(&code.grant),
        }
    }

    /// The same, and uses it up.
    pub(crate) fn take(&mut self, code: &str, app_id: &str, now: Timestamp) -> Result<Grant, BadCode> {
        let grant = self.find(code, app_id, now)?.clone();
        if let Some(code) = self.0.get_mut(code).filter(|code| code.state == CodeState::Fresh) {
            code.state = CodeState::Used;
        }
        Ok(grant)
    }
}
