//! A request wakes what sleeps: Deployments, StatefulSets, anything with a `/scale` subresource.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Client, get, grpc};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

#[tokio::test]
async fn a_hundred_first_requests_are_one_order_and_all_are_answered() {
    let namespace = Namespace::new("first").await;
    let app = App::echo("hello", &[]).scaling(json!({"maxReplicas": 1}));
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    gateway.app_until(&namespace, "hello", "it sleeps", |app| app["state"] == "asleep").await;
    let host = app.host(&namespace);
    let http1 = (0..50).map(|_| gateway.spawn_get(&host, "/"));
    let http2 = (0..50).map(|_| {
        let (to, request) = (gateway.http, get(&host, "/"));
        tokio::spawn(async move { Client::http2(to).await.send(request).await })
    });
    for request in http1.chain(http2).collect::<Vec<_>>() {
        let reply = request.await.unwrap();
        assert_eq!((reply.status.as_u16(), &reply.json()["name"]), (200, &"hello".into()), "{reply:?}");
    }
    assert_eq!(namespace.asked("hello").await, (1, 2), "one order");
    let by_kubelet = |app: &Value| app["lastWake"]["readyByKubeletMs"].is_number();
    let woken = gateway.app_until(&namespace, "hello", "the kubelet calls it ready", by_kubelet).await;
    let at = |phase: &str| woken["lastWake"][phase].as_f64().unwrap_or_else(|| panic!("{phase}: {woken:#}"));
    assert!(at("scaleCallMs") > 0.0, "{woken:#}");
    let way = ["podScheduledMs", "podIpMs", "listeningMs", "firstByteMs"].map(at);
    assert!(way.is_sorted() && way[0] > 0.0, "{woken:#}");
    assert!(at("podIpMs") <= at("readyByKubeletMs"), "{woken:#}");
    assert!(woken["lastWake"]["startedMs"].is_null(), "that is a process' phase: {woken:#}");
    let metrics = String::from_utf8(gateway.admin_get("/metrics").await.body.to_vec()).unwrap();
    for phase in ["scale_call", "pod_scheduled", "pod_ip", "listening", "ready_by_kubelet", "first_byte"] {
        let sample = format!("zerogate_wake_seconds_count{{app=\"{}/hello\",phase=\"{phase}\"}} 1", namespace.name);
        assert!(metrics.contains(&sample), "{sample}: {metrics}");
    }
    let metrics = gateway.admin_get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body);
    assert!(metrics.contains(&format!("app=\"{}/hello\"", namespace.name)), "{metrics}");
    for pod in namespace.pods("hello").await {
        let (pod, ip) = (pod.metadata.name.unwrap(), pod.status.and_then(|status| status.pod_ip).unwrap());
        assert!(!metrics.contains(&pod) && !metrics.contains(&ip), "pods come and go: {metrics}");
    }
}

#[tokio::test]
async fn an_app_that_speaks_http2_says_so_at_its_services_port() {
    let namespace = Namespace::new("h2c").await;
    let mut app = App::echo("rpc", &[]);
    app.service["spec"]["ports"][0]["appProtocol"] = json!("kubernetes.io/h2c");
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let reply = Client::http2(gateway.http).await.send(grpc(&host, "/echo.Echo/Say", b"hello")).await;
    assert_eq!((reply.status.as_u16(), reply.grpc_status()), (200, "0"), "{reply:?}");
    for mut client in Client::both(gateway.http).await {
        let reply = client.send(get(&host, "/")).await;
        assert_eq!(reply.json()["version"], "HTTP/2", "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_held_decides_how_many_start() {
    let namespace = Namespace::new("many").await;
    let scaling = json!({"target": 2, "utilization": 100, "concurrencyLimit": 2, "maxReplicas": 5});
    let app = App::echo("hello", &["--start-delay=3s"]).scaling(scaling);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    gateway.app_until(&namespace, "hello", "it sleeps", |app| app["state"] == "asleep").await;
    let requests: Vec<_> = (0..10).map(|_| gateway.spawn_get(&app.host(&namespace), "/")).collect();
    // Five in all; those of them at once that had come when it was woken, or the rest after them if that were few.
    let most = |found: Option<&Deployment>| {
        found.and_then(|found| found.spec.as_ref()).and_then(|spec| spec.replicas) >= Some(3)
    };
    let asked = namespace.until("hello", "most of them are asked for", most).await.unwrap();
    // None has begun to listen by then.
    assert_eq!(asked.status.unwrap().ready_replicas, None);
    for request in requests {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_statefulset_is_woken_and_put_to_sleep() {
    let namespace = Namespace::new("stateful").await;
    let mut app = App::echo("store", &[]).scaling(json!({"idleTimeout": "1s"}));
    app.deployment["kind"] = json!("StatefulSet");
    app.deployment["spec"]["serviceName"] = json!("store");
    app.spec()["target"]["scaleTargetRef"]["kind"] = json!("StatefulSet");
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    for _ in 0..2 {
        let reply = gateway.get(&app.host(&namespace), "/").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["name"]), (200, &"store".into()), "{reply:?}");
        let asleep = |set: Option<&StatefulSet>| set.unwrap().spec.as_ref().unwrap().replicas == Some(0);
        namespace.until("store", "it sleeps", asleep).await;
    }
}

/// A kind of the test's own; what makes pods of it is the test.
#[tokio::test]
async fn anything_with_a_scale_subresource_is_woken_and_put_to_sleep() {
    let namespace = Namespace::new("own-kind").await;
    let integer = json!({"type": "object", "properties": {"replicas": {"type": "integer"}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.suite.zerogate.dev"},
        "spec": {
            "group": "suite.zerogate.dev", "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema":
                    {"type": "object", "properties": {"spec": integer, "status": integer}}},
                "subresources": {"status": {}, "scale":
                    {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
            }],
        },
    });
    let definitions: Api<CustomResourceDefinition> = Api::all(namespace.client.clone());
    let params = PatchParams::apply("suite").force();
    definitions.patch("gadgets.suite.zerogate.dev", &params, &Patch::Apply(definition)).await.unwrap();
    let gadget = json!({
        "apiVersion": "suite.zerogate.dev/v1", "kind": "Gadget", "metadata": {"name": "hello"}, "spec": {"replicas": 0},
    });
    until("the kind is served", async || namespace.try_apply(&gadget).await.ok()).await;
    let mut app = App::echo("hello", &[]).scaling(json!({"idleTimeout": "1s"}));
    app.spec()["target"]["scaleTargetRef"] =
        json!({"apiVersion": "suite.zerogate.dev/v1", "kind": "Gadget", "name": "hello"});
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;

    let gadgets = namespace.api_of(&gadget);
    let asks_for = async |replicas: u32| {
        soon(&format!("the gadget asks for {replicas}"), async {
            let holds = |found: Option<&DynamicObject>| found.unwrap().data["spec"]["replicas"] == replicas;
            crate::namespace::until(gadgets.clone(), "hello", "so many are asked for", holds).await;
            namespace.scale("hello", replicas).await;
        })
        .await;
    };
    let waiting = gateway.spawn_get(&app.host(&namespace), "/");
    asks_for(1).await;
    assert_eq!(waiting.await.unwrap().json()["name"], "hello");
    asks_for(0).await;
}
