//! The wall clock, which is passed in wherever time matters.
//!
//! Expiry is always decided by wall-clock time: an instance that Lambda froze for minutes may find its monotonic
//! clock where it left it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        Self::from_fn(SystemTime::now)
    }

    /// A clock that shows what `now` returns.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// The time now, in whole seconds.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from(self.now())
    }

    /// The time now, in whole milliseconds.
    pub fn moment(&self) -> Moment {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// China has one time zone and no summer time.
const CHINA: UtcOffset = match UtcOffset::from_hms(8, 0, 0) {
    Ok(offset) => offset,
    Err(_) => panic!("eight hours are an offset"),
};

/// The last second of the year 9999 in China: RFC 3339 writes no later one.
const LAST_SECS: u64 = 253_402_271_999;

/// Whole seconds since 1970-01-01T00:00:00Z: the unit of DynamoDB's TTL and of WeChat's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time that is `secs` seconds after 1970-01-01T00:00:00Z.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The time that a text in RFC 3339 names, whatever its offset; `None` if it is none, or before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp()).ok().map(Self)
    }

    /// The time in RFC 3339 as the clocks of China show it, as WeChat Pay writes it: `yyyy-MM-DDTHH:mm:ss+08:00`.
    pub fn to_rfc3339_china(self) -> String {
        let secs = i64::try_from(self.0.min(LAST_SECS)).unwrap_or(0);
        let time = OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(CHINA);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+08:00", u8::from(month))
    }

    /// Seconds from `earlier` to here, or 0 where `earlier` is later.
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

/// Whole milliseconds since 1970-01-01T00:00:00Z, where seconds are too coarse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The time that is `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The whole seconds of it.
    pub const fn as_timestamp(self) -> Timestamp {
        Timestamp(self.0 / 1000)
    }

    /// The time from `earlier` to here, or zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.0.saturating_mul(1000))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_clocks_of_china_show_it() {
        for (secs, text) in [
            (0, "1970-01-01T08:00:00+08:00"),
            (1_528_425_296, "2018-06-08T10:34:56+08:00"),
            (1_709_135_999, "2024-02-28T23:59:59+08:00"),
            (1_709_136_000, "2024-02-29T00:00:00+08:00"),
            (LAST_SECS, "9999-12-31T23:59:59+08:00"),
        ] {
            let time = Timestamp::from_secs(secs);
            assert_eq!(time.to_rfc3339_china(), text);
            assert_eq!(Timestamp::parse_rfc3339(text), Some(time));
        }
        assert_eq!(Timestamp::from_secs(u64::MAX).to_rfc3339_china(), "9999-12-31T23:59:59+08:00");
    }

    #[test]
    fn a_time_is_read_with_any_offset_and_fraction() {
        let time = Some(Timestamp::from_secs(1_528_425_296));
        for text in ["2018-06-08T02:34:56Z", "2018-06-07T22:04:56-04:30", "2018-06-08T10:34:56.999+08:00"] {
            assert_eq!(Timestamp::parse_rfc3339(text), time, "{text}");
        }
        for text in ["", "2018-06-08", "2018-06-08T10:34:56", "2018-13-08T10:34:56Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }
}
