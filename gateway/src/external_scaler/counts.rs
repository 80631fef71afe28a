//! Where it is known how much is asked of an app.

use activator::activity::Demand;
use activator::{App, Timestamp};

/// Tells how much is asked of an app, over all gateways.
pub trait Counts: Send + Sync + 'static {
    /// What is asked of `app` at `now`, from memory; `None` as long as the sum is not known.
    fn demand(&self, app: &App, now: Timestamp) -> Option<Demand>;
}

/// Of the only gateway there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

// === impl Alone ===

impl Counts for Alone {
    fn demand(&self, app: &App, now: Timestamp) -> Option<Demand> {
        Some(app.demand(now))
    }
}
