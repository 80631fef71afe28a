//! A cluster as far as the API server tells of it: what there is, and who follows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::platform::kubernetes::client::fake::{Answer, Asked, Events, FakeApi, until};

pub(super) const PODS: &str = "/api/v1/pods";
pub(super) const SERVICES: &str = "/api/v1/services";
pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";
pub(super) const ROLLOUT_SCALE: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/hello/scale";

pub(super) struct FakeCluster {
    pub(super) api: FakeApi,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// By collection.
    objects: HashMap<String, Vec<Value>>,
    /// How many there were, and the last one.
    watches: HashMap<String, (usize, Events)>,
    /// What is answered to all that is asked of such paths, whatever there is.
    refused: HashMap<String, (u16, String, String)>,
    texts: HashMap<String, &'static [u8]>,
    answers: HashMap<String, Value>,
    /// What is asked of such paths is never answered.
    silent: HashSet<String>,
    version: u64,
}

impl FakeCluster {
    /// With these objects, by collection.
    pub(super) async fn with(objects: impl IntoIterator<Item = (&'static str, Vec<Value>)>) -> Self {
        let kept = Kept { version: 100, ..Kept::default() };
        let kept = Arc::new(Mutex::new(kept));
        kept.lock().objects = objects.into_iter().map(|(path, objects)| (path.to_owned(), objects)).collect();
        let answers = kept.clone();
        let api = FakeApi::start(move |asked| {
            let silent = answers.lock().silent.contains(asked.uri.path());
            let answer = answers.lock().answer(&asked);
            async move { if silent { std::future::pending().await } else { answer } }
        })
        .await;
        Self { api, kept }
    }

    /// The app's Deployment and Service.
    pub(super) async fn hello(replicas: u32, port: u16) -> Self {
        let (deployment, service) = (super::deployment(replicas, 10), super::service(port));
        Self::with([(DEPLOYMENTS, vec![deployment]), (SERVICES, vec![service])]).await
    }

    /// The app's Service, and a target of a kind that does not show how many replicas it asks for.
    pub(super) async fn rollout() -> Self {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": { "size": 3 },
            "metadata": { "namespace": "default", "name": "hello", "uid": "r", "resourceVersion": "7" },
        });
        let rollouts = "/apis/argoproj.io/v1alpha1/rollouts";
        let cluster = Self::with([(rollouts, vec![rollout]), (SERVICES, vec![super::service(8080)])]).await;
        let resource = |name: &str| json!({ "name": name, "kind": "Rollout", "namespaced": true, "singularName": "", "verbs": [] });
        cluster.answer_with(
            "/apis/argoproj.io/v1alpha1",
            json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "argoproj.io/v1alpha1",
                "resources": [resource("rollouts/scale"), resource("rollouts")],
            }),
        );
        cluster.answer_with(
            ROLLOUT_SCALE,
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1", "spec": { "replicas": 3 },
                "metadata": { "namespace": "default", "name": "hello", "resourceVersion": "7" },
            }),
        );
        cluster
    }

    pub(super) fn put(&self, path: &str, objects: Vec<Value>) {
        self.kept.lock().objects.insert(path.to_owned(), objects);
    }

    pub(super) fn refuse(&self, path: &str, code: u16, reason: &str) {
        self.refuse_saying(path, code, reason, "so it is");
    }

    pub(super) fn refuse_saying(&self, path: &str, code: u16, reason: &str, message: &str) {
        self.kept.lock().refused.insert(path.to_owned(), (code, reason.to_owned(), message.to_owned()));
    }

    pub(super) fn never_answer(&self, path: &str) {
        self.kept.lock().silent.insert(path.to_owned());
    }

    pub(super) fn permit(&self, path: &str) {
        self.kept.lock().refused.remove(path);
    }

    pub(super) fn say(&self, path: &str, text: &'static [u8]) {
        self.kept.lock().texts.insert(path.to_owned(), text);
    }

    pub(super) fn answer_with(&self, path: &str, answer: Value) {
        self.kept.lock().answers.insert(path.to_owned(), answer);
    }

    /// Tells whoever follows the collection.
    pub(super) async fn tell(&self, path: &str, kind: &str, object: Value) {
        self.until_followed(path).await;
        self.kept.lock().watches[path].1.send(kind, object);
    }

    /// The watch of the collection cannot go on from where it is; returns once there is another one.
    pub(super) async fn expire(&self, path: &str) {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired",
            "message": "too old resource version" });
        self.until_followed(path).await;
        let before = self.followed(path);
        self.tell(path, "ERROR", status).await;
        until(|| self.followed(path) > before).await;
    }

    /// It is as it was before everything that it has told, but for what was put since.
    pub(super) fn set_back(&self) {
        self.kept.lock().version = 0;
    }

    /// All connections break; returns once the collection is followed again.
    pub(super) async fn cut(&self, path: &str) {
        self.until_followed(path).await;
        let before = self.followed(path);
        self.api.cut();
        until(|| self.followed(path) > before).await;
    }

    pub(super) async fn until_followed(&self, path: &str) {
        until(|| self.kept.lock().watches.get(path).is_some_and(|(_, events)| !events.is_over())).await;
    }

    /// How often a watch of the collection was begun.
    fn followed(&self, path: &str) -> usize {
        self.kept.lock().watches.get(path).map_or(0, |(count, _)| *count)
    }

    /// All PATCHes so far: path and body.
    pub(super) fn patched(&self) -> Vec<(String, Value)> {
        let asked = self.api.asked().into_iter().filter(|asked| asked.method == Method::PATCH);
        asked.map(|asked| (asked.uri.path().to_owned(), asked.body)).collect()
    }
}

impl Kept {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let path = asked.uri.path();
        if let Some((code, reason, message)) = self.refused.get(path) {
            return Answer::no(*code, reason, message);
        }
        if let Some(text) = self.texts.get(path) {
            return Answer::text(text);
        }
        if let Some(answer) = self.answers.get(path) {
            return Answer::of(answer.clone());
        }
        self.version += 1;
        if asked.method == Method::PATCH {
            return Answer::of(json!({ "metadata": { "resourceVersion": self.version.to_string() } }));
        }
        if asked.is_watch() {
            let (answer, events) = Answer::watch();
            let count = self.watches.get(path).map_or(0, |(count, _)| *count);
            self.watches.insert(path.to_owned(), (count + 1, events));
            return answer;
        }
        let metadata = json!({ "resourceVersion": self.version.to_string() });
        let items = self.objects.get(path).cloned().unwrap_or_default();
        Answer::of(json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items }))
    }
}
