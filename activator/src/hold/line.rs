//! A bounded line of waiters, first in first out. Nobody waits in it while a slot is free: see [`Line::serve`].

use std::collections::BTreeMap;

use super::sync::{AtomicUsize, Mutex, Ordering, lock};

/// Who waits, in order of arrival.
pub(crate) struct Line<W> {
    /// As many as `waiters` has, or briefly more; read without the lock.
    len: AtomicUsize,
    waiters: Mutex<Waiters<W>>,
}

struct Waiters<W> {
    next: u64,
    in_order: BTreeMap<u64, W>,
}

/// A place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

// === impl Line ===

impl<W> Line<W> {
    pub(crate) fn new() -> Self {
        Self { len: AtomicUsize::new(0), waiters: Mutex::new(Waiters { next: 0, in_order: BTreeMap::new() }) }
    }

    /// How many wait. SeqCst, the other half of the promise in [`Line::serve`].
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Joins at the end, unless `limit` wait already. Whoever has joined calls [`Line::serve`] once: a slot may have come
    /// free since it looked.
    pub(crate) fn join(&self, waiter: W, limit: usize) -> Result<Place, W> {
        let mut waiters = lock(&self.waiters);
        if waiters.in_order.len() >= limit {
            return Err(waiter);
        }
        let place = waiters.next;
        waiters.next += 1;
        waiters.in_order.insert(place, waiter);
        self.len.fetch_add(1, Ordering::SeqCst);
        Ok(Place(place))
    }

    /// Leaves, wherever in the line. False if it was served before.
    pub(crate) fn leave(&self, place: Place) -> bool {
        let mut waiters = lock(&self.waiters);
        let left = waiters.in_order.remove(&place.0);
        if left.is_some() {
            self.len.fetch_sub(1, Ordering::SeqCst);
        }
        drop(waiters);
        left.is_some()
    }

    /// The first in line and what `take` got for that one; `None` if nobody waits or `take` gets nothing.
    ///
    /// Joining counts up before it looks for a slot, giving a slot back frees it before it looks at the count, and both are
    /// sequentially consistent: one of the two sees the other, so no slot is free while somebody waits.
    pub(crate) fn serve<S>(&self, take: impl FnOnce(&W) -> Option<S>) -> Option<(W, S)> {
        let mut waiters = lock(&self.waiters);
        let (_, first) = waiters.in_order.first_key_value()?;
        let taken = take(first)?;
        let (_, first) = waiters.in_order.pop_first()?;
        self.len.fetch_sub(1, Ordering::SeqCst);
        Some((first, taken))
    }

    /// Everybody who waits, in order; the line is empty afterwards.
    pub(crate) fn dismiss(&self) -> Vec<W> {
        let mut waiters = lock(&self.waiters);
        let all = std::mem::take(&mut waiters.in_order);
        self.len.fetch_sub(all.len(), Ordering::SeqCst);
        drop(waiters);
        all.into_values().collect()
    }
}
