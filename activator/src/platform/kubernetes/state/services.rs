//! Services and their EndpointSlices, as they are told.

use super::object::{Name, Service, Slice};
use super::{Cluster, Touched, missing, remove_one};

// === impl Cluster: Services ===

impl Cluster {
    /// This is how the Service is now.
    pub fn apply_service(&mut self, mut service: Service, touched: &mut Touched) {
        if self.services.get(&service.name) == Some(&service) {
            return;
        }
        service.name = self.shared(service.name);
        match &self.ports {
            Some(last) if *last == service.ports => service.ports.clone_from(last),
            _ => self.ports = Some(service.ports.clone()),
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
    /// This is how the slice is now. One that leads nowhere, as those of sleeping apps do, is not kept.
    pub fn apply_slice(&mut self, slice: Slice, touched: &mut Touched) {
        if self.slices.get(&slice.name) == Some(&slice) {
            return;
        }
        self.remove_slice(&slice.name, touched);
        if slice.endpoints.is_empty() {
            return;
        }
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
