//! The threads that serve an address, and which of them a connection goes to. The system spreads connections by a hash, which
//! leaves some threads with half as many again as others; so whoever accepts one looks who has the fewest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;

/// By which part a thread may have more than the one with the fewest. A connection that goes to another thread costs it a wake,
/// which is much for one that carries one request only.
const SLACK: usize = 16;

/// The threads of a service.
pub(super) struct Threads(Box<[Thread]>);

/// Two cache lines of its own (they are fetched in pairs): its count changes with every connection.
#[repr(align(128))]
struct Thread {
    open: AtomicUsize,
    runtime: Handle,
}

/// A connection's place on its thread. Dropping it is the only way to give it back.
pub struct Placed {
    threads: Arc<Threads>,
    thread: usize,
}

// === impl Threads ===

impl Threads {
    /// Those with these runtimes.
    pub(super) fn new(runtimes: impl IntoIterator<Item = Handle>) -> Arc<Self> {
        let threads = runtimes.into_iter().map(|runtime| Thread { open: AtomicUsize::new(0), runtime });
        Arc::new(Self(threads.collect()))
    }

    /// A place for a connection that thread `own` has accepted: there, unless another has clearly fewer.
    pub(super) fn place(self: &Arc<Self>, own: usize) -> Placed {
        let thread = self.choose(own);
        self.0[thread].open.fetch_add(1, Ordering::Relaxed);
        Placed { threads: self.clone(), thread }
    }

    fn choose(&self, own: usize) -> usize {
        let open = |thread: usize| self.0[thread].open.load(Ordering::Relaxed);
        let (least, fewest) = (0..self.0.len()).map(open).enumerate().min_by_key(|(_, open)| *open).unwrap_or((own, 0));
        if open(own) <= fewest + fewest / SLACK { own } else { least }
    }
}

// === impl Placed ===

impl Placed {
    /// Whether it is on the thread of this number.
    pub(super) fn is_on(&self, thread: usize) -> bool {
        self.thread == thread
    }

    /// What runs on the thread.
    pub(super) fn runtime(&self) -> &Handle {
        &self.threads.0[self.thread].runtime
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.threads.0[self.thread].open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placed({})", self.thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> Arc<Threads> {
        Threads::new((0..count).map(|_| Handle::current()))
    }

    fn counts(threads: &Threads) -> Vec<usize> {
        threads.0.iter().map(|thread| thread.open.load(Ordering::Relaxed)).collect()
    }

    #[tokio::test]
    async fn whoever_accepts_most_gives_to_the_others_and_all_have_nearly_as_many() {
        for connections in [64, 256] {
            for count in [2, 4] {
                let threads = threads(count);
                // All of them are accepted by one.
                let placed: Vec<_> = (0..connections).map(|_| threads.place(0)).collect();
                let counts = counts(&threads);
                let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
                assert!(most * 100 <= least * 115, "{counts:?}");
                assert_eq!(counts.iter().sum::<usize>(), connections);
                drop(placed);
                assert!(self::counts(&threads).iter().all(|open| *open == 0), "{threads:?}", threads = counts);
            }
        }
    }

    #[tokio::test]
    async fn who_has_not_clearly_more_keeps_what_it_accepts() {
        let threads = threads(2);
        let mut placed: Vec<_> = (0..64).map(|n| threads.place(n % 2)).collect();
        assert_eq!(counts(&threads), [32, 32]);
        placed.extend((0..3).map(|_| threads.place(0)));
        assert_eq!(counts(&threads), [35, 32]);
        placed.push(threads.place(0));
        assert_eq!(counts(&threads), [35, 33]);
    }

    #[tokio::test]
    async fn alone_it_keeps_all() {
        let threads = threads(1);
        let _placed: Vec<_> = (0..5).map(|_| threads.place(0)).collect();
        assert_eq!(counts(&threads), [5]);
    }
}
