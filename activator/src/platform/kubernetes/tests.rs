//! The platform against an API server that plays a cluster: lists, watches, orders, logs.

mod cluster;
mod orders;
mod reports;
mod trouble;
mod whole;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use self::cluster::FakeCluster;
use super::client::fake::until;
use super::{KubernetesOptions, KubernetesPlatform};
use crate::admission::Endpoint;
use crate::clock::Clock;
use crate::platform::contract::{AppKey, Condition, Observation, Observer, Order, Platform, Subject};
use crate::settings::{AppId, AppSettings, ScaleTarget, Scaling, ServicePort, Target};

/// Takes observations of one app, and keeps them all.
#[derive(Default)]
struct Seen(Mutex<Vec<Observation>>);

impl Observer for Seen {
    fn observed(&self, observation: Observation) {
        self.0.lock().push(observation);
    }
}

impl Seen {
    fn last(&self) -> Observation {
        self.0.lock().last().cloned().unwrap_or_default()
    }

    async fn until(&self, holds: impl Fn(&Observation) -> bool) -> Observation {
        until(|| holds(&self.last())).await;
        self.last()
    }

    async fn until_usable(&self, many: usize) -> Vec<Arc<Endpoint>> {
        self.until(|seen| seen.endpoints.len() == many).await.endpoints
    }
}

/// An app in a cluster, and what watches it.
struct World {
    cluster: FakeCluster,
    platform: KubernetesPlatform,
    seen: Arc<Seen>,
    settings: Arc<AppSettings>,
}

impl World {
    /// The app `hello`, as it is in this cluster.
    async fn of(cluster: FakeCluster) -> Self {
        Self::with(cluster, |_| {}, &[]).await
    }

    async fn with(cluster: FakeCluster, change: impl FnOnce(&mut ScaleTarget), namespaces: &[&str]) -> Self {
        let mut target = ScaleTarget {
            namespace: "default".into(),
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "hello".into(),
            service: "hello".into(),
            port: ServicePort::Only,
            protocol: None,
            readiness: None,
            early_readiness: true,
            start_timeout: Duration::from_secs(60),
        };
        change(&mut target);
        let settings = crate::testing::settings(Scaling::default());
        let settings = Arc::new(AppSettings { target: Target::Scale(Arc::new(target)), ..settings });
        let namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
        let options = KubernetesOptions { namespaces };
        let platform = KubernetesPlatform::new(cluster.api.clients(), &options, Clock::running());
        let seen = Arc::<Seen>::default();
        let this = Self { cluster, platform, seen, settings };
        this.observe();
        this
    }

    fn observe(&self) {
        let observer: Weak<dyn Observer> = Arc::downgrade(&(self.seen.clone() as Arc<dyn Observer>));
        let (id, settings) = (AppId::new("default", "hello"), self.settings.clone());
        self.platform.observe(Subject { key: AppKey(1), id, settings, target_number: 0, observer });
    }

    fn order(&self, replicas: u32, victims: Vec<Arc<Endpoint>>) -> Order {
        let (id, settings) = (AppId::new("default", "hello"), self.settings.clone());
        Order {
            key: AppKey(1),
            id,
            settings,
            replicas,
            urgent: replicas > 0 && victims.is_empty(),
            victims,
            decided_as_of: 0,
            condition: Condition::Always,
        }
    }
}

/// The target is a Rollout.
fn rollout(target: &mut ScaleTarget) {
    (target.api_version, target.kind) = ("argoproj.io/v1alpha1".into(), "Rollout".into());
}

fn names(endpoints: &[Arc<Endpoint>]) -> Vec<&str> {
    endpoints.iter().map(|endpoint| endpoint.name()).collect()
}

fn deployment(replicas: u32, version: u64) -> Value {
    json!({
        "metadata": { "namespace": "default", "name": "hello", "uid": "d-1", "resourceVersion": version.to_string() },
        "spec": { "replicas": replicas, "selector": {}, "template": {} },
    })
}

fn service(port: u16) -> Value {
    json!({
        "metadata": { "namespace": "default", "name": "hello", "resourceVersion": "1" },
        "spec": { "selector": { "app": "hello" }, "ports": [{ "port": 80, "targetPort": port }] },
    })
}

/// What has made a pod.
fn owner(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true })
}

/// A pod that is to be asked at a port of this machine, with a probe that the kubelet has not made yet.
fn pod(name: &str, port: u16, ready: bool) -> Value {
    json!({
        "metadata": {
            "namespace": "default", "name": name, "uid": name, "resourceVersion": "5",
            "labels": { "app": "hello", "pod-template-hash": "1" }, "ownerReferences": [owner("ReplicaSet", "hello-1")],
        },
        "spec": { "nodeName": "node", "containers": [{ "name": "app", "readinessProbe": { "tcpSocket": { "port": port } } }] },
        "status": {
            "phase": "Running", "podIP": "127.0.0.1",
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
            "containerStatuses": [{
                "name": "app", "ready": ready, "restartCount": 0, "image": "", "imageID": "", "started": true,
                "state": { "running": {} },
            }],
        },
    })
}

#[test]
fn what_is_kept_of_a_sleeping_app_is_small() {
    use super::state::object::{Service, ServicePort, TargetObject};
    use super::tracked::Tracked;
    let sizes = [size_of::<Service>(), size_of::<ServicePort>(), size_of::<TargetObject>(), size_of::<Tracked>()];
    assert!(sizes.into_iter().sum::<usize>() <= 432, "{sizes:?} bytes");
}
