//! Whether others are preferred to an endpoint, since it has failed requests.

use std::time::Duration;

use super::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::clock::Timestamp;

/// How long others are preferred after the first fault. It doubles with each further one that no answer came before.
const FIRST: Duration = Duration::from_secs(2);
/// It grows no longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// So many clients have to give up one after the other, with no answer between: one may have had its own reasons.
const MOST_GIVEN_UP: u32 = 3;
/// Of the marks, those that count clients that gave up. Above them faults are counted.
const GIVEN_UP: u32 = 0xFF;

/// What an endpoint is blamed for that has accepted a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It sent no response header in time, broke the connection off, or answered something that is no HTTP.
    NoAnswer,
    /// A client gave up that had waited for it. Three of these in a row are as good as no answer.
    GivenUp,
}

/// The suspicion of one endpoint.
#[derive(Debug)]
pub(super) struct Suspicion {
    /// In nanoseconds; zero if there is none.
    until: AtomicU64,
    /// Faults since the last answer, and clients that gave up since the last fault.
    marks: AtomicU32,
    /// Set while somebody waits for its end.
    watched: AtomicBool,
}

// === impl Suspicion ===

impl Suspicion {
    /// None.
    pub(super) fn new() -> Self {
        Self { until: AtomicU64::new(0), marks: AtomicU32::new(0), watched: AtomicBool::new(false) }
    }

    /// Until when others are to be preferred after this fault, if it calls for that. What comes while they are preferred is the
    /// same trouble, not more of it.
    pub(super) fn blame(&self, fault: Fault, now: Timestamp) -> Option<Timestamp> {
        if self.left(now).is_some() {
            return None;
        }
        let next = |marks: u32| match fault {
            Fault::GivenUp if (marks & GIVEN_UP) + 1 < MOST_GIVEN_UP => marks + 1,
            // A fault more, and nobody has given up since.
            Fault::GivenUp | Fault::NoAnswer => (marks | GIVEN_UP).saturating_add(1),
        };
        let faults = |marks: u32| marks / (GIVEN_UP + 1);
        let mut before = self.marks.load(Ordering::Relaxed);
        while let Err(now) =
            self.marks.compare_exchange_weak(before, next(before), Ordering::Relaxed, Ordering::Relaxed)
        {
            before = now;
        }
        let count = faults(next(before));
        let wait = || FIRST.saturating_mul(1u32.checked_shl(count - 1).unwrap_or(u32::MAX)).min(LONGEST);
        (count > faults(before)).then(|| now + wait())
    }

    /// It holds until `until` at least. Whether somebody has to wait for its end, since nobody does.
    pub(super) fn extend(&self, until: Timestamp) -> bool {
        self.until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Ends it, and forgets all faults. Whether there was one.
    pub(super) fn end(&self) -> bool {
        // Looked at first: there is none for nearly every request, and writing would take the line from other threads.
        if self.marks.load(Ordering::Relaxed) != 0 {
            self.marks.swap(0, Ordering::Relaxed);
        }
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
