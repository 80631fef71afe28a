//! A ScaledObject to be made, and what KEDA says of it.

use std::net::SocketAddr;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::namespace::{Namespace, until};

/// A ScaledObject for the app and the Deployment of its name. Each part can be changed before: it is the object's JSON.
#[derive(Debug, Clone)]
pub struct ScaledObject {
    pub name: String,
    pub object: Value,
}

// === impl ScaledObject ===

impl ScaledObject {
    /// KEDA listens, asks each second, and puts to sleep 2 s after the app has become inactive.
    pub fn of(name: &str, scaler: SocketAddr) -> Self {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"name": name}, "cooldownPeriod": 2, "maxReplicaCount": 10,
                "triggers": [{"type": "external-push", "metadata": {"scalerAddress": scaler.to_string()}}],
            },
        });
        Self { name: name.to_owned(), object }.polls_each(1)
    }

    /// With this value of a field of its spec.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.object["spec"][field] = value.into();
        self
    }

    /// With this pollingInterval, in seconds.
    pub fn polls_each(mut self, seconds: u32) -> Self {
        self.trigger()["metadata"]["pollingInterval"] = seconds.to_string().into();
        self.with("pollingInterval", seconds)
    }

    /// With this value of a key of its trigger's metadata.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.trigger()["metadata"][key] = value.into();
        self
    }

    /// With a trigger of this type.
    pub fn typed(mut self, kind: &str) -> Self {
        self.trigger()["type"] = kind.into();
        self
    }

    /// With this annotation of KEDA's, or without if there is no value.
    pub fn annotated(mut self, name: &str, value: Option<&str>) -> Self {
        let name = format!("autoscaling.keda.sh/{name}");
        match value {
            Some(value) => self.object["metadata"]["annotations"][name] = value.into(),
            None => self.object["metadata"]["annotations"] = json!({}),
        }
        self
    }

    /// Its first trigger, which is ours.
    pub fn trigger(&mut self) -> &mut Value {
        &mut self.object["spec"]["triggers"][0]
    }

    /// All of them.
    pub fn triggers(&mut self) -> &mut Vec<Value> {
        self.object["spec"]["triggers"].as_array_mut().unwrap()
    }

    /// Makes or changes it.
    pub async fn apply(&self, namespace: &Namespace) {
        namespace.apply(&self.object).await;
    }

    /// Makes it, and waits until KEDA has taken it in and has a HorizontalPodAutoscaler for it.
    pub async fn create(&self, namespace: &Namespace) {
        self.apply(namespace).await;
        self.until(namespace, "KEDA takes it", |status| {
            condition(status, "Ready") == Some("True") && status["hpaName"].is_string()
        })
        .await;
    }

    /// Waits until this is so of its status, and gives that.
    pub async fn until(&self, namespace: &Namespace, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let status = |found: &DynamicObject| found.data["status"].clone();
        let holds = |found: Option<&DynamicObject>| found.is_some_and(|found| holds(&status(found)));
        status(&until(namespace.api_of(&self.object), &self.name, what, holds).await.unwrap())
    }

    /// What KEDA says of it now.
    pub async fn status(&self, namespace: &Namespace) -> Value {
        namespace.api_of(&self.object).get(&self.name).await.unwrap().data["status"].clone()
    }

    /// Waits until KEDA has asked, and found it active, in so many more seconds: it writes down when it last did.
    pub async fn found_active(&self, namespace: &Namespace, times: usize) {
        let mut last = self.status(namespace).await["lastActiveTime"].clone();
        for _ in 0..times {
            let status = self.until(namespace, "found active", |status| status["lastActiveTime"] != last).await;
            last = status["lastActiveTime"].clone();
        }
    }

    /// Waits until KEDA has found it inactive.
    pub async fn found_inactive(&self, namespace: &Namespace) {
        self.until(namespace, "found inactive", |status| condition(status, "Active") == Some("False")).await;
    }
}

/// The status of a condition.
pub fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)?["status"].as_str()
}
