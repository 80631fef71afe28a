//! Apps of which there may be something to tell, and which of them have changed: a gateway at rest looks at none.
//!
//! An app that changes marks itself and is noted here, once until somebody has looked. Who tells others goes by a stamp, so that
//! each of several gets all that has changed since its own last look.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::app::App;

/// Apps with demand or replicas.
#[derive(Debug, Default)]
pub(super) struct Active {
    apps: Mutex<Apps>,
    /// What has changed since somebody looked. Beside `apps`, since requests wait for this one.
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// By address.
    apps: Vec<usize>,
    /// Somebody waits for some of it to be told.
    urgent: bool,
}

#[derive(Debug, Default)]
struct Apps {
    /// By address.
    tracked: HashMap<usize, Tracked>,
    /// Grows whenever something has changed.
    stamp: u64,
    /// As of which something urgent has.
    urgent: u64,
}

#[derive(Debug)]
struct Tracked {
    app: Weak<App>,
    /// It is asleep: told of only as long as something of it is to be closed.
    asleep: bool,
    /// As of which stamp.
    changed: u64,
}

// === impl Active ===

impl Active {
    /// This app has demand or replicas from now on.
    pub(super) fn track(&self, app: &Arc<App>) {
        let mut apps = self.apps.lock();
        apps.stamp += 1;
        apps.urgent = apps.stamp;
        let tracked = Tracked { app: Arc::downgrade(app), asleep: false, changed: apps.stamp };
        apps.tracked.insert(key(app), tracked);
    }

    /// This app has no demand and no replicas any more. If `lingers`, there may be something to tell of it all the same.
    pub(super) fn untrack(&self, app: &Arc<App>, lingers: bool) {
        let mut apps = self.apps.lock();
        match apps.tracked.get_mut(&key(app)) {
            Some(tracked) if lingers => tracked.asleep = true,
            _ => drop(apps.tracked.remove(&key(app))),
        }
    }

    /// Something of the app at this address has changed. Whether nothing else had since somebody looked.
    pub(super) fn note(&self, address: usize) -> bool {
        let mut noted = self.noted.lock();
        noted.apps.push(address);
        noted.apps.len() == 1
    }

    /// The same, of which others wait to be told; it `is_new` if it was not noted before.
    pub(super) fn note_urgent(&self, address: usize, is_new: bool) {
        let mut noted = self.noted.lock();
        noted.apps.extend(is_new.then_some(address));
        noted.urgent = true;
    }

    /// Takes in what was noted, so that it does not grow though nobody tells anything.
    pub(super) fn settle(&self) {
        self.apps.lock().take_in(&self.noted);
    }

    /// All of which there may be something to tell.
    pub(super) fn all(&self) -> Vec<Arc<App>> {
        self.apps.lock().all()
    }

    /// The same, by one who tells them and will go by `since` the next time.
    pub(super) fn all_for(&self, since: &mut u64) -> Vec<Arc<App>> {
        let mut apps = self.apps.lock();
        apps.take_in(&self.noted);
        *since = apps.stamp;
        let all = apps.all();
        drop(apps);
        take_notes(all)
    }

    /// What has changed after `since`; nothing as long as nothing of it is urgent, if that is what `unless_urgent` says.
    pub(super) fn changed(&self, since: &mut u64, unless_urgent: bool) -> Vec<Arc<App>> {
        let mut apps = self.apps.lock();
        apps.take_in(&self.noted);
        if apps.stamp == *since || (unless_urgent && apps.urgent <= *since) {
            return Vec::new();
        }
        let changed = apps.tracked.values().filter(|tracked| tracked.changed > *since);
        let changed = changed.filter_map(|tracked| tracked.app.upgrade()).collect();
        *since = apps.stamp;
        drop(apps);
        take_notes(changed)
    }
}

/// What changes from here on is noted anew. Before it is read how they are: nothing falls between the two.
fn take_notes(apps: Vec<Arc<App>>) -> Vec<Arc<App>> {
    apps.iter().for_each(|app| app.take_note());
    apps
}

fn key(app: &Arc<App>) -> usize {
    Arc::as_ptr(app) as usize
}

// === impl Apps ===

impl Apps {
    fn take_in(&mut self, noted: &Mutex<Noted>) {
        let mut noted = noted.lock();
        if noted.apps.is_empty() && !noted.urgent {
            return;
        }
        self.stamp += 1;
        if std::mem::take(&mut noted.urgent) {
            self.urgent = self.stamp;
        }
        for address in noted.apps.drain(..) {
            if let Some(tracked) = self.tracked.get_mut(&address) {
                tracked.changed = self.stamp;
            }
        }
    }

    fn all(&mut self) -> Vec<Arc<App>> {
        let mut all = Vec::with_capacity(self.tracked.len());
        self.tracked.retain(|_, tracked| {
            let has_news = |app: &Arc<App>| app.has_closings() || app.has_shares();
            let app = tracked.app.upgrade().filter(|app| !tracked.asleep || has_news(app));
            let keep = app.is_some();
            all.extend(app);
            keep
        });
        all
    }
}
