//! How often a path may be called.

use std::collections::HashMap;

use shared::clock::Timestamp;

use super::answer::Answer;

/// The number of WeChat's day. It ends at midnight in Beijing: WeChat documents no hour, and `token-refresher` assumes
/// this one.
pub(crate) fn wechat_day(now: Timestamp) -> u64 {
    const UTC_PLUS_8_SECS: u64 = 8 * 3600;
    (now.as_secs() + UTC_PLUS_8_SECS) / 86_400
}

/// How often a path may be called, for each app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quota {
    pub(crate) per_minute: Option<u64>,
    pub(crate) per_day: Option<u64>,
    /// Calls by app and by the number of the minute or day.
    counts: HashMap<(String, Window), u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Window {
    Minute(u64),
    Day(u64),
}

impl Quota {
    pub(crate) fn new(per_minute: Option<u64>, per_day: Option<u64>) -> Self {
        Self { per_minute, per_day, counts: HashMap::new() }
    }

    pub(crate) fn count(&mut self, app_id: &str, now: Timestamp) -> Option<Answer> {
        let mut exceeded = |window, limit: Option<u64>| {
            let count = self.counts.entry((app_id.to_owned(), window)).or_default();
            *count += 1;
            limit.is_some_and(|limit| *count > limit)
        };
        let minute = exceeded(Window::Minute(now.as_secs() / 60), self.per_minute);
        let day = exceeded(Window::Day(wechat_day(now)), self.per_day);
        match (day, minute) {
            (true, _) => Some(Answer::refusal(45009, "reach max api daily quota limit")),
            (false, true) => {
                Some(Answer::refusal(45011, "api minute-quota reach limit, must slower, retry next minute"))
            }
            (false, false) => None,
        }
    }
}
