//! When a pod that has just started gets its first request: as soon as its own probe passes, where that can be tried from
//! outside; not before the kubelet calls it ready, where not.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::app::{App, PORT};
use crate::client::{Client, Reply, get};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

/// Wakes the app, and gives the first answer and the pod as it was right after that.
async fn wake(namespace: &Namespace, app: &App) -> (Reply, Pod) {
    app.create(namespace).await;
    let gateway = Gateway::of(namespace).await;
    let reply = gateway.get(&app.host(namespace), "/").await;
    let pod = namespace.pods(&app.name).await.remove(0);
    assert_eq!(reply.status, 200, "{reply:?}");
    (reply, pod)
}

fn is(pod: &Pod, condition: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|found| found.type_ == condition && found.status == "True")
}

fn container(pod: &Pod) -> &ContainerStatus {
    &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0]
}

/// The kubelet asks when the container starts, too early, and again 20 s later.
fn probed_rarely() -> Value {
    json!({"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 20})
}

#[tokio::test]
async fn a_slow_start_is_noticed_before_the_kubelet_does() {
    let namespace = Namespace::new("early").await;
    let app = App::echo("slow", &["--start-delay=1500ms", "--unready-for=500ms"]).probe(probed_rarely());
    let (_, pod) = wake(&namespace, &app).await;
    assert!(!is(&pod, "Ready"), "{:#?}", pod.status);
}

/// The kubelet's first try is too early here too.
#[tokio::test]
async fn a_grpc_probe_is_tried_as_the_kubelet_does() {
    let namespace = Namespace::new("early-grpc").await;
    let app = App::echo("slow", &["--start-delay=1500ms", "--unready-for=500ms"])
        .probe(json!({"grpc": {"port": PORT}, "periodSeconds": 20}));
    let (_, pod) = wake(&namespace, &app).await;
    assert!(!is(&pod, "Ready"), "{:#?}", pod.status);
}

/// It listens long before it can answer, and its probe knows nothing of that.
#[tokio::test]
async fn an_app_that_was_tried_too_early_waits_for_the_kubelet_and_says_so() {
    let namespace = Namespace::new("too-early").await;
    let app = App::echo("hasty", &["--start-delay=3s", "--unready-for=3s"])
        .probe(json!({"tcpSocket": {"port": "http"}, "periodSeconds": 10}));
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    // This path gets 503 until the app can answer.
    let reply = gateway.get(&app.host(&namespace), "/healthz").await;
    assert_eq!(reply.status, 200, "sent again, as it is safe: {reply:?}");
    let pod = namespace.pods("hasty").await.remove(0);
    assert!(is(&pod, "Ready"), "{:#?}", pod.status);
    namespace.condition_says(&app.http_app, "TargetFound", "failed right after an early try").await;
}

#[tokio::test]
async fn early_readiness_can_be_turned_off() {
    let namespace = Namespace::new("not-early").await;
    let mut app = App::echo("slow", &["--start-delay=1500ms"])
        .probe(json!({"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5}));
    app.spec()["target"]["earlyReadiness"] = json!(false);
    let (_, pod) = wake(&namespace, &app).await;
    assert!(is(&pod, "Ready"), "{:#?}", pod.status);
}

#[tokio::test]
async fn a_probe_that_runs_a_command_is_the_kubelets() {
    let namespace = Namespace::new("exec").await;
    let app = App::echo("hello", &[])
        .probe(json!({"exec": {"command": ["/zerogate", "--version"]}, "initialDelaySeconds": 3, "periodSeconds": 1}));
    let (_, pod) = wake(&namespace, &app).await;
    assert!(is(&pod, "Ready"), "{:#?}", pod.status);
}

#[tokio::test]
async fn a_readiness_gate_keeps_requests_back() {
    let namespace = Namespace::new("gate").await;
    let mut app = App::echo("hello", &[]);
    app.pod()["readinessGates"] = json!([{"conditionType": "suite.zerogate.dev/open"}]);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let waiting = gateway.spawn_get(&app.host(&namespace), "/");
    let name = until("the container is ready", async || {
        let pod = namespace.pods("hello").await.pop()?;
        is(&pod, "ContainersReady").then_some(pod.metadata.name?)
    })
    .await;
    // Long enough for many tries.
    for _ in 0..20 {
        let app = gateway.app(&namespace, "hello").await.unwrap();
        assert_eq!((&app["held"], &app["replicas"]["ready"]), (&1.into(), &0.into()), "{app:#}");
    }
    let open = json!({"status": {"conditions": [{"type": "suite.zerogate.dev/open", "status": "True"}]}});
    let params = PatchParams::default();
    namespace.api::<Pod>().patch_status(&name, &params, &Patch::Strategic(open)).await.unwrap();
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn the_apps_own_delay_is_kept() {
    let namespace = Namespace::new("delay").await;
    let probe = json!({"httpGet": {"path": "/healthz", "port": "http"}, "initialDelaySeconds": 4, "periodSeconds": 20});
    let (_, pod) = wake(&namespace, &App::echo("hello", &[]).probe(probe)).await;
    let now = Timestamp::now();
    let started = container(&pod).state.as_ref().unwrap().running.as_ref().unwrap().started_at.as_ref().unwrap().0;
    // That the API tells in whole seconds.
    let after = now.duration_since(started);
    assert!(after >= SignedDuration::from_secs(4), "{after:?}: {:#?}", pod.status);
}

#[tokio::test]
async fn a_startup_probe_comes_first() {
    let namespace = Namespace::new("startup").await;
    let mut app =
        App::echo("hello", &["--unready-for=3s"]).probe(json!({"tcpSocket": {"port": "http"}, "periodSeconds": 1}));
    app.container()["startupProbe"] =
        json!({"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 60});
    let (_, pod) = wake(&namespace, &app).await;
    let ip: std::net::IpAddr = pod.status.as_ref().unwrap().pod_ip.as_ref().unwrap().parse().unwrap();
    let health = soon("an answer", Client::http1((ip, PORT).into()).await.send(get("hello", "/healthz"))).await;
    assert_eq!(health.status, 200, "the startup probe has passed: {:#?}", pod.status);
}

#[tokio::test]
async fn without_a_probe_the_kubelet_says_when() {
    let namespace = Namespace::new("no-probe").await;
    let mut app = App::echo("hello", &["--start-delay=1s"]);
    app.container().as_object_mut().unwrap().remove("readinessProbe");
    // Its container is ready as soon as it runs: then connections are tried, so that the first request meets somebody.
    let (_, pod) = wake(&namespace, &app).await;
    assert!(is(&pod, "Ready"), "{:#?}", pod.status);
}
