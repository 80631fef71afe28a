//! What is open at once, and its bounds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use activator::AppId;
use parking_lot::Mutex;

/// Counts what is open, up to a bound.
#[derive(Debug)]
pub struct Bound {
    open: AtomicUsize,
    most: usize,
}

/// One of what is open; dropping it is the only way down.
#[derive(Debug)]
pub struct Open(Arc<Bound>);

/// Counts what is open for each app, up to a bound that is the same for all.
#[derive(Debug)]
pub struct BoundEach {
    open: Mutex<HashMap<AppId, usize>>,
    most: usize,
}

/// One of what is open for an app; dropping it is the only way down.
#[derive(Debug)]
pub struct OpenFor {
    bound: Arc<BoundEach>,
    app: AppId,
}

// === impl Bound ===

impl Bound {
    /// Up to `most`.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), most })
    }

    /// One more, if there is room.
    pub fn open(self: &Arc<Self>) -> Option<Open> {
        let open = Open(self.clone());
        (self.open.fetch_add(1, Ordering::AcqRel) < self.most).then_some(open)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// How many may be.
    pub fn most(&self) -> usize {
        self.most
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl BoundEach ===

impl BoundEach {
    /// Up to `most` for each.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most })
    }

    /// One more for `app`, if there is room.
    pub fn open(self: &Arc<Self>, app: &AppId) -> Option<OpenFor> {
        let mut all = self.open.lock();
        let open = all.entry(app.clone()).or_default();
        if *open >= self.most {
            return None;
        }
        *open += 1;
        Some(OpenFor { bound: self.clone(), app: app.clone() })
    }

    /// How many may be open for each.
    pub fn most(&self) -> usize {
        self.most
    }
}

impl Drop for OpenFor {
    fn drop(&mut self) {
        let mut all = self.bound.open.lock();
        if let Some(open) = all.get_mut(&self.app) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_open_than_may_be() {
        let bound = Bound::new(2);
        let both = [bound.open().unwrap(), bound.open().unwrap()];
        assert!(bound.open().is_none());
        assert_eq!(bound.count(), 2);
        drop(both);
        assert!(bound.open().is_some());
        assert_eq!(bound.count(), 0);
    }

    #[test]
    fn one_app_takes_nothing_of_anothers() {
        let bound = BoundEach::new(1);
        let [a, b] = ["a", "b"].map(|name| AppId::new("default", name));
        let open = bound.open(&a).unwrap();
        assert!(bound.open(&a).is_none() && bound.open(&b).is_some());
        drop(open);
        assert!(bound.open.lock().is_empty(), "nothing is kept of what is not open");
        assert!(bound.open(&a).is_some());
    }
}
