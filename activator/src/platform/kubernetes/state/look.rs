//! What one pod, or one place that is none, means for an app.

use std::net::SocketAddr;

use super::check::{self, Plan};
use super::findings::{Early, EarlyOff};
use super::object::{ContainerState, Pod, Scheduled, Service, ServicePort};
use super::view::{Candidate, Crash, Identity, Pending, Standing, Troubled, View};
use super::{KnownPod, owner, port, trouble};
use crate::admission::removal::Removal;
use crate::failure::FailureCause;
use crate::settings::{Protocol, ScaleTarget};

/// What pods are looked at with.
pub(super) struct Look<'a> {
    pub(super) settings: &'a ScaleTarget,
    pub(super) service: &'a Service,
    pub(super) port: &'a ServicePort,
    pub(super) protocol: Protocol,
    pub(super) distrusted: bool,
    /// The ordinal of the target's first pod, where they are numbered.
    pub(super) first: u32,
}

// === impl Look ===

impl Look<'_> {
    pub(super) fn see_pod(&self, known: &KnownPod, view: &mut View) {
        let pod = &known.pod;
        if pod.deleting || pod.finished {
            return;
        }
        let removal = owner::removal(pod, self.settings, self.first);
        if removal == Removal::Never {
            self.see_other(known, view);
            return;
        }
        view.pods += 1;
        let trouble = if pod.ready { None } else { trouble::of_pod(pod) };
        let port = port::at(self.port, pod);
        let missing = || {
            port.as_ref()
                .err()
                .map(|why| FailureCause::ServiceUnusable { service: self.service.name.to_string(), why: why.clone() })
        };
        if let Some(cause @ FailureCause::Container { .. }) = trouble {
            view.troubled.push(Troubled { uid: pod.uid.clone(), cause });
            return;
        }
        if let Some(cause) = trouble.or_else(missing) {
            view.failing += 1;
            if view.failure.is_none() {
                view.crash = trouble::crashing(pod, &cause).map(|container| Crash {
                    pod: pod.name.clone(),
                    container: container.name.clone(),
                    restarts: container.restarts,
                });
                view.failure = Some(cause);
            }
            return;
        }
        view.reach(pod);
        match port.ok().and_then(|port| pod.address(port)) {
            Some(address) => {
                let candidate = self.candidate(known, None, address, removal, view);
                view.candidates.push(candidate);
            }
            None => view.pending.push(Pending { uid: pod.uid.clone(), why: waits_for(pod) }),
        }
    }

    /// A pod that is none of the target's: it may serve, but what is the matter with it, or how far it has come, tells nothing of
    /// the app.
    fn see_other(&self, known: &KnownPod, view: &mut View) {
        let KnownPod { pod, .. } = known;
        if !pod.ready && trouble::of_pod(pod).is_some() {
            return;
        }
        if let Some(address) = port::at(self.port, pod).ok().and_then(|port| pod.address(port)) {
            let candidate = self.candidate(known, None, address, Removal::Never, view);
            view.candidates.push(candidate);
        }
    }

    /// How a pod goes that others have written down, if the target takes it away at all.
    pub(super) fn removal_of_written(&self, pod: &Pod) -> Removal {
        match owner::removal(pod, self.settings, self.first) {
            // It stands for what there is of the app, whoever has made it.
            Removal::Never => Removal::AsTold,
            own => own,
        }
    }

    /// A pod at `address`, of which the Service's slices say so much.
    pub(super) fn candidate(
        &self,
        known: &KnownPod,
        says: Option<bool>,
        address: SocketAddr,
        removal: Removal,
        view: &mut View,
    ) -> Candidate {
        let KnownPod { pod, demoted } = known;
        let plan = check::plan(self.settings, self.protocol, pod, address, self.distrusted);
        let early = match &plan {
            Plan::InsteadOf(_) => Early::On,
            Plan::KubernetesOnly(why) | Plan::Besides(_, why) => Early::Off(*why),
        };
        if view.findings.early == Early::Unknown && removal != Removal::Never {
            view.findings.early = early;
        }
        let ready = says.unwrap_or(pod.ready || self.service.publish_not_ready && pod.runs());
        let own = self.settings.readiness.is_some();
        let standing = match plan {
            // It was ready, and then was not any more: that is the kubelet's to take back.
            _ if !ready && *demoted => Standing::Wait,
            // Whoever publishes pods that are not ready does not want their probes to decide.
            Plan::InsteadOf(_) | Plan::KubernetesOnly(_) if ready && !pod.ready && !own => {
                Standing::Check(vec![check::connect(address)])
            }
            Plan::InsteadOf(checks) if own => Standing::Check(checks),
            Plan::InsteadOf(_) | Plan::KubernetesOnly(_) if ready => Standing::Ready,
            Plan::InsteadOf(checks) if checks.iter().all(|check| check.after.is_zero()) || pod.runs() => {
                Standing::Check(checks)
            }
            Plan::Besides(checks, _) if ready => Standing::Check(checks),
            _ => Standing::Wait,
        };
        Candidate {
            identity: Identity { uid: pod.uid.clone(), address },
            protocol: self.protocol,
            standing,
            ready,
            incarnation: pod.incarnation(),
            pod: Some(pod.name.clone()),
            removal,
        }
    }

    /// What is no pod.
    pub(super) fn stranger(&self, ready: Option<bool>, address: SocketAddr, view: &mut View) -> Candidate {
        let early = self.settings.early_readiness && !self.distrusted && self.settings.readiness.is_some();
        if view.findings.early == Early::Unknown {
            view.findings.early = if early { Early::On } else { Early::Off(EarlyOff::NoPod) };
        }
        let own = self.settings.readiness.as_ref().map(|readiness| check::own(readiness, self.protocol, address));
        let standing = match (ready, own) {
            (Some(true), Some(own)) => Standing::Check(vec![own]),
            (Some(true), None) => Standing::Ready,
            (None, Some(own)) if early => Standing::Check(vec![own]),
            _ => Standing::Wait,
        };
        Candidate {
            identity: Identity { uid: "".into(), address },
            protocol: self.protocol,
            standing,
            ready: ready.unwrap_or_default(),
            incarnation: 0,
            pod: None,
            removal: Removal::AsTold,
        }
    }
}

// === impl View ===

impl View {
    fn reach(&mut self, pod: &Pod) {
        self.reached.scheduled |= pod.scheduled == Scheduled::Yes;
        self.reached.started |= pod.ip.is_some();
        self.reached.ready_by_platform |= pod.ready;
    }
}

/// What a pod without address waits for.
fn waits_for(pod: &Pod) -> String {
    let waiting = pod.init_containers.iter().chain(&pod.containers).find_map(|container| match &container.state {
        ContainerState::Waiting { reason, .. } if !reason.is_empty() => Some((&container.name, reason)),
        _ => None,
    });
    match waiting {
        Some((container, reason)) => format!("it has no IP yet; container `{container}`: {reason}"),
        None if pod.scheduled == Scheduled::Yes => "it has no IP yet".to_owned(),
        None => "no node was chosen for it yet".to_owned(),
    }
}
