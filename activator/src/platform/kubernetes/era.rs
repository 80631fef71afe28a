//! Versions that can be compared even after the cluster was set back to an older state, from where it counts anew: dated by how
//! often that was.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of a version that are the resource version: enough for a century with 80,000 changes a second.
const BITS: u32 = 48;
const RESOURCE: u64 = (1 << BITS) - 1;

/// How often the cluster was set back, as far as anybody has noticed.
#[derive(Debug, Default)]
pub(super) struct Era(AtomicU64);

/// The resource version in a dated version.
pub(super) fn resource_version(dated: u64) -> u64 {
    dated & RESOURCE
}

// === impl Era ===

impl Era {
    /// All that is dated from now on is later than what was before.
    pub(super) fn begin_next(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// As of when `resource_version` is, if it was told just now.
    pub(super) fn date(&self, resource_version: u64) -> u64 {
        (self.0.load(Ordering::Acquire) << BITS) | resource_version.min(RESOURCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_setback_is_later() {
        let era = Era::default();
        let before = era.date(9_000);
        assert_eq!(before, 9_000);
        era.begin_next();
        assert!(era.date(7) > before && era.date(8) > era.date(7));
        assert_eq!(resource_version(era.date(7)), 7);
    }
}
