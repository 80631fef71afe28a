//! What all the `HTTPApp`s of a cluster declare together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use activator::AppId;
use activator::platform::kubernetes::watch::Change;
use activator::settings::Target;
use kube::ResourceExt;
use kube::api::DynamicObject;
use parking_lot::Mutex;

use crate::config::grant::{Claim, Grant, grant};
use crate::config::object::from_object;
use crate::config::problem::Finding;
use crate::config::settings::{AppConfig, AuthoritySource, Declared, EdgeSettings};
use crate::source::status::{Accepted, Before, Certified, Declaration, written};
use crate::tls::authorities::Standing;
use crate::tls::store::State;
use crate::tls::{Authorities, Certificates};

/// One `HTTPApp` as it was read.
pub struct Object {
    id: AppId,
    /// In seconds since 1970.
    created: i64,
    /// Tells it from one that had the same name before.
    uid: Arc<str>,
    generation: i64,
    settings: Result<AppConfig, Vec<Finding>>,
    written: Option<Box<Before>>,
}

/// Reads them. Most are declared alike, and what two have alike, one after the other, they keep once; at once, or what is given
/// back for it would lie between what stays.
#[derive(Default)]
pub struct Reader {
    /// The last one that was right.
    last: Mutex<Option<(AppId, AppConfig)>>,
}

/// All of them.
#[derive(Default)]
pub struct All {
    /// Boxed, so that room which is kept free costs little.
    apps: HashMap<AppId, Box<Known>>,
    /// Of those that do not get all they claim.
    grants: BTreeMap<AppId, Grant>,
    /// Those whose status was written since the last time somebody asked, and nothing else.
    rewritten: Vec<(AppId, Box<Before>)>,
    /// Those that are gone since the last time it was told what became of them.
    gone: Vec<AppId>,
}

type Told = (i64, Accepted, Option<Box<Certified>>, Option<Box<Standing>>);

/// What is known of one.
struct Known {
    latest: Object,
    /// Those that were in force before ones that cannot be.
    last_good: Option<AppConfig>,
    /// What was told of it last: about which generation, what became of that, of its certificate, and of
    /// what it is known by.
    told: Option<Told>,
}

// === impl Reader ===

impl Reader {
    /// Of what the API server gives.
    pub fn read(&self, object: DynamicObject) -> Object {
        let mut object = Object::new(object);
        let mut last = self.last.lock();
        if let Some(last) = &*last {
            object.share(last);
        }
        if let Ok(config) = &object.settings {
            *last = Some((object.id.clone(), config.clone()));
        }
        object
    }
}

// === impl Object ===

impl Object {
    fn new(mut object: DynamicObject) -> Self {
        let written = written(&mut object.data);
        // Nobody here reads them, and they are most of what there is.
        object.metadata.managed_fields = None;
        let created = object.creation_timestamp().map_or(0, |time| time.0.as_second());
        let uid = object.uid().unwrap_or_default().into();
        let generation = object.metadata.generation.unwrap_or_default();
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let read = serde_json::to_value(object).map_err(|e| {
            vec![Finding { line: None, field: String::new(), message: format!("is not understood: {e}") }]
        });
        let (id, settings) = match read.and_then(|value| from_object(&value)) {
            Ok((id, config)) => (id, Ok(config)),
            Err(findings) => (AppId::new(namespace, name), Err(findings)),
        };
        Self { id, created, uid, generation, settings, written }
    }

    /// Keeps once what it has alike with another.
    fn share(&mut self, (id, config): &(AppId, AppConfig)) {
        if self.id.namespace == id.namespace {
            self.id = AppId::new(id.namespace.clone(), self.id.name.clone());
        }
        if let Ok(own) = &mut self.settings {
            own.share(config);
        }
    }
}

// === impl All ===

impl All {
    /// Takes a change in one namespace, or in all. Returns whether anything is to be applied anew.
    pub fn take(&mut self, scope: Option<&str>, change: Change<Object>) -> bool {
        match change {
            Change::Applied(object) => self.put(object),
            Change::Deleted(object) => {
                let known = self.apps.remove(&object.id).is_some();
                self.gone.extend(known.then_some(object.id));
                known
            }
            // All that there is comes next, and generations are told apart, not compared.
            Change::SetBack => false,
            Change::Restarted(objects) => {
                let mut before = std::mem::take(&mut self.apps);
                if let Some(namespace) = scope {
                    let others = before.extract_if(|id, _| *id.namespace != *namespace);
                    self.apps = others.collect();
                }
                for object in objects {
                    if let Some((id, known)) = before.remove_entry(&object.id) {
                        self.apps.insert(id, known);
                    }
                    self.put(object);
                }
                self.gone.extend(before.into_keys());
                true
            }
        }
    }

    /// Whether anything is to be applied anew. What is the same as before stays what it is, to the pointer.
    fn put(&mut self, mut object: Object) -> bool {
        match self.apps.get_mut(&object.id) {
            Some(known) if known.latest.uid == object.uid => {
                let Object { generation, settings, .. } = &known.latest;
                if (*generation, settings) == (object.generation, &object.settings) {
                    // Its status was written, nothing else. That matters for a new object only.
                    match object.written {
                        written if known.told.is_none() => known.latest.written = written,
                        Some(written) => self.rewritten.push((object.id, written)),
                        None => {}
                    }
                    return false;
                }
                if let Ok(good) = settings {
                    known.last_good = Some(good.clone());
                }
                if known.told.is_some() {
                    object.written = None;
                }
                known.latest = object;
            }
            _ => {
                let known = Known { latest: object, last_good: None, told: None };
                self.apps.insert(known.latest.id.clone(), Box::new(known));
            }
        }
        true
    }

    /// The statuses that were written since this was asked last, by whomever.
    pub fn rewritten(&mut self) -> impl Iterator<Item = (AppId, Box<Before>)> {
        std::mem::take(&mut self.rewritten).into_iter()
    }

    /// What is in force: of each app its latest settings, or the last good ones, with the routes that no older app has. An app
    /// that gets none of its routes, or whose target an older one has, is left alone.
    pub fn declared(&mut self) -> Declared {
        let in_force: Vec<_> = self.apps.values().filter_map(|known| Some((known, known.in_force()?))).collect();
        let claims: Vec<_> = in_force
            .iter()
            .map(|(known, config)| Claim {
                id: &known.latest.id,
                created: known.latest.created,
                target: match &config.activator.target {
                    Target::Scale(target) => Some(target),
                    Target::Process(_) => None,
                },
                routes: &config.edge.routes,
            })
            .collect();
        let grants = grant(&claims);
        let apps = in_force.iter().filter_map(|(known, config)| {
            let mut config = AppConfig::clone(config);
            if let Some(Grant { routes, .. }) = grants.get(&known.latest.id) {
                config.edge = Arc::new(EdgeSettings { routes: routes.clone(), ..EdgeSettings::clone(&config.edge) });
            }
            (!config.edge.routes.is_empty()).then(|| (known.latest.id.clone(), config))
        });
        let declared = Declared { apps: apps.collect() };
        self.grants = grants;
        declared
    }

    /// What became of the declarations of which something else is to be said than the last time; `None` for those that are
    /// gone. Also logged, where something is wrong.
    pub fn news(
        &mut self,
        certificates: &Certificates,
        authorities: &Authorities,
    ) -> Vec<(AppId, Option<Declaration>)> {
        let gone: Vec<_> = self.gone.drain(..).filter(|id| !self.apps.contains_key(id)).collect();
        let mut all: Vec<_> = gone.into_iter().map(|id| (id, None)).collect();
        for (id, known) in &mut self.apps {
            let accepted = known.accepted(self.grants.get(id));
            let generation = known.latest.generation;
            let news = (generation, accepted.clone(), known.certified(certificates), known.trusted(authorities));
            if known.told.as_ref() == Some(&news) {
                continue;
            }
            let is_known = known.told.as_ref().is_some_and(|told| (told.0, &told.1) == (generation, &accepted));
            match &accepted {
                // Of a certificate it is logged where that is looked for.
                _ if is_known => {}
                Accepted::InForce => {}
                Accepted::InPart { taken } | Accepted::RoutesTaken { taken } => {
                    tracing::warn!(app = %id, "it does not get all its routes: {}", taken.join("; "));
                }
                Accepted::TargetTaken { taken } => {
                    tracing::warn!(app = %id, "it is not in force: {taken}");
                }
                Accepted::Refused { problems, .. } => {
                    tracing::error!(app = %id, "its HTTPApp is not used as it is: {}", problems.join("; "));
                }
            }
            let declaration = Declaration {
                uid: known.latest.uid.clone(),
                generation: Some(generation),
                accepted,
                certificate: news.2.clone(),
                authority: news.3.clone(),
                written: known.latest.written.take(),
            };
            known.told = Some(news);
            all.push((id.clone(), Some(declaration)));
        }
        all
    }

    /// How many are not in force as they are.
    pub fn refused(&self) -> usize {
        self.apps.values().filter(|known| known.latest.settings.is_err()).count()
    }
}

// === impl Known ===

impl Known {
    fn accepted(&self, granted: Option<&Grant>) -> Accepted {
        if let Err(problems) = &self.latest.settings {
            let words = |it: &Finding| match it.field.as_str() {
                "" => it.message.clone(),
                field => format!("{field}: {}", it.message),
            };
            let problems = problems.iter().map(words).collect();
            return Accepted::Refused { problems, last_good: self.last_good.is_some() };
        }
        if let Some(taken) = granted.and_then(|it| it.target_taken.clone()) {
            return Accepted::TargetTaken { taken };
        }
        let taken: Vec<_> = granted.iter().flat_map(|it| &it.refused).map(|it| it.message.clone()).collect();
        match granted {
            _ if taken.is_empty() => Accepted::InForce,
            Some(granted) if granted.routes.is_empty() => Accepted::RoutesTaken { taken },
            _ => Accepted::InPart { taken },
        }
    }

    /// How the certificate is that it names.
    fn certified(&self, certificates: &Certificates) -> Option<Box<Certified>> {
        self.in_force()?.edge.tls.as_ref()?.certificate.as_ref()?;
        let State { certificate, problem, .. } = certificates.of_app(&self.latest.id)?;
        let until = certificate.map(|it| it.until());
        Some(Box::new(match (problem, until) {
            (Some(why), until) => Certified::NotUsable { why, until },
            (None, Some(until)) => Certified::InUse { until },
            (None, None) => return None,
        }))
    }

    /// How that is which it is known by, if it names that.
    fn trusted(&self, authorities: &Authorities) -> Option<Box<Standing>> {
        let source = &self.in_force()?.edge.trust.as_ref()?.authority;
        if *source == AuthoritySource::System { None } else { authorities.standing(source).map(Box::new) }
    }

    fn in_force(&self) -> Option<&AppConfig> {
        self.latest.settings.as_ref().ok().or(self.last_good.as_ref())
    }
}

#[cfg(test)]
mod tests;
