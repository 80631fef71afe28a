//! The cluster as it is told, and each app's part of it.

mod discovery;
mod failures;
mod indexes;
mod objects;
mod probes;
mod random;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::object::{Kind, Pod, Service, Slice, TargetObject};
use super::{Cluster, Standing, Touched, Troubled, View, wire};
use crate::platform::contract::AppKey;
use crate::settings::{ScaleTarget, ServicePort};

const APP: AppKey = AppKey(1);

/// A cluster that is told things, and what that touched.
struct Told {
    cluster: Cluster,
    touched: Touched,
}

impl Told {
    /// Nothing has been told, but that `APP` is of interest.
    fn nothing() -> Self {
        let mut cluster = Cluster::default();
        cluster.observe(APP, &settings());
        Self { cluster, touched: Touched::new() }
    }

    /// All lists have come: a Deployment of this many replicas, its Service, and no pods.
    fn hello(replicas: u32) -> Self {
        let mut told = Self::nothing();
        told.cluster.replace_targets(&kind(), None, vec![deployment(replicas, 10)], &mut told.touched);
        told.cluster.replace_services(None, vec![service(json!({}))], &mut told.touched);
        told.cluster.replace_slices(None, Vec::new(), &mut told.touched);
        told.cluster.replace_pods(None, Vec::new(), &mut told.touched);
        told.touched.clear();
        told
    }

    /// Whether what has been told since the last time touched the app.
    fn touches(&mut self) -> bool {
        !std::mem::take(&mut self.touched).is_empty()
    }

    fn pod(&mut self, pod: Pod) -> bool {
        self.cluster.apply_pod(pod, &mut self.touched);
        self.touches()
    }

    fn service(&mut self, service: Service) -> bool {
        self.cluster.apply_service(service, &mut self.touched);
        self.touches()
    }

    fn slice(&mut self, slice: Slice) -> bool {
        self.cluster.apply_slice(slice, &mut self.touched);
        self.touches()
    }

    fn target(&mut self, target: TargetObject) -> bool {
        self.cluster.apply_target(&kind(), target, &mut self.touched);
        self.touches()
    }

    fn settings(&mut self, change: impl FnOnce(&mut ScaleTarget)) {
        let mut settings = ScaleTarget::clone(&settings());
        change(&mut settings);
        self.cluster.observe(APP, &Arc::new(settings));
    }

    fn view(&self) -> View {
        self.cluster.view(APP, false)
    }

    /// The only candidate's standing.
    fn standing(&self) -> Standing {
        let [only] = self.view().candidates.try_into().expect("one candidate");
        only.standing
    }
}

fn kind() -> Kind {
    Kind { api_version: "apps/v1".into(), kind: "Deployment".into() }
}

fn settings() -> Arc<ScaleTarget> {
    Arc::new(ScaleTarget {
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
    })
}

/// `base` with all of `change` in it; arrays are replaced, objects merged.
fn merged(mut base: Value, change: Value) -> Value {
    fn merge(base: &mut Value, change: Value) {
        match (base, change) {
            (Value::Object(base), Value::Object(change)) => {
                change.into_iter().for_each(|(key, value)| merge(base.entry(key).or_insert(Value::Null), value));
            }
            (base, change) => *base = change,
        }
    }
    merge(&mut base, change);
    base
}

fn deployment(replicas: u32, version: u64) -> TargetObject {
    deployment_with(json!({ "metadata": { "resourceVersion": version.to_string() }, "spec": { "replicas": replicas } }))
}

fn deployment_with(change: Value) -> TargetObject {
    let base = json!({
        "metadata": { "namespace": "default", "name": "hello", "uid": "d-1", "generation": 1, "resourceVersion": "10" },
        "spec": { "replicas": 1, "selector": {}, "template": {} },
        "status": { "observedGeneration": 1 },
    });
    serde_json::from_value::<wire::Deployment>(merged(base, change)).unwrap().into()
}

fn service(change: Value) -> Service {
    let base = json!({
        "metadata": { "namespace": "default", "name": "hello" },
        "spec": { "selector": { "app": "hello" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    serde_json::from_value::<wire::Service>(merged(base, change)).unwrap().into()
}

fn without_selector() -> Service {
    service(json!({ "spec": { "selector": null } }))
}

/// What has made a pod.
fn owner(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true })
}

/// A pod that runs, has an address and a readiness probe, and is not ready yet.
fn pod(name: &str, change: Value) -> Pod {
    let base = json!({
        "metadata": {
            "namespace": "default", "name": name, "uid": format!("uid-of-{name}"),
            "labels": { "app": "hello", "pod-template-hash": "1" }, "ownerReferences": [owner("ReplicaSet", "hello-1")],
        },
        "spec": {
            "nodeName": "node",
            "containers": [{
                "name": "app",
                "ports": [{ "containerPort": 8080, "name": "http" }],
                "readinessProbe": { "httpGet": { "path": "/ready", "port": 8080 } },
            }],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.88.0.7",
            "containerStatuses": [status("app", json!({ "running": {} }))],
            "conditions": [{ "type": "Ready", "status": "False" }],
        },
    });
    serde_json::from_value::<wire::Pod>(merged(base, change)).unwrap().into()
}

fn status(container: &str, state: Value) -> Value {
    json!({
        "name": container, "state": state, "ready": false, "restartCount": 0, "image": "", "imageID": "", "started": true,
    })
}

fn ready() -> Value {
    json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
}

fn slice(name: &str, endpoints: Value) -> Slice {
    let slice = json!({
        "metadata": {
            "namespace": "default", "name": name, "labels": { "kubernetes.io/service-name": "hello" },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "", "port": 8080, "protocol": "TCP" }],
        "endpoints": endpoints,
    });
    serde_json::from_value::<wire::EndpointSlice>(slice).unwrap().into()
}
