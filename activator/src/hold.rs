//! Waiting for a slot: bounded per app and in all, first in first out, with a deadline and a reason for every refusal.

pub(crate) mod line;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::failure::StartFailure;
use crate::sync::{self, AtomicUsize, Ordering};

/// What all held requests of a gateway may take together.
#[derive(Debug)]
pub struct HoldBudget {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    peak: AtomicUsize,
}

/// What one app's held requests take of the budget.
#[derive(Debug)]
pub(crate) struct HoldShare {
    budget: Arc<HoldBudget>,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// One held request's part of an app's share; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    share: &'a HoldShare,
    bytes: usize,
}

/// Why a request gets no permit.
#[derive(Debug, Clone, Error)]
pub enum Refusal {
    /// As many requests of this app wait as `hold.maxRequests` allows.
    #[error("{limit} requests are already waiting for this app, which is its limit")]
    LineFull {
        /// `hold.maxRequests`.
        limit: usize,
    },
    /// All apps' held requests together are at the gateway's limit.
    #[error("the gateway holds as many requests as it may")]
    GatewayFull,
    /// This app's held requests take as much of the gateway's limit as they leave to those of other apps.
    #[error("the app has its share of all the requests that the gateway may hold")]
    ShareFull,
    /// It was held for `hold.timeout`.
    #[error("no replica could take the request within {}; {state}", Millis(*.held))]
    Deadline {
        /// How long it was held.
        held: Duration,
        /// What the app was doing when the time was up.
        state: WaitState,
    },
    /// The app cannot be started.
    #[error("{0}")]
    CannotStart(Arc<StartFailure>),
    /// The gateway stops.
    #[error("the gateway is shutting down")]
    Stopping,
    /// The app was taken out of the configuration while the request waited.
    #[error("the app was removed from the configuration")]
    Removed,
}

/// What an app was doing when a held request's time was up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitState {
    /// No replica has become ready yet.
    Starting,
    /// Nothing is starting, since the platform has not accepted to.
    NotOrdered(Arc<str>),
    /// All replicas are at their limit.
    Busy,
}

struct Millis(Duration);

// === impl HoldBudget ===

impl HoldBudget {
    /// A budget of `max_requests` requests that keep `max_bytes` of headers in memory.
    pub fn new(max_requests: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_requests,
            max_bytes,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        })
    }

    /// Requests held now, all apps together.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of headers that held requests keep in memory now.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Most requests held at once since this was last asked.
    pub fn take_peak(&self) -> usize {
        self.peak.swap(self.requests(), Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), Refusal> {
        // Taken only if it fits: one that is refused must not be in the way of another meanwhile.
        let take = |counter: &AtomicUsize, amount: usize, most: usize| {
            let fits = |now: usize| now.checked_add(amount).filter(|total| *total <= most);
            counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Refusal::GatewayFull)
        };
        let requests = take(&self.requests, 1, self.max_requests)? + 1;
        if let Err(full) = take(&self.bytes, bytes, self.max_bytes) {
            self.requests.fetch_sub(1, Ordering::Relaxed);
            return Err(full);
        }
        self.peak.fetch_max(requests, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl HoldShare ===

impl HoldShare {
    pub(crate) fn new(budget: Arc<HoldBudget>) -> Self {
        Self { budget, requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Takes a request that keeps `bytes` in memory, unless the app has as much as is left for all: one app gets half of the
    /// budget, two a third each, and however many are stuck, there is room for one more (Choudhury and Hahne's dynamic
    /// thresholds, 1998). The first request of an app only needs to fit. Requests that come at the same moment may take a
    /// little more than the share, never more than the budget.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, Refusal> {
        let budget = &self.budget;
        let requests_left = budget.max_requests.saturating_sub(budget.requests());
        let bytes_left = budget.max_bytes.saturating_sub(budget.bytes());
        let has_its_share = |own: &AtomicUsize, left| {
            let own = own.load(Ordering::Relaxed);
            own > 0 && own >= left
        };
        // What does not fit at all is refused for that.
        let fits = requests_left > 0 && bytes_left >= bytes;
        if fits && (has_its_share(&self.requests, requests_left) || has_its_share(&self.bytes, bytes_left)) {
            return Err(Refusal::ShareFull);
        }
        budget.take(bytes)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Reservation { share: self, bytes })
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.share.requests.fetch_sub(1, Ordering::Relaxed);
        self.share.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.share.budget.give_back(self.bytes);
    }
}

// === impl Refusal ===

impl Refusal {
    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::LineFull { .. } => "line_full",
            Self::GatewayFull => "gateway_full",
            Self::ShareFull => "share_full",
            Self::Deadline { .. } => "hold_deadline",
            Self::CannotStart(failure) => failure.cause.label(),
            Self::Stopping => "stopping",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for WaitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the app is still starting"),
            Self::NotOrdered(why) => write!(f, "the app could not be told to start: {why}"),
            Self::Busy => f.write_str("all its replicas are at their limit"),
        }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}

#[cfg(test)]
mod tests;
