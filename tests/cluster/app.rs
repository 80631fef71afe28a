//! `zerogate echo` as an app: a Deployment, a Service and an `HTTPApp` of one name.

use serde_json::{Value, json};

use crate::namespace::Namespace;

/// The image that holds the gateway, and with it `zerogate echo`.
pub const IMAGE: &str = "zerogate:0.1.0";
/// Where the app listens.
pub const PORT: u16 = 8000;

/// An app to be made. Each part can be changed before: they are the objects' JSON.
#[derive(Debug, Clone)]
pub struct App {
    pub name: String,
    pub deployment: Value,
    pub service: Value,
    pub http_app: Value,
}

// === impl App ===

impl App {
    /// Asleep, at `NAME.NAMESPACE.localhost`, ready when `/healthz` says so, with these flags of `zerogate echo`.
    pub fn echo(name: &str, flags: &[&str]) -> Self {
        let args = [&["echo", "--addr=0.0.0.0", "--port=8000", "--name", name], flags].concat();
        let container = json!({
            "name": "app",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": args,
            "ports": [{"name": "http", "containerPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        });
        let pod = json!({
            "metadata": {"labels": {"app": name}},
            "spec": {"automountServiceAccountToken": false, "terminationGracePeriodSeconds": 5, "containers": [container]},
        });
        Self {
            name: name.to_owned(),
            deployment: json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": pod},
            }),
            service: json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
            }),
            http_app: json!({
                "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": name},
                "spec": {"target": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                    "service": {"name": name, "port": "http"},
                }},
            }),
        }
    }

    /// The pods' spec.
    pub fn pod(&mut self) -> &mut Value {
        &mut self.deployment["spec"]["template"]["spec"]
    }

    /// The pods' container.
    pub fn container(&mut self) -> &mut Value {
        &mut self.pod()["containers"][0]
    }

    /// The `HTTPApp`'s spec.
    pub fn spec(&mut self) -> &mut Value {
        &mut self.http_app["spec"]
    }

    /// With this value of a field of the `HTTPApp`'s spec, such as `scaling`.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.spec()[field] = value;
        self
    }

    /// With this value of `scaling`.
    pub fn scaling(self, scaling: Value) -> Self {
        self.with("scaling", scaling)
    }

    /// With this readiness probe of its container.
    pub fn probe(mut self, probe: Value) -> Self {
        self.container()["readinessProbe"] = probe;
        self
    }

    /// The host its requests are for, in this namespace.
    pub fn host(&self, namespace: &Namespace) -> String {
        format!("{}.{}.localhost", self.name, namespace.name)
    }

    /// Makes the Deployment and the Service.
    pub async fn create_target(&self, namespace: &Namespace) {
        namespace.apply(&self.deployment).await;
        namespace.apply(&self.service).await;
    }

    /// Makes all three; routes that are not given are one for [`Self::host`].
    pub async fn create(&self, namespace: &Namespace) {
        self.create_target(namespace).await;
        let mut http_app = self.http_app.clone();
        if http_app["spec"]["routes"].is_null() {
            http_app["spec"]["routes"] = json!([{"hosts": [self.host(namespace)]}]);
        }
        namespace.apply(&http_app).await;
    }
}
