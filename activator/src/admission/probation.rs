//! Endpoints of which it is not known yet whether they go on after their first answer: some apps end then (CGI and the like), and
//! what has been sent there meanwhile is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether an endpoint will end after its first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It may: after its first request it has none for 100 ms.
    Possible,
    /// The one before did: it has one request at a time until its first one is over, and none for a second after that.
    Likely,
}

/// One endpoint's.
#[derive(Debug)]
pub(super) struct Probation {
    ending: Ending,
    over: AtomicBool,
}

// === impl Ending ===

impl Ending {
    /// How long it has no request after its first.
    fn pause(self) -> Duration {
        match self {
            Self::Possible => Duration::from_millis(100),
            Self::Likely => Duration::from_secs(1),
        }
    }
}

// === impl Probation ===

impl Probation {
    pub(super) fn new(ending: Ending) -> Self {
        Self { ending, over: AtomicBool::new(false) }
    }

    /// The most requests it may have at once, if there may be `limit` otherwise.
    pub(super) fn limit(&self, limit: u32) -> u32 {
        if self.ending == Ending::Likely && self.is_on() { 1 } else { limit }
    }

    /// A request is over. The pause that is to follow, if it was the first.
    pub(super) fn end(&self) -> Option<Duration> {
        (self.is_on() && !self.over.swap(true, Ordering::AcqRel)).then_some(self.ending.pause())
    }

    /// Whether its first request is still to come or to end.
    fn is_on(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }
}
