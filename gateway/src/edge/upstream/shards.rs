//! Threads by number, so that each has what it uses to itself.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that have a place of their own; beyond that some share one.
pub(super) const SHARDS: usize = 16;

/// The place of a thread, below [`SHARDS`].
pub(super) type Home = usize;

/// This thread's.
pub(super) fn home() -> Home {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    HOME.with(|home| *home)
}
