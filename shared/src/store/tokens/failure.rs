//! Refreshes that failed, and how long nobody asks WeChat after one.

use std::time::Duration;

use crate::clock::Moment;

/// How long it is remembered that WeChat stands by a value that it refuses.
pub(super) const STANDS_BY: Duration = Duration::from_secs(60);

/// A refresh that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// How often in a row for that kind of reason.
    pub times: u32,
    /// Until then nobody asks WeChat.
    pub not_before: Moment,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// WeChat refused.
    Errcode(i64),
    /// WeChat gave no answer, or none of use.
    NoAnswer,
    /// WeChat gives a value that it refuses.
    StandsBy,
}

impl Reason {
    /// Whether it may pass by itself at any moment.
    pub(super) const fn is_transient(self) -> bool {
        matches!(self, Self::Errcode(SYSTEM_BUSY) | Self::NoAnswer)
    }

    /// The longest of the pauses below.
    pub(super) fn longest_pause(self) -> Duration {
        Duration::from_secs(match self {
            Self::Errcode(SYSTEM_BUSY) | Self::NoAnswer => 30,
            Self::Errcode(DAILY_QUOTA | IP_REFUSED_FOR_A_DAY) => 24 * 3600 + 120,
            Self::Errcode(IP_REFUSED_FOR_AN_HOUR) => 3600,
            Self::Errcode(_) => 600,
            Self::StandsBy => STANDS_BY.as_secs(),
        })
    }

    /// How long nobody asks again, after so many failures in a row; `again`, if the last one had the same reason.
    /// Source of the codes: "Get stable access token".
    pub(super) fn pause(self, times: u32, again: bool, now: Moment) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let doubling =
            |first: u64, longest: u64| first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(longest);
        let secs = match self {
            Self::Errcode(SYSTEM_BUSY) | Self::NoAnswer => doubling(1, 30),
            // The day's quota is used up. When WeChat's day ends is not documented: probably at midnight in Beijing.
            Self::Errcode(DAILY_QUOTA) if !again => return until_tomorrow_in_beijing(now),
            Self::Errcode(DAILY_QUOTA) => 10 * MINUTE,
            Self::Errcode(IP_REFUSED_FOR_AN_HOUR) => HOUR,
            Self::Errcode(IP_REFUSED_FOR_A_DAY) => 24 * HOUR,
            Self::Errcode(MINUTE_QUOTA) => MINUTE,
            // Each call sends the administrator a message.
            Self::Errcode(IP_TO_BE_CONFIRMED) => 10 * MINUTE,
            Self::Errcode(_) => doubling(MINUTE, 10 * MINUTE),
            Self::StandsBy => STANDS_BY.as_secs(),
        };
        Duration::from_secs(secs)
    }
}

pub(crate) const SYSTEM_BUSY: i64 = -1;
pub(crate) const DAILY_QUOTA: i64 = 45009;
pub(crate) const MINUTE_QUOTA: i64 = 45011;
const IP_TO_BE_CONFIRMED: i64 = 89503;
const IP_REFUSED_FOR_A_DAY: i64 = 89506;
const IP_REFUSED_FOR_AN_HOUR: i64 = 89507;

/// Until two minutes after midnight, because WeChat's clock is not ours.
fn until_tomorrow_in_beijing(now: Moment) -> Duration {
    const DAY: u64 = 86_400_000;
    const UTC_PLUS_8: u64 = 8 * 3_600_000;
    Duration::from_millis(DAY - (now.as_millis() + UTC_PLUS_8) % DAY + 120_000)
}
