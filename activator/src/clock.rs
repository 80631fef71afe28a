//! The one place that reads a clock. Everything else is given a [`Timestamp`].

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in time: nanoseconds since the [`Clock`] it came from was made. Covers 584 years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A source of [`Timestamp`]s. Clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// Follows tokio's clock, so that a paused runtime pauses it too.
    Running(tokio::time::Instant),
    Manual(Arc<AtomicU64>),
}

// === impl Timestamp ===

impl Timestamp {
    /// The moment the clock was made.
    pub const ZERO: Self = Self(0);

    /// The point `nanos` nanoseconds after the clock was made.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `millis` milliseconds after the clock was made.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds since the clock was made.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

// === impl Clock ===

impl Clock {
    /// A clock that runs, starting at zero now.
    #[allow(clippy::disallowed_methods)]
    pub fn running() -> Self {
        Self(Source::Running(tokio::time::Instant::now()))
    }

    /// A clock that stands at zero until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// The present.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Running(start) => Timestamp::ZERO + start.elapsed(),
            Source::Manual(nanos) => Timestamp(nanos.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock on; a running clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(nanos) = &self.0 {
            nanos.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
    }

    /// The instant at which this clock shows `at`, for tokio's timers.
    /// A manual clock has no such instant; its timers are due at once.
    #[allow(clippy::disallowed_methods)]
    pub fn instant(&self, at: Timestamp) -> tokio::time::Instant {
        match &self.0 {
            Source::Running(start) => *start + at.since(Timestamp::ZERO),
            Source::Manual(_) => tokio::time::Instant::now(),
        }
    }
}
