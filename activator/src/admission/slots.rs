//! How many requests one endpoint has, and whether it takes more: one atomic word, so that the two never disagree.

use super::sync::{AtomicU32, Ordering};

/// Slots in use, and a bit that closes the endpoint for further ones.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU32);

/// Set while no further slot may be taken.
const CLOSED: u32 = 1 << 31;

/// More slots than there can ever be requests: no limit.
pub(crate) const UNLIMITED: u32 = CLOSED - 1;

/// What giving a slot back has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// The endpoint goes on.
    Open,
    /// It was closed, and others are still at it.
    Draining,
    /// It was closed, and this was the last.
    Drained,
}

// === impl Slots ===

impl Slots {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes a slot if the endpoint is open and fewer than `limit` are in use.
    pub(crate) fn try_acquire(&self, limit: u32) -> bool {
        let mut seen = self.0.load(Ordering::SeqCst);
        // A closed word is larger than any limit.
        while seen < limit {
            match self.0.compare_exchange_weak(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Gives one slot back. SeqCst: whoever waits has either joined the line before this is read, or sees the slot.
    pub(crate) fn release(&self) -> Released {
        match self.0.fetch_sub(1, Ordering::SeqCst) - 1 {
            CLOSED => Released::Drained,
            left if left & CLOSED != 0 => Released::Draining,
            _ => Released::Open,
        }
    }

    /// Lets nobody in any more. Returns how many are still in.
    pub(crate) fn close(&self) -> u32 {
        self.0.fetch_or(CLOSED, Ordering::SeqCst) & !CLOSED
    }

    /// Closes only if nobody is in: a request that came first wins.
    pub(crate) fn close_if_idle(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Takes requests again.
    pub(crate) fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & !CLOSED
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }
}
