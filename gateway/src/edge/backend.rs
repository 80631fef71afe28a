//! An app as the edge sees it: the live app, what the edge has to know of it, its limits and its counters.

use std::sync::{Arc, OnceLock};

use activator::App;
use http::StatusCode;
use metrics::Counter;

use crate::config::settings::{EdgeSettings, Timeouts};
use crate::limits::AppLimits;

/// One app, ready to be routed to.
pub struct Backend {
    /// The live app; the same through all configuration changes.
    pub app: Arc<App>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How many requests may come; the same as before a configuration change that does not touch them.
    pub limits: Arc<AppLimits>,
    /// Its counters.
    pub counters: Counters,
}

/// Counters of one app, registered when first needed: a sleeping app has none.
#[derive(Default)]
pub struct Counters {
    by_class: [OnceLock<Counter>; 6],
}

// === impl Backend ===

impl Backend {
    /// The edge's part of `app`.
    pub fn new(app: Arc<App>, settings: &EdgeSettings, limits: Arc<AppLimits>) -> Self {
        Self { app, timeouts: settings.timeouts, limits, counters: Counters::default() }
    }

    /// Counts a finished request: by the class of its status, or as aborted if it got none.
    pub fn count(&self, status: Option<StatusCode>) {
        const CLASSES: [&str; 6] = ["aborted", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        self.counters.by_class[class]
            .get_or_init(|| {
                metrics::counter!(
                    "zerogate_requests_total", "app" => self.app.id().to_string(), "code" => CLASSES[class]
                )
            })
            .increment(1);
    }
}
