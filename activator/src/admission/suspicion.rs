//! Whether others are preferred to an endpoint, since a connection to it has failed.

use std::time::Duration;

use super::sync::{AtomicBool, AtomicU64, Ordering};
use crate::clock::Timestamp;

/// The suspicion of one endpoint.
#[derive(Debug)]
pub(super) struct Suspicion {
    /// In nanoseconds; zero if there is none.
    until: AtomicU64,
    /// Set while somebody waits for its end.
    watched: AtomicBool,
}

// === impl Suspicion ===

impl Suspicion {
    /// None.
    pub(super) fn new() -> Self {
        Self { until: AtomicU64::new(0), watched: AtomicBool::new(false) }
    }

    /// It holds until `until` at least. Whether somebody has to wait for its end, since nobody does.
    pub(super) fn extend(&self, until: Timestamp) -> bool {
        self.until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Ends it. Whether there was one.
    pub(super) fn end(&self) -> bool {
        // Looked at first: there is none for nearly every request, and writing would take the line from other threads.
        self.until.load(Ordering::Relaxed) != 0 && self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// How long it still holds at `now`, if it does.
    pub(super) fn left(&self, now: Timestamp) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        (until > now.as_nanos()).then(|| Timestamp::from_nanos(until).since(now))
    }

    /// Whoever waits for its end has seen it at `now`, and stops if so. Whether it may: what is extended at this very moment is
    /// either seen here or has somebody else wait.
    pub(super) fn unwatch(&self, now: Timestamp) -> bool {
        self.watched.swap(false, Ordering::AcqRel);
        self.left(now).is_none() || self.watched.swap(true, Ordering::AcqRel)
    }
}
