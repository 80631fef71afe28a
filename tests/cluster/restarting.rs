//! Gateways that are killed or replaced.

use std::net::SocketAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use crate::app::App;
use crate::cluster::kubectl;
use crate::gateway::Gateway;
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::until;

#[tokio::test]
async fn a_gateway_that_comes_back_lowers_nothing_that_it_does_not_know() {
    let namespace = Namespace::new("back").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    namespace.scale("hello", 5).await;
    let mut gateway = Gateway::of(&namespace).await;
    namespace.ready("hello", 5).await;
    let (_, before) = namespace.asked("hello").await;
    let host = app.host(&namespace);
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    for _ in 0..3 {
        gateway.kill().await;
        gateway.start_again(&["--namespaces", &namespace.name]).await;
        // At the first moment, before much can be known.
        let reply = gateway.get(&host, "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    gateway.app_until(&namespace, "hello", "all are seen", |app| app["replicas"]["ready"] == 5).await;
    assert_eq!(namespace.asked("hello").await, (5, before));
}

#[tokio::test]
async fn a_gateway_killed_while_it_holds_leaves_a_wake_that_goes_on() {
    let namespace = Namespace::new("holding").await;
    let app = App::echo("hello", &["--start-delay=3s"]);
    app.create(&namespace).await;
    let mut gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let lost = gateway.spawn_get(&host, "/");
    namespace.asks_for("hello", 1).await;
    gateway.kill().await;
    assert!(lost.await.is_err(), "its connection is gone");
    gateway.start_again(&["--namespaces", &namespace.name]).await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    assert_eq!(namespace.asked("hello").await, (1, 2), "no second order");
}

/// The Deployment that the manifests install, in a namespace of its own and for that one.
async fn installed(namespace: &Namespace) {
    let text = kubectl(&["--namespace=zerogate", "get", "deployment/zerogate", "--output=json"], "").await;
    let found: Value = serde_json::from_str(&text).unwrap();
    let mut spec = found["spec"].clone();
    spec["replicas"] = json!(1);
    let flag = json!(format!("--namespaces={}", namespace.name));
    spec["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap().push(flag);
    let labels = json!({"app.kubernetes.io/name": "zerogate"});
    let name = &namespace.name;
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "zerogate"}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "zerogate"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "zerogate"},
            "subjects": [{"kind": "ServiceAccount", "name": "zerogate", "namespace": name}],
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "zerogate"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        }),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "zerogate"}, "spec": spec}),
    ] {
        namespace.apply(&object).await;
    }
    namespace.ready("zerogate", 1).await;
}

#[tokio::test]
async fn a_gateway_rolled_under_load_costs_no_answer() {
    let namespace = Namespace::new("rolled").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    installed(&namespace).await;
    let service = namespace.api::<Service>().get("zerogate").await.unwrap();
    let address = SocketAddr::new(service.spec.unwrap().cluster_ip.unwrap().parse().unwrap(), 80);
    until("the ClusterIP accepts", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    let load = Load::start(8, address, &app.host(&namespace), "/sleep?ms=50");
    namespace.ready("hello", 1).await;
    kubectl(&["--namespace", &namespace.name, "rollout", "restart", "deployment/zerogate"], "").await;
    namespace
        .until::<Deployment>("zerogate", "it is rolled out", |found| {
            let status = found.unwrap().status.as_ref().unwrap();
            status.observed_generation == found.unwrap().metadata.generation
                && status.updated_replicas == Some(1)
                && status.replicas == Some(1)
                && status.terminating_replicas.unwrap_or(0) == 0
        })
        .await;
    load.finish().await.assert_all_served();
    assert_eq!(namespace.asked("hello").await, (1, 2), "one wake, whoever it was that served");
}
