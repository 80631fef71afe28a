//! The gateways that the manifests install, in a namespace of their own and for the apps of that one.

use std::net::SocketAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cluster::kubectl;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

/// How every gateway's object is called.
pub const NAME: &str = "zerogate";

/// Installs so many, and waits until they are ready. Returns where their Service is.
pub async fn install(namespace: &Namespace, replicas: i32) -> SocketAddr {
    let text = kubectl(&["--namespace=zerogate", "get", "deployment/zerogate", "--output=json"], "").await;
    let found: Value = serde_json::from_str(&text).unwrap();
    let mut spec = found["spec"].clone();
    spec["replicas"] = json!(replicas);
    let flag = json!(format!("--namespaces={}", namespace.name));
    spec["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap().push(flag);
    let labels = json!({"app.kubernetes.io/name": NAME});
    let binding = |name: &str, kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace.name}],
        })
    };
    let role = kubectl(&["--namespace=zerogate", "get", "role/zerogate-fleet", "--output=json"], "").await;
    let rules = serde_json::from_str::<Value>(&role).unwrap()["rules"].clone();
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}}),
        binding(NAME, "ClusterRole", "zerogate"),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "zerogate-fleet"},
            "rules": rules,
        }),
        binding("zerogate-fleet", "Role", "zerogate-fleet"),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "zerogate-fleet"},
            "spec": {
                "clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels,
                "ports": [{"name": "fleet", "port": 9092, "targetPort": "fleet"}],
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "zerogate-scaler"},
            "spec": {"selector": labels, "ports": [{"port": 9091, "targetPort": "scaler"}]},
        }),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "zerogate-fleet"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}),
    ] {
        namespace.apply(&object).await;
    }
    namespace.ready(NAME, replicas).await;
    service(namespace, NAME, 80).await
}

/// Where a Service is, once it leads somewhere.
pub async fn service(namespace: &Namespace, name: &str, port: u16) -> SocketAddr {
    let service = namespace.api::<Service>().get(name).await.unwrap();
    let address = SocketAddr::new(service.spec.unwrap().cluster_ip.unwrap().parse().unwrap(), port);
    until("the ClusterIP accepts", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    address
}

/// Each of them by its pod, and how it is reached there.
pub async fn each(namespace: &Namespace) -> Vec<(String, Gateway)> {
    let pods = namespace.api::<Pod>().list(&ListParams::default().labels("app.kubernetes.io/name=zerogate")).await;
    let reached = |pod: Pod| {
        let ip = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
        let at = |port| SocketAddr::new(ip, port);
        Some((pod.name_any(), Gateway { http: at(8080), admin: at(9090), process: None }))
    };
    pods.unwrap().items.into_iter().filter_map(reached).collect()
}

/// Replaces all of these so many gateways, one after the other, and waits until the old ones are gone.
pub async fn roll(namespace: &Namespace, replicas: i32) {
    kubectl(&["--namespace", &namespace.name, "rollout", "restart", "deployment/zerogate"], "").await;
    let generation = namespace.api::<Deployment>().get(NAME).await.unwrap().metadata.generation;
    namespace
        .until::<Deployment>(NAME, "it is rolled out", |found| {
            let status = found.unwrap().status.as_ref().unwrap();
            status.observed_generation >= generation
                && status.updated_replicas == Some(replicas)
                && status.replicas == Some(replicas)
                && status.terminating_replicas.unwrap_or(0) == 0
        })
        .await;
}

/// Ends the process of a gateway's pod with SIGKILL.
pub fn kill(pod: &str) {
    let mine = format!("POD_NAME={pod}");
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap() {
        let folder = entry.unwrap().path();
        let Some(number) = folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
        let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mine.as_bytes()) {
            let status = std::process::Command::new("kill").args(["-9", &number.to_string()]).status().unwrap();
            killed += usize::from(status.success());
        }
    }
    assert_eq!(killed, 1, "the gateway's process");
}
