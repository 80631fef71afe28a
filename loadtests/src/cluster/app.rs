//! Apps in a namespace of their own: `zerogate echo` as a Deployment, a Service and an `HTTPApp` of one name.

use std::time::Duration;

use futures_util::stream::{self, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Result;
use crate::clock::Moment;

/// The image that holds the gateway, and with it `zerogate echo`.
const IMAGE: &str = "zerogate:0.1.0";
/// Objects made at the same time.
const AT_ONCE: usize = 16;
/// How long a namespace that was left may take to go.
const GONE: Duration = Duration::from_secs(120);

/// A namespace for one scenario; its deletion begins with [`Namespace::end`].
pub struct Namespace {
    pub client: Client,
    pub name: String,
}

/// The objects of an app.
pub struct App {
    deployment: Value,
    service: Value,
    http_app: Option<Value>,
}

// === impl Namespace ===

impl Namespace {
    /// Makes an empty one; what a run that was killed has left goes first.
    pub async fn new(client: &Client, name: &str) -> Result<Self> {
        let all: Api<Object> = Api::all(client.clone());
        let started = Moment::now();
        while let Some(left) = all.get_opt(name).await? {
            if left.metadata.deletion_timestamp.is_none() {
                all.delete(name, &DeleteParams::background()).await?;
            }
            if started.elapsed() > GONE {
                return Err(format!("the namespace {name} of another run does not go").into());
            }
            sleep(Duration::from_millis(200)).await;
        }
        let object = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        all.create(&PostParams::default(), &object).await?;
        Ok(Self { client: client.clone(), name: name.to_owned() })
    }

    /// Begins its deletion.
    pub async fn end(self) -> Result<()> {
        Api::<Object>::all(self.client).delete(&self.name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// The host of the app `name`.
    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}.localhost", self.name)
    }

    /// Makes the objects of these apps: the `HTTPApp`s last, so that what they name is there.
    pub async fn create(&self, apps: Vec<App>) -> Result<()> {
        let (mut targets, mut http_apps) = (Vec::with_capacity(apps.len() * 2), Vec::with_capacity(apps.len()));
        for app in apps {
            targets.extend([app.deployment, app.service]);
            let Some(mut http_app) = app.http_app else { continue };
            if http_app["spec"]["routes"].is_null() {
                let name = http_app["metadata"]["name"].as_str().unwrap_or_default();
                http_app["spec"]["routes"] = json!([{"hosts": [self.host(name)]}]);
            }
            http_apps.push(http_app);
        }
        self.create_objects(targets).await?;
        self.create_objects(http_apps).await
    }

    /// Makes these objects.
    pub async fn create_objects(&self, objects: Vec<Value>) -> Result<()> {
        stream::iter(objects.into_iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, async |object| self.create_object(object).await)
            .await
    }

    async fn create_object(&self, object: Value) -> Result<()> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.name, &resource);
        let made = api.create(&PostParams::default(), &serde_json::from_value(object)?).await;
        made.map_err(|error| format!("{kind}: {error}"))?;
        Ok(())
    }
}

// === impl App ===

impl App {
    /// Asleep, ready when `/healthz` says so, with these flags of `zerogate echo`; sleeps again after 3 s without requests.
    pub fn echo(name: &str, flags: &[&str]) -> Self {
        let args = [&["echo", "--addr=0.0.0.0", "--port=8000", "--name", name], flags].concat();
        let container = json!({
            "name": "app",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": args,
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        });
        let pod = json!({
            "metadata": {"labels": {"app": name}},
            // The volume of a token costs a start 300 ms, and variables for thousands of Services cost seconds.
            "spec": {"automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 5, "containers": [container]},
        });
        Self {
            deployment: json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": pod},
            }),
            service: json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
            }),
            http_app: Some(json!({
                "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": name},
                "spec": {
                    "target": {"scaleTargetRef": {"name": name}, "service": {"name": name, "port": "http"}},
                    "scaling": {"idleTimeout": "3s"},
                },
            })),
        }
    }

    /// One that is never woken: its Deployment is paused, which saves the cluster a ReplicaSet.
    pub fn never_woken(name: &str) -> Self {
        let mut app = Self::echo(name, &[]);
        app.deployment["spec"]["paused"] = true.into();
        app
    }

    /// One that no gateway knows of.
    pub fn without_gateway(self) -> Self {
        Self { http_app: None, ..self }
    }

    /// With this value at a place in the `HTTPApp`'s spec, such as `/scaling`.
    pub fn with(mut self, place: &str, value: Value) -> Self {
        let (above, field) = place.rsplit_once('/').unwrap_or(("", place));
        let spec = self.http_app.as_mut().map(|app| &mut app["spec"]);
        if let Some(above) = spec.and_then(|spec| spec.pointer_mut(above)) {
            above[field] = value;
        }
        self
    }
}
