//! Which app a ScaledObject is about.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use activator::registry::Registry;
use activator::settings::Target;
use activator::{App, AppId};
use parking_lot::Mutex;
use thiserror::Error;

use crate::config::nearest;

/// Most names of apps that are compared with one that is not there.
const COMPARED: usize = 10_000;
/// Most apps that are named.
const NAMED: usize = 5;

/// What to do where the ScaledObject's name leads to none.
const NAME_IT: &str = ", and none has a target of that name: name it in the trigger's metadata, as `app`";

type All = HashMap<AppId, Arc<App>>;

/// The declared apps, to be found by what a ScaledObject says.
pub struct Apps {
    registry: Arc<Registry>,
    by_target: Mutex<ByTarget>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoApp {
    /// None has that name.
    #[error("no app `{id}` is declared{hint}")]
    Unknown {
        /// What was asked for.
        id: AppId,
        /// What to do, in words; may be empty.
        hint: String,
    },
    /// Nothing says which.
    #[error("several apps have the target `{target}`: {apps}; name one of them in the trigger's metadata, as `app`")]
    Several {
        /// The target's name.
        target: String,
        /// Which apps.
        apps: String,
    },
}

/// Apps by namespace and name of their targets. Made anew when the apps are others.
#[derive(Default)]
struct ByTarget {
    of: Weak<All>,
    apps: HashMap<AppId, Vec<AppId>>,
}

// === impl Apps ===

impl Apps {
    /// Those of `registry`.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, by_target: Mutex::default() }
    }

    /// The app `id`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, id: &AppId) -> Result<Arc<App>, NoApp> {
        self.registry.get(id).ok_or_else(|| self.unknown(id, ""))
    }

    /// The app of a ScaledObject that names none: the one of the same name, or the one whose target has that name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn of_object(&self, object: &AppId) -> Result<Arc<App>, NoApp> {
        if let Some(app) = self.registry.get(object) {
            return Ok(app);
        }
        let all = self.registry.all();
        let mut by_target = self.by_target.lock();
        if !std::ptr::eq(by_target.of.as_ptr(), Arc::as_ptr(&all)) {
            *by_target = ByTarget::new(&all);
        }
        match by_target.apps.get(object).map(Vec::as_slice) {
            None | Some([]) => Err(self.unknown(object, NAME_IT)),
            Some([id]) => all.get(id).cloned().ok_or_else(|| self.unknown(object, "")),
            Some(several) => Err(NoApp::Several { target: object.name.to_string(), apps: list(several) }),
        }
    }

    fn unknown(&self, id: &AppId, advice: &str) -> NoApp {
        let all = self.registry.all();
        // The same name in another namespace, or nearly the same in the same one.
        let mut elsewhere: Vec<_> = all.keys().filter(|other| other.name == id.name).take(NAMED).cloned().collect();
        elsewhere.sort();
        let here = || all.keys().filter(|other| other.namespace == id.namespace).map(|other| &*other.name);
        let near = nearest(&id.name, here().take(COMPARED)).map(|name| AppId::new(id.namespace.clone(), name));
        let meant: Vec<_> = near.into_iter().chain(elsewhere).collect();
        let meant = if meant.is_empty() { String::new() } else { format!("; did you mean {}?", list(&meant)) };
        NoApp::Unknown { id: id.clone(), hint: format!("{advice}{meant}") }
    }
}

fn list(apps: &[AppId]) -> String {
    let names: Vec<_> = apps.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    let more = if apps.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

// === impl ByTarget ===

impl ByTarget {
    fn new(all: &Arc<All>) -> Self {
        let mut apps: HashMap<AppId, Vec<AppId>> = HashMap::new();
        for (id, app) in all.iter() {
            if let Target::Scale(target) = &app.settings().target {
                let target = AppId::new(target.namespace.clone(), target.name.clone());
                apps.entry(target).or_default().push(id.clone());
            }
        }
        apps.values_mut().for_each(|ids| ids.sort());
        Self { of: Arc::downgrade(all), apps }
    }
}

#[cfg(test)]
mod tests;
