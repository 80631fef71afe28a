//! Where it is known how much is asked of an app.

use std::sync::Arc;

use activator::activity::Demand;
use activator::app::Shared;
use activator::{App, Timestamp};

/// Tells how much is asked of an app, over all gateways.
pub trait Counts: Send + Sync + 'static {
    /// What is asked of `app` at `now`, from memory; `None` as long as the sum is not known.
    fn demand(&self, app: &App, now: Timestamp) -> Option<Demand>;
}

/// Of all the gateways that share what they count.
#[derive(Debug, Clone)]
pub struct Everywhere(pub Arc<Shared>);

// === impl Everywhere ===

impl Counts for Everywhere {
    fn demand(&self, app: &App, now: Timestamp) -> Option<Demand> {
        self.0.fleet.knows_all(now).then(|| app.demand(now))
    }
}
