//! What somebody else is told who scales an app: how much is asked of it, whether it is active, and when that is said without
//! being asked. Pure.

mod pushes;

use std::time::Duration;

use crate::demand::{PEAK_SPAN, Peak};
use crate::settings::Metric;
pub use pushes::{Observed, Push, Pushes};

/// One sync of a HorizontalPodAutoscaler (15 s) and some slack: by then whoever polls has seen what was to be seen.
const SYNC_AND_MARGIN: Duration = Duration::from_secs(20);

/// What is asked of an app: over all gateways, where there are several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// The most of the last while.
    pub peak: Peak,
    /// Requests in flight now, held ones included.
    pub in_flight: u32,
    /// How long nothing has been in flight; `None` if nothing ever was, as far as is known.
    pub idle_for: Option<Duration>,
    /// For how long this has been counted: of what was before nothing is known.
    pub counted_for: Duration,
}

/// How long an app counts as active after its last request: its `idleTimeout`, and at least until one who asks every
/// `polling_interval` has heard of it.
pub fn hold_on(idle_timeout: Duration, polling_interval: Duration) -> Duration {
    idle_timeout.max(polling_interval + SYNC_AND_MARGIN)
}

// === impl Demand ===

impl Demand {
    /// Whether there is a request, or was one within `hold_on`.
    pub fn is_real(&self, hold_on: Duration) -> bool {
        self.in_flight > 0 || self.idle_for.is_some_and(|idle| idle < hold_on)
    }

    /// Whether the app counts as active. `found` is how many replicas were there before it was counted, and still are (`None`: not
    /// known); where it was counted for less than `hold_on`, those may have had their last request before. `None`: nobody knows.
    pub fn is_active(&self, hold_on: Duration, found: Option<u32>) -> Option<bool> {
        if self.is_real(hold_on) {
            return Some(true);
        }
        if self.counted_for >= hold_on { Some(false) } else { found.map(|found| found > 0) }
    }

    /// The app's demand in the unit of `metric`, to be divided by `target`. As long as it was not counted for a whole window, no
    /// less than what the replicas it was `found` with are there for, so that a gateway that has just begun lowers nothing. `None`:
    /// nobody knows.
    pub fn value(&self, metric: Metric, target: f64, found: Option<u32>) -> Option<f64> {
        let seen = match metric {
            Metric::Concurrency => f64::from(self.peak.concurrency),
            Metric::RequestRate => self.peak.rate,
        };
        if self.counted_for >= PEAK_SPAN {
            return Some(seen);
        }
        Some(seen.max(f64::from(found?) * target))
    }
}

#[cfg(test)]
mod tests;
