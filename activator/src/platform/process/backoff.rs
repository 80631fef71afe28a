//! How long an app that keeps failing is left alone. Pure: time is an argument.

use std::time::Duration;

use crate::clock::Timestamp;

/// The pause after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(500);
/// The pause grows no longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// A replica that was ready for this long has run well.
pub(super) const GOOD_RUN: Duration = Duration::from_secs(10);

/// The failures of one app in a row, and when it is worth another try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    last_failure: Timestamp,
    retry_at: Timestamp,
    /// Since when a replica has been ready with no failure after it.
    good_since: Option<Timestamp>,
}

/// The pause after `failures` failures in a row: 0.5 s, doubled with each further one, at most 60 s. None without failure.
pub(super) fn delay(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST),
    }
}

// === impl Backoff ===

impl Backoff {
    /// A replica that was started at `started` has failed at `now`. Returns how long to leave the app alone.
    ///
    /// Replicas started together that fail together are one failure: only a try made after the last failure counts.
    pub(super) fn failed(&mut self, started: Timestamp, now: Timestamp) -> Duration {
        if self.is_settled(now) {
            self.failures = 0;
        }
        if self.failures == 0 || started >= self.last_failure {
            self.failures = self.failures.saturating_add(1);
        }
        self.last_failure = now;
        self.good_since = None;
        self.retry_at = self.retry_at.max(now + delay(self.failures));
        self.retry_at.since(now)
    }

    /// A replica has become ready at `now`.
    pub(super) fn ready(&mut self, now: Timestamp) {
        self.good_since.get_or_insert(now);
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether there is nothing to remember: no failure, or a good run since.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        self.failures == 0 || self.good_since.is_some_and(|since| now.since(since) >= GOOD_RUN)
    }

    /// Until when no replica is to be started, if that is after `now`.
    pub(super) fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        (self.retry_at > now).then_some(self.retry_at)
    }
}

#[cfg(test)]
mod tests;
