//! Whether an app is in the scaler's queue already, so that many pokes are one.

use super::sync::{AtomicBool, Ordering};

/// Set while the app is in the queue.
#[derive(Debug)]
pub(crate) struct Poked(AtomicBool);

// === impl Poked ===

impl Poked {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether it was not set before: then the app has to be put in the queue.
    pub(crate) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether it is set, as far as this thread knows. What was changed before is taken for seen: where that meets a
    /// [`Poked::take`] at the very moment, it may not be.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The app was taken from the queue. What was changed before a [`Poked::set`] that found it set is seen from here on:
    /// both read what the other wrote, since neither only stores.
    ///
    /// Whether it was set.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}
