//! All declared apps by name, swapped whole.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::app::{App, Shared};
use crate::hold::Refusal;
use crate::platform::Platform;
use crate::settings::{AppId, AppSettings};

/// The declared apps. Cheap to read, changed by one writer.
pub struct Registry {
    shared: Arc<Shared>,
    platform: Arc<dyn Platform>,
    apps: ArcSwap<HashMap<AppId, Arc<App>>>,
    /// No longer declared, but kept alive by requests in flight.
    leaving: Mutex<Vec<Weak<App>>>,
}

// === impl Registry ===

impl Registry {
    /// No apps yet; what will be is observed by `platform`.
    pub fn new(shared: Arc<Shared>, platform: Arc<dyn Platform>) -> Self {
        Self { shared, platform, apps: ArcSwap::default(), leaving: Mutex::default() }
    }

    /// What the apps share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The app of this name.
    pub fn get(&self, id: &AppId) -> Option<Arc<App>> {
        self.apps.load().get(id).cloned()
    }

    /// All apps, in no order.
    pub fn all(&self) -> Arc<HashMap<AppId, Arc<App>>> {
        self.apps.load_full()
    }

    /// Makes `declared` all there is: apps that stay keep their endpoints, counts and waiters, new ones are asleep, those
    /// no longer declared send their waiters away, finish what is in flight and go. One that is declared again before it has
    /// finished, and whose replicas have outlived that, has never been away: what is in flight is its own. `publish` is to
    /// route to the new whole before that.
    pub fn apply<S: Into<Arc<AppSettings>>>(
        &self,
        declared: impl IntoIterator<Item = (AppId, S)>,
        publish: impl FnOnce(&HashMap<AppId, Arc<App>>),
    ) {
        let before = self.apps.load_full();
        let declared = declared.into_iter();
        let mut apps = HashMap::with_capacity(declared.size_hint().0);
        for (id, settings) in declared {
            let settings = settings.into();
            let app = match before.get(&id) {
                Some(app) => {
                    if app.configure(settings) {
                        self.platform.observe(app.subject());
                    }
                    app.clone()
                }
                None => {
                    let app = match self.take_back(&id, &settings) {
                        Some(app) => {
                            app.configure(settings);
                            app.poke();
                            app
                        }
                        None => App::new(id.clone(), settings, self.shared.clone()),
                    };
                    self.platform.observe(app.subject());
                    if app.settings().scaling.min_replicas > 0 {
                        app.poke();
                    }
                    app
                }
            };
            apps.insert(id, app);
        }
        let apps = Arc::new(apps);
        self.apps.store(apps.clone());
        publish(&apps);
        let mut leaving = self.leaving.lock();
        leaving.retain(|app| app.strong_count() > 0);
        for (id, app) in before.iter() {
            if !apps.contains_key(id) {
                app.close(Refusal::Removed);
                leaving.push(Arc::downgrade(app));
            }
        }
    }

    /// The app of this name that was no longer declared, if it has not finished yet and what runs it was left alone.
    fn take_back(&self, id: &AppId, settings: &AppSettings) -> Option<Arc<App>> {
        let mut leaving = self.leaving.lock();
        let (at, app) = leaving.iter().enumerate().find_map(|(at, app)| {
            let app = app.upgrade().filter(|app| app.id() == id)?;
            let left_alone = settings.target.outlives_gateway() && app.settings().target.outlives_gateway();
            left_alone.then_some((at, app))
        })?;
        leaving.swap_remove(at);
        app.reopen();
        Some(app)
    }

    /// This gateway goes: from now on no app is given fewer replicas.
    pub fn leave(&self) {
        self.shared.leaving.store(true, Ordering::Release);
    }

    /// Sends everybody away who waits, for good.
    pub fn close(&self) {
        for app in self.apps.load().values() {
            app.close(Refusal::Stopping);
        }
    }

    /// Requests in flight, all apps together, those of removed apps too.
    pub fn in_flight(&self) -> u64 {
        let count = |app: &Arc<App>| u64::from(app.in_flight());
        let leaving: u64 = self.leaving.lock().iter().filter_map(Weak::upgrade).map(|app| count(&app)).sum();
        self.apps.load().values().map(count).sum::<u64>() + leaving
    }

    /// Requests held, all apps together.
    pub fn held(&self) -> usize {
        self.shared.budget.requests()
    }
}
