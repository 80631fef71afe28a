//! The clocks: `CLOCK_MONOTONIC`, the same in every process of the machine, and the time of day, which the API server tells too.

use std::ops::Sub;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The present.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        Self(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    /// The time since then.
    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A time of day, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Wall(i64);

impl Wall {
    /// The present.
    pub fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// When `moment` was, as long as nobody sets the clock.
    pub fn at(moment: Moment) -> Self {
        Self::of(SystemTime::now() - moment.elapsed())
    }

    /// What an RFC 3339 time says.
    pub fn parse(text: &str) -> Option<Self> {
        humantime::parse_rfc3339(text).ok().map(Self::of)
    }

    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Milliseconds from `earlier` to this; less than 0 if that is later.
    pub fn ms_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1000.0
    }
}
