//! What a client of the API server sees of an app's pods, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::app::Namespace;
use crate::Result;
use crate::clock::Wall;

/// The steps of a pod from nothing to serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It has a node.
    Scheduled,
    /// It has an IP.
    Ip,
    /// The kubelet calls it ready.
    Ready,
    /// An EndpointSlice has it as ready.
    Endpoint,
}

/// Of one app.
#[derive(Debug, Default, Clone)]
pub struct Pods {
    /// Pods that are there, those that go included.
    there: BTreeSet<String>,
    /// The pod's address.
    pub ip: Option<String>,
    /// The update that told the address told that the pod is ready, too.
    pub ip_with_ready: bool,
    steps: BTreeMap<Step, Wall>,
}

/// Watches a namespace until it is dropped.
pub struct Seen {
    apps: watch::Receiver<BTreeMap<String, Pods>>,
    forget: Arc<watch::Sender<BTreeMap<String, Pods>>>,
    tasks: Vec<JoinHandle<()>>,
}

// === impl Pods ===

impl Pods {
    /// When a step was seen first.
    pub fn at(&self, step: Step) -> Option<Wall> {
        self.steps.get(&step).copied()
    }

    fn passed(&mut self, step: Step, now: Wall) {
        self.steps.entry(step).or_insert(now);
    }

    /// Whether there are none.
    pub fn is_gone(&self) -> bool {
        self.there.is_empty()
    }
}

// === impl Seen ===

impl Seen {
    /// Begins to watch; the pods and endpoints that are there count as seen now.
    pub fn watch(namespace: &Namespace) -> Self {
        let (sender, apps) = watch::channel(BTreeMap::new());
        let sender = Arc::new(sender);
        let (pods, slices) = (sender.clone(), sender.clone());
        let pod_api: Api<Pod> = Api::namespaced(namespace.client.clone(), &namespace.name);
        let slice_api: Api<EndpointSlice> = Api::namespaced(namespace.client.clone(), &namespace.name);
        let tasks = vec![
            tokio::spawn(async move {
                let mut events = watcher(pod_api, watcher::Config::default()).boxed();
                while let Some(event) = events.next().await {
                    let now = Wall::now();
                    // A watch that breaks is begun again.
                    let Ok(event) = event else { continue };
                    pods.send_modify(|apps| pod(apps, event, now));
                }
            }),
            tokio::spawn(async move {
                let mut events = watcher(slice_api, watcher::Config::default()).boxed();
                while let Some(event) = events.next().await {
                    let now = Wall::now();
                    let Ok(Event::Apply(slice) | Event::InitApply(slice)) = event else { continue };
                    slices.send_modify(|apps| endpoints(apps, &slice, now));
                }
            }),
        ];
        Self { apps, forget: sender, tasks }
    }

    /// Forgets the steps of an app.
    pub fn forget(&self, app: &str) {
        self.forget.send_modify(|apps| {
            let of = apps.entry(app.to_owned()).or_default();
            (of.steps, of.ip, of.ip_with_ready) = Default::default();
        });
    }

    /// Waits until this is so of an app, and gives it.
    pub async fn until(&self, app: &str, what: &str, limit: Duration, so: impl Fn(&Pods) -> bool) -> Result<Pods> {
        let mut apps = self.apps.clone();
        let none = Pods::default();
        let found = timeout(limit, apps.wait_for(|apps| so(apps.get(app).unwrap_or(&none)))).await;
        let apps = found.map_err(|_| format!("{app}: not {what} within {limit:?}"))??;
        Ok(apps.get(app).cloned().unwrap_or_default())
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn pod(apps: &mut BTreeMap<String, Pods>, event: Event<Pod>, now: Wall) {
    let (pod, deleted) = match event {
        Event::Apply(pod) | Event::InitApply(pod) => (pod, false),
        Event::Delete(pod) => (pod, true),
        Event::Init | Event::InitDone => return,
    };
    let Some(app) = pod.labels().get("app") else { return };
    let of = apps.entry(app.clone()).or_default();
    if deleted {
        of.there.remove(&pod.name_any());
        return;
    }
    of.there.insert(pod.name_any());
    if pod.metadata.deletion_timestamp.is_some() {
        return;
    }
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
        of.passed(Step::Scheduled, now);
    }
    let Some(status) = &pod.status else { return };
    let is_ready = |condition: &PodCondition| condition.type_ == "Ready" && condition.status == "True";
    let ready = status.conditions.iter().flatten().any(is_ready);
    if let Some(ip) = &status.pod_ip {
        of.ip_with_ready |= ready && of.at(Step::Ip).is_none();
        of.passed(Step::Ip, now);
        of.ip = Some(ip.clone());
    }
    if ready {
        of.passed(Step::Ready, now);
    }
}

fn endpoints(apps: &mut BTreeMap<String, Pods>, slice: &EndpointSlice, now: Wall) {
    let Some(service) = slice.labels().get("kubernetes.io/service-name") else { return };
    let is_ready = |conditions: &k8s_openapi::api::discovery::v1::EndpointConditions| conditions.ready == Some(true);
    if slice.endpoints.iter().any(|endpoint| endpoint.conditions.as_ref().is_some_and(is_ready)) {
        apps.entry(service.clone()).or_default().steps.entry(Step::Endpoint).or_insert(now);
    }
}
