//! What docs/keda.md says, with the gateway that the manifests install.

use super::scaled_object::ScaledObject;
use crate::cluster::kubectl;
use crate::documents::{root, zerogate};
use crate::gateway::Gateway;
use crate::namespace::Namespace;

fn example(name: &str) -> String {
    std::fs::read_to_string(root().join("manifests/examples/keda").join(name)).unwrap()
}

#[tokio::test]
async fn the_examples_are_taken_by_the_api_server() {
    let namespace = Namespace::new("keda-examples").await;
    for name in ["app.yaml", "push.yaml", "external.yaml", "cpu.yaml", "tls.yaml"] {
        let args = ["--namespace", &namespace.name, "apply", "--dry-run=server", "--filename=-"];
        kubectl(&args, &example(name)).await;
    }
}

#[tokio::test]
async fn an_app_with_the_printed_scaled_object_is_woken_and_put_to_sleep() {
    let namespace = Namespace::installed().await;
    let gateway = Gateway::find(&namespace.client).await;
    namespace.apply_yaml(&example("app.yaml").replace("idleTimeout: 30s", "idleTimeout: 1s")).await;
    let app = kubectl(&["--namespace", &namespace.name, "get", "httpapp/orders", "--output=yaml"], "").await;
    let (good, printed) = zerogate("keda", &app).await;
    assert!(good, "{printed}");
    // As printed, it would take minutes.
    let hasty = printed.replace("pollingInterval: 30", "pollingInterval: 1").replace("\"30\"", "\"1\"");
    namespace.apply_yaml(&hasty.replace("cooldownPeriod: 60", "cooldownPeriod: 2")).await;
    let object: serde_json::Value = serde_saphyr::from_str(&hasty).unwrap();
    let object = ScaledObject { name: "orders".to_owned(), object };
    // Nobody has said how many replicas there are to be: Kubernetes has made one, and nobody asks for it.
    object.found_inactive(&namespace).await;
    namespace.asks_for("orders", 0).await;
    namespace.ready("orders", 0).await;
    let reply = gateway.get("orders.localhost", "/").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["name"]), (200, &"orders".into()), "{reply:?}");
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("orders").await.0, 1);
    object.found_inactive(&namespace).await;
    namespace.asks_for("orders", 0).await;
}
