//! One app's part of the cluster.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::check::Check;
use super::findings::{Early, EarlyOff, Findings, Found};
use super::look::Look;
use super::object::Name;
use super::{Cluster, Wanted, port};
use crate::admission::removal::Removal;
use crate::failure::FailureCause;
use crate::platform::contract::{AppKey, Reached, SpecReplicas};
use crate::settings::Protocol;

/// One app's part of the cluster.
#[derive(Debug, Default)]
pub struct View {
    /// What its target asks for; `None` as long as not all is known that there is to know of the app.
    pub spec: Option<SpecReplicas>,
    /// That has to be read from the target's `/scale`, since it does not show it itself.
    pub unread: bool,
    /// What serves it, or may come to.
    pub candidates: Vec<Candidate>,
    /// Pods that have no address yet, and that nothing is known to keep from getting one.
    pub pending: Vec<Pending>,
    /// Pods of which a container cannot be started just now, which may pass: Kubernetes tries again.
    pub troubled: Vec<Troubled>,
    /// Pods of its target that are to stay, or whatever else serves it where they are not counted.
    pub pods: u32,
    /// Those of them that something keeps from becoming ready.
    pub failing: u32,
    /// What that is, or what else keeps the app from being served.
    pub failure: Option<FailureCause>,
    /// Because of that, nothing can become usable, whatever pods do.
    pub hopeless: bool,
    /// Because of that, there will be no more pods.
    pub refused: bool,
    /// What serves are pods, one for each replica, as far as anybody knows.
    pub counted: bool,
    /// The container that keeps ending, if that is the failure.
    pub crash: Option<Crash>,
    /// How far the furthest of its pods has come.
    pub reached: Reached,
    /// In words for those who declare apps.
    pub findings: Findings,
}

/// Something that serves an app, or may come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub identity: Identity,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whether it can be used.
    pub standing: Standing,
    /// Kubernetes calls it ready.
    pub ready: bool,
    /// Changes whenever the pod's containers were started again.
    pub incarnation: u32,
    /// What the pod is called, if it is one.
    pub pod: Option<Arc<Name>>,
    /// How it goes when there are to be fewer; never, if it is none of the target's.
    pub removal: Removal,
}

/// Tells one endpoint from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The pod's UID; empty for what is no pod.
    pub uid: Box<str>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Whether a candidate can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Ready,
    /// It can once all of these have passed.
    Check(Vec<Check>),
    /// It cannot until Kubernetes says so.
    Wait,
}

/// A pod without an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Which one.
    pub uid: Box<str>,
    /// What it waits for.
    pub why: String,
}

/// A pod of which a container cannot be started just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Troubled {
    /// Which one.
    pub uid: Box<str>,
    /// What keeps the container from being started.
    pub cause: FailureCause,
}

/// A container that keeps ending.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Crash {
    /// Of which pod.
    pub pod: Arc<Name>,
    /// Which one.
    pub container: Box<str>,
    /// How often it was started again.
    pub restarts: u32,
}

// === impl Cluster ===

impl Cluster {
    /// What there is of the app; nothing as long as not all is known that there is to know. If `distrusted`, no pod is tried
    /// before Kubernetes calls it ready.
    pub fn view(&self, key: AppKey, distrusted: bool) -> View {
        let mut view = View::default();
        let Some(wanted) = self.apps.get(&key) else { return view };
        let namespace = wanted.service.namespace();
        let targets = self.targets.get(&wanted.kind);
        if targets.is_some_and(|targets| targets.is_unknown()) {
            let why = "the API server does not know this kind".to_owned();
            let cause = FailureCause::TargetUnusable { target: wanted.target_name(), why };
            view.findings.target = Found::No(Box::new(cause.clone()));
            view.failure = Some(cause);
            view.hopeless = true;
            return view;
        }
        let target_known = targets.is_some_and(|targets| targets.are_synced(namespace));
        let service_known = self.services_synced.cover(namespace);
        if target_known {
            view.findings.target = self.target_found(wanted);
        }
        if service_known {
            view.findings.service = self.service_found(wanted);
        }
        let pods_known = self.pods_synced.cover(namespace) && self.slices_synced.cover(namespace);
        if target_known && service_known && pods_known {
            self.see_target(wanted, &mut view);
            self.see_service(wanted, distrusted, &mut view);
        }
        view
    }

    fn target_found(&self, wanted: &Wanted) -> Found {
        match self.targets.get(&wanted.kind).and_then(|targets| targets.get(&wanted.target)) {
            Some(target) if target.deleting => {
                let why = "it is being deleted, and makes no more pods".to_owned();
                Found::No(Box::new(FailureCause::TargetUnusable { target: wanted.target_name(), why }))
            }
            Some(_) => Found::Yes,
            None => Found::No(Box::new(FailureCause::TargetMissing { target: wanted.target_name() })),
        }
    }

    fn service_found(&self, wanted: &Wanted) -> Found {
        let name = wanted.service.to_string();
        let Some(service) = self.services.get(&wanted.service) else {
            return Found::No(Box::new(FailureCause::ServiceMissing { service: name }));
        };
        match port::chosen(service, &wanted.settings.port) {
            Ok(_) => Found::Yes,
            Err(why) => Found::No(Box::new(FailureCause::ServiceUnusable { service: name, why })),
        }
    }

    fn see_target(&self, wanted: &Wanted, view: &mut View) {
        let target = self.targets.get(&wanted.kind).and_then(|targets| targets.get(&wanted.target));
        let Some(target) = target else {
            view.failure = view.findings.target.cause();
            view.hopeless = true;
            return;
        };
        let spec = |replicas| SpecReplicas { replicas, version: target.as_of, writer: target.writer.clone() };
        view.spec = target.replicas.map(spec);
        view.unread = target.unread;
        if target.deleting {
            view.failure = view.findings.target.cause();
            view.hopeless = true;
            return;
        }
        if target.replicas.is_some_and(|replicas| replicas > 0) {
            view.failure = target.refused.as_ref().map(|why| FailureCause::PodsRefused { why: why.to_string() });
            view.refused = view.failure.is_some();
        }
    }

    fn see_service(&self, wanted: &Wanted, distrusted: bool, view: &mut View) {
        let Some(service) = self.services.get(&wanted.service) else {
            view.failure = view.failure.take().or_else(|| view.findings.service.cause());
            view.hopeless = true;
            return;
        };
        let Ok(port) = port::chosen(service, &wanted.settings.port) else {
            view.failure = view.failure.take().or_else(|| view.findings.service.cause());
            view.hopeless = true;
            return;
        };
        let protocol = wanted.settings.protocol.unwrap_or_else(|| port::protocol(port));
        view.findings.protocol = Some(protocol);
        view.findings.early = match (wanted.settings.early_readiness, distrusted) {
            (false, _) => Early::Off(EarlyOff::Settings),
            (true, true) => Early::Off(EarlyOff::Distrusted),
            (true, false) => Early::Unknown,
        };
        let target = self.targets.get(&wanted.kind).and_then(|targets| targets.get(&wanted.target));
        let first = target.map_or(0, |target| target.first);
        let look = Look { settings: &wanted.settings, service, port, protocol, distrusted, first };
        view.counted = !service.selector.is_empty();
        if service.selector.is_empty() {
            self.see_slices(&look, view);
        } else {
            // In an order of their own, so that of several failures always the same one is told.
            let mut pods: Vec<_> = self.pods_of(service).collect();
            pods.sort_by(|a, b| a.pod.name.cmp(&b.pod.name));
            pods.into_iter().for_each(|known| look.see_pod(known, view));
        }
        if view.spec.as_ref().is_some_and(|spec| spec.replicas == 0) && view.findings.target == Found::Yes {
            // What is on its way out is not missed.
            view.failure = None;
            view.crash = None;
            view.troubled.clear();
        }
    }

    /// A Service without selector: somebody else has written down where it leads.
    fn see_slices(&self, look: &Look<'_>, view: &mut View) {
        let mut slices: Vec<_> = self.slices_by_service.get(&look.service.name).into_iter().flatten().collect();
        slices.sort();
        let port_name = look.port.name.as_deref().unwrap_or_default();
        let (mut seen, mut seen_pods) = (HashSet::new(), HashSet::new());
        for slice in slices.into_iter().filter_map(|name| self.slices.get(name)) {
            let Some((_, port)) = slice.ports.iter().find(|(name, _)| **name == *port_name) else { continue };
            for endpoint in slice.endpoints.iter().filter(|endpoint| !endpoint.terminating) {
                let address = SocketAddr::new(endpoint.ip, *port);
                let pod = endpoint
                    .pod
                    .as_ref()
                    .and_then(|pod| self.pods.get(&pod.name).filter(|known| known.pod.uid == pod.uid));
                if !seen.insert(address) || pod.is_some_and(|known| known.pod.deleting || known.pod.finished) {
                    continue;
                }
                // One that has addresses of several families, each in a slice of its own, is one all the same.
                if endpoint.pod.as_ref().is_some_and(|pod| !pod.uid.is_empty() && !seen_pods.insert(&*pod.uid)) {
                    continue;
                }
                view.pods += 1;
                let candidate = match pod {
                    Some(known) => {
                        look.candidate(known, endpoint.ready, address, look.removal_of_written(&known.pod), view)
                    }
                    None => look.stranger(endpoint.ready, address, view),
                };
                view.reached.scheduled = true;
                view.reached.started = true;
                view.candidates.push(candidate);
            }
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn target_name(&self) -> String {
        format!("{} {}", self.kind.kind, self.target)
    }
}

// === impl Found ===

impl Found {
    fn cause(&self) -> Option<FailureCause> {
        match self {
            Self::No(cause) => Some((**cause).clone()),
            _ => None,
        }
    }
}
