//! How many requests one endpoint has, and whether it takes more: one atomic word, so that these never disagree.

use super::sync::{AtomicU64, Ordering};

/// Slots in use and bits that keep further ones from being taken as usual in the lower half; above, this gateway's share: how many
/// may be in use here, where others have theirs. It is in the same word so that nobody takes a slot by a share that was lowered.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU64);

/// Set while no further slot may be taken.
const CLOSED: u32 = 1 << 31;
/// Set while fewer slots may be taken than the limit says. A bit of this word, so that it costs nothing when it is not set.
const FILLING: u32 = 1 << 30;
/// Set while no further slot may be taken, though whoever wants one is to wait for it.
const PAUSED: u32 = 1 << 29;
const IN_USE: u32 = PAUSED - 1;

/// More slots than there can ever be requests: no limit.
pub(crate) const UNLIMITED: u32 = IN_USE;
/// The share where slots are not shared: more than any limit.
pub(crate) const UNSHARED: u32 = u32::MAX;

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
        Self(AtomicU64::new(word(UNSHARED, 0)))
    }

    /// Takes a slot if the endpoint is open and fewer than `limit` and than its share are in use; while it is being filled, fewer
    /// than `allowed` says as well, and once that says nothing any more, it is filled.
    pub(crate) fn try_acquire(&self, limit: u32, allowed: impl Fn() -> Option<u32>) -> bool {
        let mut seen = self.0.load(Ordering::SeqCst);
        loop {
            let (limit, low) = (limit.min(share(seen)), low(seen));
            // With one of the bits it is larger than any limit.
            if low >= limit {
                if low & FILLING == 0 || low & (CLOSED | PAUSED) != 0 {
                    return false;
                }
                let Some(allowed) = allowed() else {
                    let filled = !u64::from(FILLING);
                    seen = self.0.fetch_and(filled, Ordering::SeqCst) & filled;
                    continue;
                };
                if low & IN_USE >= limit.min(allowed) {
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
        let left = low(self.0.fetch_sub(1, Ordering::SeqCst) - 1);
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
        self.0.fetch_or(u64::from(PAUSED), Ordering::SeqCst);
        self.release()
    }

    /// Slots may be taken again after a pause.
    pub(crate) fn resume(&self) {
        self.0.fetch_and(!u64::from(PAUSED), Ordering::SeqCst);
    }

    /// From now on so many may be in use here. What is in use beyond that stays so until it ends. A share that is raised frees
    /// slots: whoever does that has those served who wait. SeqCst for them.
    pub(crate) fn set_share(&self, slots: u32) {
        self.change(|seen| Some(word(slots, low(seen))));
    }

    /// How many may be in use here, and how many are.
    pub(crate) fn share_and_in_use(&self) -> (u32, u32) {
        let seen = self.0.load(Ordering::SeqCst);
        (share(seen), low(seen) & IN_USE)
    }

    /// From now on it is to be filled step by step.
    pub(crate) fn fill(&self) {
        self.0.fetch_or(u64::from(FILLING), Ordering::SeqCst);
    }

    pub(crate) fn is_filling(&self) -> bool {
        low(self.0.load(Ordering::SeqCst)) & FILLING != 0
    }

    /// Lets nobody in any more. Returns how many are still in.
    pub(crate) fn close(&self) -> u32 {
        low(self.0.fetch_or(u64::from(CLOSED), Ordering::SeqCst)) & IN_USE
    }

    /// Closes only if nobody is in: a request that came first wins.
    pub(crate) fn close_if_idle(&self) -> bool {
        // Being filled, or paused, is no reason to stay open.
        self.change(|seen| (low(seen) & (IN_USE | CLOSED) == 0).then_some(seen | u64::from(CLOSED)))
    }

    /// Takes requests again.
    pub(crate) fn reopen(&self) {
        self.0.fetch_and(!u64::from(CLOSED), Ordering::SeqCst);
    }

    pub(crate) fn in_use(&self) -> u32 {
        low(self.0.load(Ordering::Relaxed)) & IN_USE
    }

    pub(crate) fn is_closed(&self) -> bool {
        low(self.0.load(Ordering::SeqCst)) & CLOSED != 0
    }

    /// Makes of the word what `change` says, if anything. Whether it did.
    fn change(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        let mut seen = self.0.load(Ordering::SeqCst);
        while let Some(new) = change(seen) {
            match self.0.compare_exchange_weak(seen, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }
}

fn word(share: u32, low: u32) -> u64 {
    (u64::from(share) << 32) | u64::from(low)
}

fn share(word: u64) -> u32 {
    (word >> 32) as u32
}

#[allow(clippy::cast_possible_truncation)]
fn low(word: u64) -> u32 {
    word as u32
}
