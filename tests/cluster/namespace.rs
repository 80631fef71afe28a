//! A namespace for one test, and what is done in it.

use std::fmt::Debug;

use futures_util::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace as Object, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::{admin, kubectl};
use crate::wait::{self, DEADLINE};

/// Who applies what the tests apply.
const WRITER: &str = "suite";

/// A namespace for one test. Dropping it begins its deletion, unless the test panics: then it stays to be looked at.
pub struct Namespace {
    pub client: Client,
    pub name: String,
}

// === impl Namespace ===

impl Namespace {
    /// Makes one whose name begins with `name`.
    pub async fn new(name: &str) -> Self {
        let client = admin().await;
        let name = format!("{name}-{:08x}", fastrand::u32(..));
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        Api::<Object>::all(client.clone()).create(&Default::default(), &object).await.unwrap();
        Self { client, name }
    }

    /// The one whose apps the installed gateway serves while the suite runs; all others are left to gateways of the tests' own.
    pub async fn installed() -> Self {
        let (client, name) = (admin().await, "installed".to_owned());
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let namespaces: Api<Object> = Api::all(client.clone());
        wait::until("it can be made, the last run's being gone", async || {
            namespaces.create(&Default::default(), &object).await.ok()
        })
        .await;
        Self { client, name }
    }

    /// Its objects of one kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Its objects of the kind of this JSON.
    pub fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let text = |field: &str| object[field].as_str().unwrap_or_else(|| panic!("no {field}: {object}"));
        let version = text("apiVersion");
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    /// Applies an object, in this namespace; what the API server says against it is the error.
    pub async fn try_apply(&self, object: &Value) -> kube::Result<DynamicObject> {
        let name = object["metadata"]["name"].as_str().expect("metadata.name");
        let params = PatchParams::apply(WRITER).force();
        self.api_of(object).patch(name, &params, &Patch::Apply(object)).await
    }

    /// The same, when it is accepted.
    pub async fn apply(&self, object: &Value) -> DynamicObject {
        self.try_apply(object).await.unwrap_or_else(|error| panic!("{error}: {object:#}"))
    }

    /// Deletes an object, and waits until it is gone.
    pub async fn delete(&self, object: &Value) {
        let (api, name) = (self.api_of(object), object["metadata"]["name"].as_str().expect("metadata.name"));
        api.delete(name, &DeleteParams::background()).await.unwrap();
        wait::until(&format!("{name} is gone"), async || api.get_opt(name).await.unwrap().is_none().then_some(()))
            .await;
    }

    /// Applies YAML of any number of documents, in this namespace.
    pub async fn apply_yaml(&self, yaml: &str) {
        kubectl(&["--namespace", &self.name, "apply", "--server-side", "--filename=-"], yaml).await;
    }

    /// Watches an object until this is so of it (or of there being none), and gives it.
    pub async fn until<K>(&self, name: &str, what: &str, holds: impl Fn(Option<&K>) -> bool) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + Send + DeserializeOwned + 'static,
        K::DynamicType: Default,
    {
        until(self.api(), name, what, holds).await
    }

    /// Waits until a condition of an object has these words in its message.
    pub async fn condition_says(&self, object: &Value, condition: &str, words: &str) {
        let (api, name) = (self.api_of(object), object["metadata"]["name"].as_str().expect("metadata.name"));
        let says = |found: Option<&DynamicObject>| {
            let conditions = found.and_then(|found| found.data["status"]["conditions"].as_array());
            let message = conditions.into_iter().flatten().find(|it| it["type"] == condition).map(|it| &it["message"]);
            message.and_then(Value::as_str).is_some_and(|message| message.contains(words))
        };
        until(api, name, &format!("{condition} says {words}"), says).await;
    }

    /// Orders so many replicas of a Deployment.
    pub async fn scale(&self, name: &str, replicas: u32) {
        let patch = json!({"spec": {"replicas": replicas}});
        self.api::<Deployment>().patch_scale(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Waits until so many replicas of a Deployment are ready, and no other pods of it are left.
    pub async fn ready(&self, name: &str, replicas: i32) {
        self.until::<Deployment>(name, &format!("{replicas} replicas are ready"), |found| {
            found.and_then(|found| found.status.as_ref()).is_some_and(|status| {
                status.ready_replicas.unwrap_or(0) == replicas
                    && status.replicas.unwrap_or(0) == replicas
                    && status.terminating_replicas.unwrap_or(0) == 0
            })
        })
        .await;
    }

    /// How many replicas a Deployment asks for, and how often that (or anything else of its spec) was written, its making included.
    pub async fn asked(&self, name: &str) -> (i32, i64) {
        let deployment = self.api::<Deployment>().get(name).await.unwrap();
        (deployment.spec.unwrap().replicas.unwrap(), deployment.metadata.generation.unwrap())
    }

    /// Waits until a Deployment asks for so many replicas.
    pub async fn asks_for(&self, name: &str, replicas: i32) -> Deployment {
        let holds = |found: Option<&Deployment>| {
            found.and_then(|found| found.spec.as_ref()).and_then(|spec| spec.replicas) == Some(replicas)
        };
        self.until(name, &format!("{replicas} replicas are asked for"), holds).await.unwrap()
    }

    /// The pods of an app.
    pub async fn pods(&self, app: &str) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the namespace {} stays to be looked at", self.name);
            return;
        }
        let name = std::mem::take(&mut self.name);
        // The runtime ends with the test, so the order is waited for on a thread that has another.
        let order = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                Api::<Object>::all(admin().await).delete(&name, &DeleteParams::background()).await.map(drop)
            })
        });
        let _ = order.join();
    }
}

/// Watches an object until this is so of it (or of there being none), and gives it. A watch that breaks is begun again.
pub async fn until<K>(api: Api<K>, name: &str, what: &str, holds: impl Fn(Option<&K>) -> bool) -> Option<K>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let states = watcher::watch_object(api, name).default_backoff();
    pin_mut!(states);
    let mut last = None;
    let found = async {
        while let Some(state) = states.next().await {
            let Ok(state) = state else { continue };
            if holds(state.as_ref()) {
                return state;
            }
            last = state;
        }
        unreachable!("a watch of an object does not end")
    };
    match tokio::time::timeout(DEADLINE, found).await {
        Ok(found) => found,
        Err(_) => panic!("{name}: not so in time: {what}; {last:#?}"),
    }
}
