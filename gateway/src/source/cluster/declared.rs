//! What all the `HTTPApp`s of a cluster declare together.

use std::collections::{BTreeMap, HashMap};

use activator::AppId;
use activator::platform::kubernetes::watch::Change;
use kube::ResourceExt;
use kube::api::DynamicObject;

use crate::config::grant::{Claim, Grant, grant};
use crate::config::object::from_object;
use crate::config::problem::Finding;
use crate::config::settings::{AppConfig, Declared};

/// One `HTTPApp` as it was read.
pub struct Object {
    id: AppId,
    /// In seconds since 1970.
    created: i64,
    /// Tells it from one that had the same name before.
    uid: String,
    generation: i64,
    settings: Result<AppConfig, Vec<Finding>>,
}

/// All of them.
#[derive(Default)]
pub struct All {
    apps: HashMap<AppId, Known>,
    grants: BTreeMap<AppId, Grant>,
}

/// What is known of one.
struct Known {
    latest: Object,
    /// Those that were in force before ones that cannot be.
    last_good: Option<AppConfig>,
}

// === impl Object ===

impl Object {
    /// Of what the API server gives.
    pub fn new(object: DynamicObject) -> Self {
        let id = AppId::new(object.namespace().unwrap_or_default(), object.name_any());
        let created = object.creation_timestamp().map_or(0, |time| time.0.as_second());
        let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
        let settings = match serde_json::to_value(object) {
            Ok(value) => from_object(&value).map(|(_, config)| config),
            Err(e) => {
                Err(vec![Finding { line: None, field: String::new(), message: format!("is not understood: {e}") }])
            }
        };
        Self { id, created, uid, generation, settings }
    }
}

// === impl All ===

impl All {
    /// Takes a change in one namespace, or in all. Returns whether anything is to be applied anew.
    pub fn take(&mut self, scope: Option<&str>, change: Change<Object>) -> bool {
        match change {
            Change::Applied(object) => self.put(object),
            Change::Deleted(object) => self.apps.remove(&object.id).is_some(),
            Change::Restarted(objects) => {
                let mut before = std::mem::take(&mut self.apps);
                if let Some(namespace) = scope {
                    let others = before.extract_if(|id, _| *id.namespace != *namespace);
                    self.apps = others.collect();
                }
                for object in objects {
                    if let Some(known) = before.remove(&object.id) {
                        self.apps.insert(object.id.clone(), known);
                    }
                    self.put(object);
                }
                true
            }
        }
    }

    fn put(&mut self, object: Object) -> bool {
        if let Err(problems) = &object.settings {
            let words: Vec<_> = problems.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
            tracing::error!(app = %object.id, "its HTTPApp is not used as it is: {}", words.join("; "));
        }
        match self.apps.get_mut(&object.id) {
            Some(known) if known.latest.uid == object.uid => {
                // Its status was written, nothing else.
                let changed = known.latest.generation != object.generation;
                if changed && let Ok(good) = &known.latest.settings {
                    known.last_good = Some(good.clone());
                }
                known.latest = object;
                changed
            }
            _ => {
                self.apps.insert(object.id.clone(), Known { latest: object, last_good: None });
                true
            }
        }
    }

    /// What is in force: of each app its latest settings, or the last good ones, with the routes that no older app has. An app
    /// that gets none of its routes is left alone.
    pub fn declared(&mut self) -> Declared {
        let in_force: Vec<_> = self.apps.values().filter_map(|known| Some((known, known.in_force()?))).collect();
        let claims: Vec<_> = in_force
            .iter()
            .map(|(known, config)| Claim {
                id: &known.latest.id,
                created: known.latest.created,
                routes: &config.edge.routes,
            })
            .collect();
        let grants = grant(&claims);
        let apps = in_force.iter().filter_map(|(known, config)| {
            let granted = grants.get(&known.latest.id)?;
            let mut config = AppConfig::clone(config);
            if !granted.refused.is_empty() {
                config.edge.routes = granted.routes.clone();
            }
            (!config.edge.routes.is_empty()).then(|| (known.latest.id.clone(), config))
        });
        let declared = Declared { apps: apps.collect() };
        for (id, granted) in &grants {
            let before = self.grants.get(id);
            if !granted.refused.is_empty() && before.is_none_or(|before| before.refused != granted.refused) {
                let words: Vec<_> = granted.refused.iter().map(|it| it.message.as_str()).collect();
                tracing::warn!(app = %id, "it does not get all its routes: {}", words.join("; "));
            }
        }
        self.grants = grants;
        declared
    }

    /// How many are not in force as they are.
    pub fn refused(&self) -> usize {
        self.apps.values().filter(|known| known.latest.settings.is_err()).count()
    }
}

// === impl Known ===

impl Known {
    fn in_force(&self) -> Option<&AppConfig> {
        self.latest.settings.as_ref().ok().or(self.last_good.as_ref())
    }
}
