//! How many requests one endpoint has, and whether it takes more: one atomic word, so that these never disagree.

use super::sync::{AtomicU32, Ordering};

/// Slots in use, and bits that keep further ones from being taken as usual.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU32);

/// Set while no further slot may be taken.
const CLOSED: u32 = 1 << 31;
/// Set while fewer slots may be taken than the limit says. A bit of this word, so that it costs nothing when it is not set.
const FILLING: u32 = 1 << 30;
/// Set while no further slot may be taken, though whoever wants one is to wait for it.
const PAUSED: u32 = 1 << 29;
const IN_USE: u32 = PAUSED - 1;

/// More slots than there can ever be requests: no limit.
pub(crate) const UNLIMITED: u32 = IN_USE;

/// What giving a slot back has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// The endpoint goes on.
    Open,
    /// It goes on, and is still being filled.
    Filling,
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

    /// Takes a slot if the endpoint is open and fewer than `limit` are in use; while it is being filled, fewer than `allowed` says
    /// as well, and once that says nothing any more, it is filled.
    pub(crate) fn try_acquire(&self, limit: u32, allowed: impl Fn() -> Option<u32>) -> bool {
        let mut seen = self.0.load(Ordering::SeqCst);
        loop {
            // A word with one of the bits is larger than any limit.
            if seen >= limit {
                if seen & FILLING == 0 || seen & (CLOSED | PAUSED) != 0 {
                    return false;
                }
                let Some(allowed) = allowed() else {
                    seen = self.0.fetch_and(!FILLING, Ordering::SeqCst) & !FILLING;
                    continue;
                };
                if seen & IN_USE >= limit.min(allowed) {
                    return false;
                }
            }
            match self.0.compare_exchange_weak(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Gives one slot back. SeqCst: whoever waits has either joined the line before this is read, or sees the slot.
    pub(crate) fn release(&self) -> Released {
        let left = self.0.fetch_sub(1, Ordering::SeqCst) - 1;
        match left & !(FILLING | PAUSED) {
            CLOSED => Released::Drained,
            in_use if in_use & CLOSED != 0 => Released::Draining,
            _ if left & FILLING != 0 => Released::Filling,
            _ => Released::Open,
        }
    }

    /// The same, and takes none from now on until [`Slots::resume`].
    pub(crate) fn release_and_pause(&self) -> Released {
        // First: the slot that comes back is nobody's.
        self.0.fetch_or(PAUSED, Ordering::SeqCst);
        self.release()
    }

    /// Slots may be taken again after a pause.
    pub(crate) fn resume(&self) {
        self.0.fetch_and(!PAUSED, Ordering::SeqCst);
    }

    /// From now on it is to be filled step by step.
    pub(crate) fn fill(&self) {
        self.0.fetch_or(FILLING, Ordering::SeqCst);
    }

    pub(crate) fn is_filling(&self) -> bool {
        self.0.load(Ordering::SeqCst) & FILLING != 0
    }

    /// Lets nobody in any more. Returns how many are still in.
    pub(crate) fn close(&self) -> u32 {
        self.0.fetch_or(CLOSED, Ordering::SeqCst) & IN_USE
    }

    /// Closes only if nobody is in: a request that came first wins.
    pub(crate) fn close_if_idle(&self) -> bool {
        // Being filled, or paused, is no reason to stay open.
        let mut seen = self.0.load(Ordering::SeqCst);
        while seen & (IN_USE | CLOSED) == 0 {
            match self.0.compare_exchange_weak(seen, seen | CLOSED, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes requests again.
    pub(crate) fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & IN_USE
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }
}
