//! The one clock: `CLOCK_MONOTONIC`, the same in every process of the machine.

use std::ops::Sub;
use std::time::Duration;

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
