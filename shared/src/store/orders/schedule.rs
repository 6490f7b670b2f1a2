//! When WeChat Pay is asked next about an order or a refund. Pure.

use crate::clock::{Moment, Timestamp};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// How old an unpaid order is when it is asked about, in seconds; then again every [`LATER`].
/// Source: WeChat Pay v3, "Query an order", the recommended schedule. What comes before a minute is `query-order`'s.
const AGES: [u64; 5] = [MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE, LATER];
const LATER: u64 = 30 * MINUTE;

/// How long a refund is asked about every minute. Source: WeChat Pay v3, "Query a refund".
const REFUND_IS_NEW: u64 = 5 * MINUTE;

/// When to ask next about an order that is not paid: by its age, and when its time is over. What cannot be closed then
/// is asked about ever more rarely.
pub(in crate::store) fn next_query(created_at: Timestamp, time_expire: Timestamp, now: Timestamp) -> Moment {
    if now >= time_expire {
        return rarely(time_expire, now);
    }
    let age = now.secs_since(created_at);
    let at = AGES.into_iter().find(|at| *at > age).unwrap_or_else(|| (age / LATER + 1) * LATER);
    Timestamp::from_secs(created_at.as_secs().saturating_add(at)).min(time_expire).into()
}

/// When to ask next about a refund that is not settled.
pub(in crate::store) fn next_refund_query(created_at: Timestamp, now: Timestamp) -> Moment {
    if now.secs_since(created_at) < REFUND_IS_NEW {
        return Timestamp::from_secs(now.as_secs().saturating_add(MINUTE)).into();
    }
    rarely(created_at, now)
}

/// After as long as it has been waited for, between a minute and an hour.
fn rarely(since: Timestamp, now: Timestamp) -> Moment {
    let pause = now.secs_since(since).clamp(MINUTE, HOUR);
    Timestamp::from_secs(now.as_secs().saturating_add(pause)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: u64 = 1_800_000_000;

    /// When something is asked about that is asked each time it is due, until `until`: seconds after it was made.
    fn asked(next: impl Fn(Timestamp) -> Moment, until: u64) -> Vec<u64> {
        let secs = |at: Moment| at.as_timestamp().as_secs() - CREATED;
        let first = secs(next(Timestamp::from_secs(CREATED)));
        let times = std::iter::successors(Some(first), |at| Some(secs(next(Timestamp::from_secs(CREATED + at)))));
        times.take_while(|at| *at <= until).collect()
    }

    #[test]
    fn an_order_is_asked_about_by_the_documented_schedule_and_when_its_time_is_over() {
        let order = |ttl: u64| {
            let (created, expire) = (Timestamp::from_secs(CREATED), Timestamp::from_secs(CREATED + ttl));
            asked(move |now| next_query(created, expire, now), 9000)
        };
        assert_eq!(order(60), [60, 120, 180, 300, 540, 1020, 1980, 3900, 7500]);
        assert_eq!(order(1800), [60, 180, 300, 600, 1800, 1860, 1920, 2040, 2280, 2760, 3720, 5640]);
        assert_eq!(order(7000), [60, 180, 300, 600, 1800, 3600, 5400, 7000, 7060, 7120, 7240, 7480, 7960, 8920]);
    }

    #[test]
    fn a_refund_is_asked_about_every_minute_and_later_more_rarely() {
        let refund = asked(|now| next_refund_query(Timestamp::from_secs(CREATED), now), 20_000);
        assert_eq!(refund, [60, 120, 180, 240, 300, 600, 1200, 2400, 4800, 8400, 12_000, 15_600, 19_200]);
    }

    #[test]
    fn a_clock_that_is_wrong_asks_all_the_same() {
        let created = Timestamp::from_secs(CREATED);
        let early = next_query(created, Timestamp::from_secs(CREATED + 1800), Timestamp::from_secs(0));
        assert_eq!(early.as_timestamp().as_secs(), CREATED + 60);
        assert_eq!(next_refund_query(created, Timestamp::from_secs(u64::MAX)), Timestamp::from_secs(u64::MAX).into());
    }
}
