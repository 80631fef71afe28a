//! What the cluster looks like, as far as watches have told, and what that means for each app. No I/O, no clock.
//!
//! An event costs as much as the object has labels or endpoints, however many apps there are: what it touches is found through
//! indexes, of which none says more than "may be of interest".

mod check;
pub mod findings;
mod index;
mod look;
pub mod object;
mod owner;
mod pods;
mod port;
mod services;
mod slim;
mod targets;
mod trouble;
mod view;
pub mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use self::check::{Check, Try};
use self::index::{Few, Labelled, Scopes};
use self::object::{Kind, Name, Pod, Service, ServicePort, Slice, TargetObject};
use self::targets::Targets;
#[cfg(test)]
pub use self::view::Pending;
pub use self::view::{Candidate, Crash, Identity, Standing, Troubled, View};
use crate::platform::contract::AppKey;
use crate::settings::ScaleTarget;

/// Apps that an event may have changed.
pub type Touched = HashSet<AppKey>;

/// The part of the cluster that is watched.
#[derive(Debug, Default)]
pub struct Cluster {
    apps: HashMap<AppKey, Wanted>,
    by_service: HashMap<Arc<Name>, Few<AppKey>>,
    pods: HashMap<Arc<Name>, KnownPod>,
    pods_by_label: Labelled,
    services: HashMap<Arc<Name>, Service>,
    services_by_label: Labelled,
    /// Those of the last Service: what two have alike they keep once.
    ports: Option<Arc<[ServicePort]>>,
    slices: HashMap<Arc<Name>, Slice>,
    slices_by_service: HashMap<Arc<Name>, HashSet<Arc<Name>>>,
    /// The Services in whose slices a pod is.
    slices_by_pod: HashMap<Arc<Name>, Vec<Arc<Name>>>,
    targets: HashMap<Arc<Kind>, Targets>,
    pods_synced: Scopes,
    services_synced: Scopes,
    slices_synced: Scopes,
}

/// What an app is about.
#[derive(Debug)]
struct Wanted {
    settings: Arc<ScaleTarget>,
    service: Arc<Name>,
    kind: Arc<Kind>,
    target: Arc<Name>,
}

#[derive(Debug)]
struct KnownPod {
    pod: Pod,
    /// It was ready in this incarnation and is not any more.
    demoted: bool,
}

// === impl Cluster: apps ===

impl Cluster {
    /// Takes `key` for an app with these settings from now on.
    pub fn observe(&mut self, key: AppKey, settings: &Arc<ScaleTarget>) {
        if self.apps.get(&key).is_some_and(|wanted| wanted.settings == *settings) {
            return;
        }
        self.forget(key);
        let namespace = &settings.namespace;
        let service = self.shared(Name::new(namespace, &settings.service).into());
        let target = Name::new(namespace, &settings.name);
        let target = if target == *service { service.clone() } else { target.into() };
        let kind = Arc::new(Kind::of(settings));
        let kind = self.targets.get_key_value(&kind).map_or(kind, |(kind, _)| kind.clone());
        let target = self.targets.entry(kind.clone()).or_default().refer(target, key);
        Few::put(self.by_service.entry(service.clone()), &key);
        self.apps.insert(key, Wanted { settings: settings.clone(), service, kind, target });
    }

    /// Knows the app no longer.
    pub fn forget(&mut self, key: AppKey) {
        let Some(wanted) = self.apps.remove(&key) else { return };
        remove_from(&mut self.by_service, &wanted.service, key);
        if let Some(targets) = self.targets.get_mut(&wanted.kind) {
            targets.unrefer(&wanted.target, key);
        }
    }

    /// The name as it is kept already, if it is: most targets are called as their Service is.
    fn shared(&self, name: Arc<Name>) -> Arc<Name> {
        let kept = self.services.get_key_value(&name).map(|(kept, _)| kept);
        kept.or_else(|| Some(self.by_service.get_key_value(&name)?.0)).cloned().unwrap_or(name)
    }

    fn touch_service(&self, service: &Name, touched: &mut Touched) {
        touched.extend(self.by_service.get(service).into_iter().flat_map(Few::iter));
    }

    /// The first answer to a watch has come: until then nothing was known, and so nothing was said.
    fn touch_scope(&self, scope: Option<&str>, touched: &mut Touched) {
        let inside = |wanted: &Wanted| scope.is_none_or(|scope| wanted.service.namespace() == scope);
        touched.extend(self.apps.iter().filter(|(_, wanted)| inside(wanted)).map(|(key, _)| *key));
    }
}

// === impl Cluster: targets ===

impl Cluster {
    /// This is how the target is now.
    pub fn apply_target(&mut self, kind: &Kind, mut target: TargetObject, touched: &mut Touched) {
        target.name = self.shared(target.name);
        self.targets_of(kind).apply(target, touched);
    }

    /// The target is gone.
    pub fn delete_target(&mut self, kind: &Kind, target: &TargetObject, touched: &mut Touched) {
        self.targets_of(kind).delete(target, touched);
    }

    /// These are all targets of this kind in `scope`.
    pub fn replace_targets(
        &mut self,
        kind: &Kind,
        scope: Option<&str>,
        mut targets: Vec<TargetObject>,
        touched: &mut Touched,
    ) {
        targets.iter_mut().for_each(|target| target.name = self.shared(target.name.clone()));
        if self.targets_of(kind).replace(scope, targets, touched) {
            self.touch_scope(scope, touched);
        }
    }

    /// The cluster was set back to an older state, and counts anew: whatever is told of targets in `scope` from now on is later
    /// than what is known.
    pub fn set_back(&mut self, kind: &Kind, scope: Option<&str>) {
        self.targets_of(kind).set_back(scope);
    }

    /// The API server does not know this kind, or does again.
    pub fn kind_known(&mut self, kind: &Kind, known: bool, touched: &mut Touched) {
        self.targets_of(kind).set_known(known, touched);
    }

    /// The API server has accepted that the app's target has `replicas`, as of `version`; what is older than that holds no
    /// longer, whenever it comes.
    pub fn accepted(&mut self, settings: &ScaleTarget, replicas: u32, version: u64, touched: &mut Touched) {
        let name = Name::new(&settings.namespace, &settings.name);
        self.targets_of(&Kind::of(settings)).accepted(&name, replicas, version, touched);
    }

    /// The API server has answered that the target's `/scale` stands at `replicas`, for one that does not show it itself.
    pub fn scale_read(&mut self, settings: &ScaleTarget, replicas: u32, version: u64, touched: &mut Touched) {
        let name = Name::new(&settings.namespace, &settings.name);
        self.targets_of(&Kind::of(settings)).read(&name, replicas, version, touched);
    }

    fn targets_of(&mut self, kind: &Kind) -> &mut Targets {
        if !self.targets.contains_key(kind) {
            self.targets.insert(Arc::new(kind.clone()), Targets::default());
        }
        self.targets.get_mut(kind).expect("just inserted")
    }
}

// === impl Kind ===

impl Kind {
    /// The kind of what is scaled.
    pub fn of(settings: &ScaleTarget) -> Self {
        Self { api_version: (&*settings.api_version).into(), kind: (&*settings.kind).into() }
    }
}

/// Those of `known` in `scope` that are not `listed`.
fn missing<'a>(
    known: impl Iterator<Item = &'a Arc<Name>>,
    scope: Option<&str>,
    listed: impl Iterator<Item = &'a Arc<Name>>,
) -> Vec<Arc<Name>> {
    let listed: HashSet<&Arc<Name>> = listed.collect();
    known
        .filter(|name| scope.is_none_or(|scope| name.namespace() == scope) && !listed.contains(name))
        .cloned()
        .collect()
}

fn remove_from(map: &mut HashMap<Arc<Name>, Few<AppKey>>, name: &Name, key: AppKey) {
    if map.get_mut(name).is_some_and(|few| few.remove(&key)) {
        map.remove(name);
    }
}

/// Removes one of maybe several equal ones.
fn remove_one(map: &mut HashMap<Arc<Name>, Vec<Arc<Name>>>, name: &Name, which: &Name) {
    if let Some(all) = map.get_mut(name) {
        if let Some(at) = all.iter().position(|one| **one == *which) {
            all.swap_remove(at);
        }
        if all.is_empty() {
            map.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
