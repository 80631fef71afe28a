//! Since when apps have been gone that something was counted of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use activator::clock::Timestamp;

/// How long what was counted of an app is kept after it was last seen declared: long enough to be scraped, and for an app that
/// is declared anew.
const KEPT: Duration = Duration::from_secs(3600);

/// Since when each app has been gone, by name.
#[derive(Debug, Default)]
pub struct Gone(BTreeMap<String, Timestamp>);

// === impl Gone ===

impl Gone {
    /// Takes in that these are gone `now`, and no others, and says which of them to forget.
    pub fn look(&mut self, gone: BTreeSet<String>, now: Timestamp) -> BTreeSet<String> {
        self.0.retain(|app, _| gone.contains(app));
        for app in gone {
            self.0.entry(app).or_insert(now);
        }
        self.0.iter().filter(|(_, since)| now.since(**since) >= KEPT).map(|(app, _)| app.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
