//! What the cluster looks like, as far as watches have told, and what that means for each app. No I/O, no clock.
//!
//! An event costs as much as the object has labels or endpoints, however many apps there are: what it touches is found through
//! indexes, of which none says more than "may be of interest".

mod check;
pub mod findings;
mod index;
pub mod object;
mod port;
mod slim;
mod targets;
mod trouble;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use self::check::{Check, Try};
use self::index::{Labelled, Scopes};
use self::object::{Kind, Name, Pod, Service, Slice, TargetObject};
use self::targets::Targets;
pub use self::view::{Candidate, Crash, Identity, Standing, View};
use crate::platform::contract::AppKey;
use crate::settings::ScaleTarget;

/// Apps that an event may have changed.
pub type Touched = HashSet<AppKey>;

/// The part of the cluster that is watched.
#[derive(Debug, Default)]
pub struct Cluster {
    apps: HashMap<AppKey, Wanted>,
    by_service: HashMap<Arc<Name>, Vec<AppKey>>,
    pods: HashMap<Arc<Name>, KnownPod>,
    pods_by_label: Labelled,
    services: HashMap<Arc<Name>, Service>,
    services_by_label: Labelled,
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
        let service = Arc::new(Name::new(&**namespace, settings.service.as_str()));
        let service = self.services.get_key_value(&service).map_or(service, |(name, _)| name.clone());
        let target = Arc::new(Name::new(&**namespace, settings.name.as_str()));
        let kind = Arc::new(Kind::of(settings));
        let kind = self.targets.get_key_value(&kind).map_or(kind, |(kind, _)| kind.clone());
        let target = self.targets.entry(kind.clone()).or_default().refer(target, key);
        self.by_service.entry(service.clone()).or_default().push(key);
        self.apps.insert(key, Wanted { settings: settings.clone(), service, kind, target });
    }

    /// Knows the app no longer.
    pub fn forget(&mut self, key: AppKey) {
        let Some(wanted) = self.apps.remove(&key) else { return };
        remove_from(&mut self.by_service, &wanted.service, |app| *app == key);
        if let Some(targets) = self.targets.get_mut(&wanted.kind) {
            targets.unrefer(&wanted.target, key);
        }
    }

    /// How many apps it knows.
    pub fn apps(&self) -> usize {
        self.apps.len()
    }

    fn touch_service(&self, service: &Name, touched: &mut Touched) {
        touched.extend(self.by_service.get(service).into_iter().flatten());
    }

    /// The first answer to a watch has come: until then nothing was known, and so nothing was said.
    fn touch_scope(&self, scope: Option<&str>, touched: &mut Touched) {
        let inside = |wanted: &Wanted| scope.is_none_or(|scope| *wanted.service.namespace == *scope);
        touched.extend(self.apps.iter().filter(|(_, wanted)| inside(wanted)).map(|(key, _)| *key));
    }
}

// === impl Cluster: pods ===

impl Cluster {
    /// This is how the pod is now.
    pub fn apply_pod(&mut self, pod: Pod, touched: &mut Touched) {
        let mut demoted = false;
        if let Some(known) = self.pods.get(&pod.name) {
            if known.pod == pod {
                return;
            }
            let same = known.pod.uid == pod.uid && known.pod.incarnation() == pod.incarnation();
            demoted = same && !pod.ready && (known.pod.ready || known.demoted);
            self.remove_pod(&pod.name.clone(), touched);
        }
        self.touch_pod(&pod, touched);
        self.pods_by_label.insert(&pod.name, &pod.labels);
        self.pods.insert(pod.name.clone(), KnownPod { pod, demoted });
    }

    /// The pod is gone.
    pub fn delete_pod(&mut self, pod: &Pod, touched: &mut Touched) {
        // Of an older one of the same name it says nothing about the present one.
        if self.pods.get(&pod.name).is_some_and(|known| known.pod.uid == pod.uid) {
            self.remove_pod(&pod.name, touched);
        }
    }

    /// These are all pods in `scope`, a namespace, or everywhere.
    pub fn replace_pods(&mut self, scope: Option<&str>, pods: Vec<Pod>, touched: &mut Touched) {
        let gone = missing(self.pods.keys(), scope, pods.iter().map(|pod| &pod.name));
        gone.iter().for_each(|name| self.remove_pod(name, touched));
        pods.into_iter().for_each(|pod| self.apply_pod(pod, touched));
        if self.pods_synced.add(scope) {
            self.touch_scope(scope, touched);
        }
    }

    fn remove_pod(&mut self, name: &Name, touched: &mut Touched) {
        let Some(KnownPod { pod, .. }) = self.pods.remove(name) else { return };
        self.pods_by_label.remove(&pod.name, &pod.labels);
        self.touch_pod(&pod, touched);
    }

    fn touch_pod(&self, pod: &Pod, touched: &mut Touched) {
        for service in self.services_by_label.of_any(&pod.name.namespace, &pod.labels) {
            if self.services.get(service).is_some_and(|service| service.selector.choose(&pod.labels)) {
                self.touch_service(service, touched);
            }
        }
        for service in self.slices_by_pod.get(&pod.name).into_iter().flatten() {
            self.touch_service(service, touched);
        }
    }

    /// The pods of the app that are to stay, as far as nobody has said otherwise.
    pub fn costs(&self, key: AppKey) -> impl Iterator<Item = &Pod> {
        let service = self.apps.get(&key).and_then(|wanted| self.services.get(&wanted.service));
        let pods = service.into_iter().flat_map(|service| self.pods_of(service)).map(|known| &known.pod);
        pods.filter(|pod| !pod.deleting && !pod.finished)
    }

    /// The pods that `service` chooses.
    fn pods_of(&self, service: &Service) -> impl Iterator<Item = &KnownPod> {
        let fewest = self.pods_by_label.fewest(&service.name.namespace, &service.selector);
        let pods = fewest.into_iter().flatten().filter_map(|name| self.pods.get(name));
        pods.filter(|known| service.selector.choose(&known.pod.labels))
    }
}

// === impl Cluster: Services ===

impl Cluster {
    /// This is how the Service is now.
    pub fn apply_service(&mut self, service: Service, touched: &mut Touched) {
        if self.services.get(&service.name) == Some(&service) {
            return;
        }
        self.remove_service(&service.name.clone(), touched);
        self.services_by_label.insert_once(&service.name, &service.selector);
        self.touch_service(&service.name, touched);
        self.services.insert(service.name.clone(), service);
    }

    /// The Service is gone.
    pub fn delete_service(&mut self, service: &Service, touched: &mut Touched) {
        self.remove_service(&service.name, touched);
    }

    /// These are all Services in `scope`.
    pub fn replace_services(&mut self, scope: Option<&str>, services: Vec<Service>, touched: &mut Touched) {
        let gone = missing(self.services.keys(), scope, services.iter().map(|service| &service.name));
        gone.iter().for_each(|name| self.remove_service(name, touched));
        services.into_iter().for_each(|service| self.apply_service(service, touched));
        if self.services_synced.add(scope) {
            self.touch_scope(scope, touched);
        }
    }

    fn remove_service(&mut self, name: &Name, touched: &mut Touched) {
        let Some(service) = self.services.remove(name) else { return };
        self.services_by_label.remove(&service.name, &service.selector);
        self.touch_service(name, touched);
    }
}

// === impl Cluster: EndpointSlices ===

impl Cluster {
    /// This is how the slice is now.
    pub fn apply_slice(&mut self, slice: Slice, touched: &mut Touched) {
        if self.slices.get(&slice.name) == Some(&slice) {
            return;
        }
        self.remove_slice(&slice.name.clone(), touched);
        if let Some(service) = slice.of_service() {
            self.touch_service(&service, touched);
            for pod in slice.endpoints.iter().filter_map(|endpoint| endpoint.pod.as_ref()) {
                self.slices_by_pod.entry(pod.name.clone()).or_default().push(service.clone());
            }
            self.slices_by_service.entry(service).or_default().insert(slice.name.clone());
        }
        self.slices.insert(slice.name.clone(), slice);
    }

    /// The slice is gone.
    pub fn delete_slice(&mut self, slice: &Slice, touched: &mut Touched) {
        self.remove_slice(&slice.name, touched);
    }

    /// These are all slices in `scope`.
    pub fn replace_slices(&mut self, scope: Option<&str>, slices: Vec<Slice>, touched: &mut Touched) {
        let gone = missing(self.slices.keys(), scope, slices.iter().map(|slice| &slice.name));
        gone.iter().for_each(|name| self.remove_slice(name, touched));
        slices.into_iter().for_each(|slice| self.apply_slice(slice, touched));
        if self.slices_synced.add(scope) {
            self.touch_scope(scope, touched);
        }
    }

    fn remove_slice(&mut self, name: &Name, touched: &mut Touched) {
        let Some(slice) = self.slices.remove(name) else { return };
        let Some(service) = slice.of_service() else { return };
        for pod in slice.endpoints.iter().filter_map(|endpoint| endpoint.pod.as_ref()) {
            remove_one(&mut self.slices_by_pod, &pod.name, &service);
        }
        if let Some(slices) = self.slices_by_service.get_mut(&service) {
            slices.remove(name);
            if slices.is_empty() {
                self.slices_by_service.remove(&service);
            }
        }
        self.touch_service(&service, touched);
    }
}

// === impl Cluster: targets ===

impl Cluster {
    /// This is how the target is now.
    pub fn apply_target(&mut self, kind: &Kind, target: TargetObject, touched: &mut Touched) {
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
        targets: Vec<TargetObject>,
        touched: &mut Touched,
    ) {
        if self.targets_of(kind).replace(scope, targets, touched) {
            self.touch_scope(scope, touched);
        }
    }

    /// The API server does not know this kind, or does again.
    pub fn kind_known(&mut self, kind: &Kind, known: bool, touched: &mut Touched) {
        self.targets_of(kind).set_known(known, touched);
    }

    /// The API server has accepted that the app's target has `replicas`, as of `version`; what is older than that holds no
    /// longer, whenever it comes.
    pub fn accepted(&mut self, settings: &ScaleTarget, replicas: u32, version: u64, touched: &mut Touched) {
        let name = Name::new(&*settings.namespace, settings.name.as_str());
        self.targets_of(&Kind::of(settings)).accepted(&name, replicas, version, touched);
    }

    /// The API server has answered that the target's `/scale` stands at `replicas`, for one that does not show it itself.
    pub fn scale_read(&mut self, settings: &ScaleTarget, replicas: u32, version: u64, touched: &mut Touched) {
        let name = Name::new(&*settings.namespace, settings.name.as_str());
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
        Self { api_version: settings.api_version.as_str().into(), kind: settings.kind.as_str().into() }
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
        .filter(|name| scope.is_none_or(|scope| *name.namespace == *scope) && !listed.contains(name))
        .cloned()
        .collect()
}

fn remove_from<T>(map: &mut HashMap<Arc<Name>, Vec<T>>, name: &Name, which: impl Fn(&T) -> bool) {
    if let Some(all) = map.get_mut(name) {
        all.retain(|one| !which(one));
        if all.is_empty() {
            map.remove(name);
        }
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
