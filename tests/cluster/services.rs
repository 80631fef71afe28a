//! Services: those that lead nowhere are told of, those that lead somewhere in another way than most are served.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::app::{App, PORT};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

async fn known(gateway: &Gateway, namespace: &Namespace, app: &App) {
    gateway.app_until(namespace, &app.name, "the gateway knows it", |_| true).await;
}

#[tokio::test]
async fn a_service_that_leads_nowhere_is_told_of() {
    let namespace = Namespace::new("nowhere").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let app = |name: &str, change: fn(&mut App)| {
        let mut app = App::echo(name, &[]);
        change(&mut app);
        app
    };
    let cases = [
        (app("none", |_| ()), "service_missing", "does not exist"),
        (
            app("port", |app| app.spec()["target"]["service"]["port"] = json!("web")),
            "service_unusable",
            "it has no port `web`, but 80 `http`",
        ),
        (
            app("external", |app| app.service["spec"] = json!({"type": "ExternalName", "externalName": "example.org"})),
            "service_unusable",
            "ExternalName",
        ),
        (
            app("two", |app| {
                app.spec()["target"]["service"] = json!({"name": "two"});
                app.service["spec"]["ports"] = json!([{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 81, "targetPort": "http"}]);
            }),
            "service_unusable",
            "say which one",
        ),
        (app("unnamed", |app| app.service["spec"]["ports"][0]["targetPort"] = json!("web")), "service_unusable", "web"),
    ];
    for (app, cause, words) in &cases {
        app.create(&namespace).await;
        if app.name == "none" {
            namespace.delete(&app.service).await;
        }
        known(&gateway, &namespace, app).await;
        let reply = gateway.get(&app.host(&namespace), "/").await;
        let problem = reply.problem(503);
        assert_eq!(problem["cause"], *cause, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        reply.retry_after();
    }
    let none = &cases[0].0;
    namespace.apply(&none.service).await;
    until("the Service is there", async || {
        (gateway.get(&none.host(&namespace), "/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_headless_service_serves() {
    let namespace = Namespace::new("headless").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let mut app = App::echo("hello", &[]);
    app.service["spec"]["clusterIP"] = json!("None");
    app.create(&namespace).await;
    known(&gateway, &namespace, &app).await;
    let reply = gateway.get(&app.host(&namespace), "/").await;
    assert_eq!(reply.json()["name"], "hello", "{reply:?}");
}

/// A slice of the Service `hello` with one endpoint like this.
fn slice(endpoint: Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "hello-own", "labels": {"kubernetes.io/service-name": "hello"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": [endpoint],
    })
}

#[tokio::test]
async fn a_service_without_selector_leads_where_its_slices_say() {
    let namespace = Namespace::new("slices").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let mut app = App::echo("hello", &[]);
    app.service["spec"].as_object_mut().unwrap().remove("selector");
    app.spec()["target"]["startTimeout"] = json!("5s");
    app.create(&namespace).await;
    known(&gateway, &namespace, &app).await;
    let host = app.host(&namespace);
    let pod = async || {
        until("the pod is ready", async || {
            let pod = namespace.pods("hello").await.pop()?;
            let ready = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.ready;
            ready.then_some(pod)
        })
        .await
    };
    let write = async {
        let pod = pod().await;
        let address = pod.status.unwrap().pod_ip.unwrap();
        // What has no `ready`, and is no pod, nobody calls ready.
        namespace.apply(&slice(json!({"addresses": [address]}))).await;
        address
    };
    let (reply, address) = tokio::join!(gateway.get(&host, "/"), write);
    let problem = reply.problem(503);
    assert_eq!(problem["cause"], "never_ready", "{problem}");
    gateway.app_until(&namespace, "hello", "nothing is used", |app| app["replicas"]["ready"] == 0).await;

    namespace.apply(&slice(json!({"addresses": [address], "conditions": {"ready": true}}))).await;
    until("it is served", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;

    // Where the pod is known, its own word does.
    let pod = pod().await;
    let (name, uid) = (pod.metadata.name.unwrap(), pod.metadata.uid.unwrap());
    let of_pod = json!({"kind": "Pod", "name": name, "namespace": namespace.name, "uid": uid});
    namespace.apply(&slice(json!({"addresses": [address], "targetRef": of_pod}))).await;
    gateway
        .app_until(&namespace, "hello", "it is the pod that is used", |app| {
            let endpoints = app["endpoints"].as_array().unwrap();
            matches!(&endpoints[..], [one] if one["name"] == uid.as_str())
        })
        .await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);

    // What goes is not used.
    let going = json!({"ready": false, "serving": true, "terminating": true});
    namespace.apply(&slice(json!({"addresses": [address], "targetRef": of_pod, "conditions": going}))).await;
    gateway.app_until(&namespace, "hello", "nothing is used", |app| app["endpoints"] == json!([])).await;
}

#[tokio::test]
async fn a_named_port_is_each_pods_own() {
    let namespace = Namespace::new("ports").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let mut app = App::echo("hello", &[]).with("scaling", json!({"minReplicas": 1}));
    app.create(&namespace).await;
    // Another one's pods, which the same Service chooses.
    app.container()["args"] = json!(["echo", "--addr=0.0.0.0", "--port=8123", "--name", "moved"]);
    app.container()["ports"][0]["containerPort"] = json!(8123);
    let mut moved = app.deployment.clone();
    moved["metadata"]["name"] = json!("moved");
    moved["spec"]["replicas"] = json!(1);
    moved["spec"]["selector"]["matchLabels"]["variant"] = json!("moved");
    moved["spec"]["template"]["metadata"]["labels"]["variant"] = json!("moved");
    namespace.apply(&moved).await;
    known(&gateway, &namespace, &app).await;
    let host = app.host(&namespace);
    let mut seen = HashSet::new();
    until("both are served", async || {
        let reply = gateway.get(&host, "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        seen.insert(reply.json()["name"].to_string());
        (seen.len() == 2).then_some(())
    })
    .await;
}
