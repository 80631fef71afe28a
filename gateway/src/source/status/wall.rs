//! The time of day.

use activator::{Clock, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;

/// Tells the time of day of a [`Timestamp`], by one moment of which both are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wall {
    pub(super) now: Timestamp,
    pub(super) time: jiff::Timestamp,
}

// === impl Wall ===

impl Wall {
    /// By the present.
    pub(super) fn read(clock: &Clock) -> Self {
        Self { now: clock.now(), time: jiff::Timestamp::now() }
    }

    /// To the second, as Kubernetes has it.
    pub(super) fn at(self, at: Timestamp) -> Time {
        let time = self.exactly(at);
        Time(jiff::Timestamp::from_second(time.as_second()).unwrap_or(time))
    }

    /// To the nanosecond.
    pub(super) fn exactly(self, at: Timestamp) -> jiff::Timestamp {
        let moved = match at >= self.now {
            true => self.time.checked_add(at.since(self.now)),
            false => self.time.checked_sub(self.now.since(at)),
        };
        moved.unwrap_or(self.time)
    }
}
