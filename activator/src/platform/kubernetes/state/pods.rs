//! Pods, as they are told.

use super::object::{Name, Pod, Service};
use super::{Cluster, KnownPod, Touched, missing, owner};
use crate::admission::removal::Removal;
use crate::platform::contract::AppKey;

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
        for service in self.services_by_label.of_any(pod.name.namespace(), &pod.labels) {
            if self.services.get(service).is_some_and(|service| service.selector.choose(&pod.labels)) {
                self.touch_service(service, touched);
            }
        }
        for service in self.slices_by_pod.get(&pod.name).into_iter().flatten() {
            self.touch_service(service, touched);
        }
    }

    /// The pods of the app's target that are to stay, as far as nobody has said otherwise, and of which those go first that cost
    /// least.
    pub fn costs(&self, key: AppKey) -> impl Iterator<Item = &Pod> {
        let wanted = self.apps.get(&key);
        let service = wanted.and_then(|wanted| Some((wanted, self.services.get(&wanted.service)?)));
        let pods = service.into_iter().flat_map(|(wanted, service)| {
            let told = move |pod: &&Pod| owner::removal(pod, &wanted.settings, 0) == Removal::AsTold;
            self.pods_of(service).map(|known| &known.pod).filter(told)
        });
        pods.filter(|pod| !pod.deleting && !pod.finished)
    }

    /// The pods that `service` chooses.
    pub(super) fn pods_of(&self, service: &Service) -> impl Iterator<Item = &KnownPod> {
        let fewest = self.pods_by_label.fewest(service.name.namespace(), &service.selector);
        let pods = fewest.filter_map(|name| self.pods.get(name));
        pods.filter(|known| service.selector.choose(&known.pod.labels))
    }
}
