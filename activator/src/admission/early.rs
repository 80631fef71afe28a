//! Whether an endpoint is used before its platform itself calls it ready, and whether that went wrong.

use std::sync::atomic::{AtomicU8, Ordering};

/// How one endpoint stands with its platform.
#[derive(Debug, Default)]
pub(super) struct Early(AtomicU8);

const READY: u8 = 0;
const EARLY: u8 = 1;
const FAILED: u8 = 2;

// === impl Early ===

impl Early {
    /// Relaxed: whoever reads an old word takes more care than it has to, or less than a moment later.
    pub(super) fn is_early(&self) -> bool {
        self.0.load(Ordering::Relaxed) != READY
    }

    /// Its platform does not call it ready, but it is used. What has failed is not forgotten by that.
    pub(super) fn begin(&self) {
        let _ = self.0.compare_exchange(READY, EARLY, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Its platform calls it ready, or has taken it out of use. Whether it had failed until now.
    pub(super) fn end(&self) -> bool {
        self.is_early() && self.0.swap(READY, Ordering::AcqRel) == FAILED
    }

    /// Whether it is early, and from now on has failed.
    pub(super) fn fail(&self) -> bool {
        self.0.compare_exchange(EARLY, FAILED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire) == FAILED
    }
}
